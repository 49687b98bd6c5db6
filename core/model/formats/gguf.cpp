// SPDX-License-Identifier: Apache-2.0

// The values of keys. How a file is read is in gguf_reader.cpp.
#include "core/model/formats/gguf.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/model/formats/gguf_bytes.hpp"

namespace perdure {
namespace {

// The whole number at `at`; nothing if it is of another type or too large.
std::optional<int64_t> whole_at(GgufType type, const std::byte* at) {
  switch (type) {
    case GgufType::kU8:
      return number_at<uint8_t>(at);
    case GgufType::kI8:
      return number_at<int8_t>(at);
    case GgufType::kU16:
      return number_at<uint16_t>(at);
    case GgufType::kI16:
      return number_at<int16_t>(at);
    case GgufType::kU32:
      return number_at<uint32_t>(at);
    case GgufType::kI32:
      return number_at<int32_t>(at);
    case GgufType::kI64:
      return number_at<int64_t>(at);
    case GgufType::kU64:
      break;
    default:
      return std::nullopt;
  }
  const auto value = number_at<uint64_t>(at);
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return static_cast<int64_t>(value);
}

}  // namespace

const GgufValue* Gguf::find(std::string_view key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

void Gguf::fail(std::string_view key, const std::string& what) const {
  const GgufValue* value = find(key);
  if (value == nullptr) throw Error(path_ + ": the key " + quoted(key) + " " + what);
  fail_at(path_, value->offset, "the key " + quoted(key) + " " + what);
}

void Gguf::fail_missing(std::string_view key) const { fail(key, "is missing"); }

std::optional<int64_t> Gguf::whole(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = value->is_array ? std::nullopt : whole_at(value->type, value->bytes.data());
  if (!number) fail(key, "must be a whole number below 2^63");
  return number;
}

std::optional<double> Gguf::real(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type == GgufType::kText || value->type == GgufType::kBool)
    fail(key, "must be a number");
  if (value->type != GgufType::kF32 && value->type != GgufType::kF64)
    return static_cast<double>(*whole(key));
  const double number = value->type == GgufType::kF32 ? number_at<float>(value->bytes.data())
                                                      : number_at<double>(value->bytes.data());
  if (!std::isfinite(number)) fail(key, "is not a finite number");
  return number;
}

std::optional<bool> Gguf::flag(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::kBool) fail(key, "must be true or false");
  return value->bytes[0] != std::byte{0};
}

std::optional<std::string_view> Gguf::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::kText) fail(key, "must be a text");
  return as_text(value->bytes);
}

const GgufValue& Gguf::array(std::string_view key, const GgufValue& value) const {
  if (!value.is_array) fail(key, "must be an array");
  if (value.count > kMostNumbers)
    fail(key, "has " + std::to_string(value.count) + " elements, more than " +
                  std::to_string(kMostNumbers));
  return value;
}

std::vector<int64_t> Gguf::wholes(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array) return {*whole(key)};
  const int64_t size = gguf_value_bytes(array(key, *value).type);
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < value->count; ++i) {
    const auto number = whole_at(value->type, value->bytes.data() + i * size);
    if (!number) fail(key, "must hold whole numbers below 2^63");
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<float> Gguf::reals(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (array(key, *value).type != GgufType::kF32) fail(key, "must hold F32 numbers");
  std::vector<float> numbers(static_cast<size_t>(value->count));
  std::memcpy(numbers.data(), value->bytes.data(), value->bytes.size());
  return numbers;
}

std::vector<std::string_view> Gguf::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (array(key, *value).type != GgufType::kText) fail(key, "must hold texts");
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<size_t>(value->count));
  constexpr size_t kLength = sizeof(uint64_t);
  for (std::span<const std::byte> rest = value->bytes; !rest.empty();) {
    // Looked at again: the file may be another than it was when the key was read.
    const uint64_t size = rest.size() < kLength ? rest.size() : number_at<uint64_t>(rest.data());
    if (size > rest.size() - std::min(rest.size(), kLength))
      fail(key, "was written to while it was read");
    texts.push_back(as_text(rest.subspan(kLength, static_cast<size_t>(size))));
    rest = rest.subspan(kLength + static_cast<size_t>(size));
  }
  return texts;
}

}  // namespace perdure
