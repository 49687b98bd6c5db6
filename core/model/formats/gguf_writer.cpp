// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/gguf_writer.hpp"

#include <algorithm>
#include <cstring>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"

namespace perdure {
namespace {

constexpr int64_t kAlignment = 32;
constexpr uint32_t kVersion = 3;

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
std::string raw_type(GgufType type) { return raw(static_cast<uint32_t>(type)); }
std::string raw_text(std::string_view text) {
  return raw<uint64_t>(text.size()) + std::string(text);
}
std::string raw_array(GgufType type, size_t count) {
  return raw_type(GgufType::kArray) + raw_type(type) + raw<uint64_t>(count);
}

template <class T>
std::string raw_numbers(GgufType type, std::span<const T> values) {
  std::string bytes = raw_array(type, values.size());
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return bytes;
}

int64_t padded(int64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

int64_t tensor_bytes(const GgufDeclared& tensor) {
  int64_t size = perdure_row_bytes(tensor.dtype, tensor.shape.front());
  for (size_t i = 1; i < tensor.shape.size(); ++i)
    size = checked_mul(size, tensor.shape[i], tensor.name.c_str());
  return size;
}

std::string description(const GgufDeclared& tensor, int64_t offset) {
  std::string bytes = raw_text(tensor.name) + raw(static_cast<uint32_t>(tensor.shape.size()));
  for (const int64_t size : tensor.shape) bytes += raw(static_cast<uint64_t>(size));
  return bytes + raw(gguf_type_id(tensor.dtype)) + raw(static_cast<uint64_t>(offset));
}

}  // namespace

void GgufKeys::set_whole(const std::string& key, uint32_t value) {
  put(key, raw_type(GgufType::kU32) + raw(value));
}
void GgufKeys::set_real(const std::string& key, float value) {
  put(key, raw_type(GgufType::kF32) + raw(value));
}
void GgufKeys::set_flag(const std::string& key, bool value) {
  put(key, raw_type(GgufType::kBool) + raw(static_cast<uint8_t>(value)));
}
void GgufKeys::set_text(const std::string& key, std::string_view value) {
  put(key, raw_type(GgufType::kText) + raw_text(value));
}
void GgufKeys::set_texts(const std::string& key, std::span<const std::string> values) {
  std::string bytes = raw_array(GgufType::kText, values.size());
  for (const std::string& value : values) bytes += raw_text(value);
  put(key, std::move(bytes));
}
void GgufKeys::set_wholes(const std::string& key, std::span<const int32_t> values) {
  put(key, raw_numbers(GgufType::kI32, values));
}
void GgufKeys::set_reals(const std::string& key, std::span<const float> values) {
  put(key, raw_numbers(GgufType::kF32, values));
}

void GgufKeys::set(const std::string& key, const GgufValue& value) {
  std::string bytes = value.is_array ? raw_array(value.type, static_cast<size_t>(value.count))
                                     : raw_type(value.type);
  if (!value.is_array && value.type == GgufType::kText) bytes += raw<uint64_t>(value.bytes.size());
  bytes.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  put(key, std::move(bytes));
}

void GgufKeys::set_all(const GgufKeys& keys) {
  for (const Entry& entry : keys.entries_) put(entry.key, entry.value);
}
void GgufKeys::erase(std::string_view key) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

void GgufKeys::put(const std::string& key, std::string value) {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found != entries_.end())
    found->value = std::move(value);
  else
    entries_.push_back({key, std::move(value)});
}

std::string GgufKeys::bytes() const {
  std::string bytes;
  for (const Entry& entry : entries_) bytes += raw_text(entry.key) + entry.value;
  return bytes;
}

GgufWriter::GgufWriter(const std::string& path, const GgufKeys& keys,
                       std::vector<GgufDeclared> tensors, FileRules rules)
    : file_(path, rules) {
  std::string header = "GGUF" + raw(kVersion) + raw<uint64_t>(tensors.size()) +
                       raw<uint64_t>(keys.size()) + keys.bytes();
  int64_t offset = 0;
  for (const GgufDeclared& tensor : tensors) {
    sizes_.push_back(tensor_bytes(tensor));
    header += description(tensor, offset);
    offset = checked_add(offset, padded(sizes_.back()), path.c_str());
  }
  header.resize(static_cast<size_t>(padded(static_cast<int64_t>(header.size()))));
  file_.write(std::as_bytes(std::span(header)));
  begin_tensor();
}

void GgufWriter::begin_tensor() {
  while (missing_bytes_ == 0 && next_ < sizes_.size()) missing_bytes_ = sizes_[next_++];
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (missing_bytes_ == 0) throw Error(file_.path() + ": more data than its tensors hold");
    const auto n = std::min(bytes.size(), static_cast<size_t>(missing_bytes_));
    file_.write(bytes.first(n));
    bytes = bytes.subspan(n);
    missing_bytes_ -= static_cast<int64_t>(n);
    if (missing_bytes_ > 0) continue;
    const int64_t size = sizes_[next_ - 1];
    file_.write(std::vector<std::byte>(static_cast<size_t>(padded(size) - size)));
    begin_tensor();
  }
}

void GgufWriter::verify() {
  if (missing_bytes_ > 0) throw Error(file_.path() + ": the data of its tensors is not complete");
  file_.verify();
}

}  // namespace perdure
