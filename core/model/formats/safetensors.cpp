// SPDX-License-Identifier: Apache-2.0

// Reading: header -> entries -> the layout of the data is checked as a whole -> views. Writing: the
// same header.
#include "core/model/formats/safetensors.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/json/json_walk.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/formats/foreign_file.hpp"

namespace perdure {
namespace {

constexpr uint64_t kMostHeaderBytes = 100'000'000;
constexpr size_t kMostDimensions = 8;

// Bytes of a value; 0 for types that this project has no use for.
int64_t dtype_bytes(std::string_view dtype) {
  if (dtype == "F32" || dtype == "I32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  if (dtype == "I64") return 8;
  if (dtype == "U8") return 1;
  return 0;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

struct Entry {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<int64_t> offsets;
  bool has_shape = false, has_offsets = false;
};

using Entries = std::map<std::string, Entry, std::less<>>;

// Fills entries from the walk over the header.
class HeaderVisitor {
 public:
  HeaderVisitor(const std::string& path, Entries& entries, SafetensorsMetadata* metadata)
      : path_(path), entries_(entries), metadata_(metadata) {}

  void operator()(const std::vector<std::string>& keys, JsonKind kind, std::string_view text) {
    if (keys.empty()) return;
    if (keys[0] == "__metadata__") return read_metadata(keys, kind, text);
    if (keys.size() == 1) {
      if (kind != JsonKind::kObject)
        fail(keys, "must be an object with dtype, shape and data_offsets");
      if (std::ranges::any_of(keys[0], is_control))
        fail(keys, "has control characters, which no name of a tensor has");
      entries_.emplace(keys[0], Entry{});
      return;
    }
    Entry& entry = entries_.find(keys[0])->second;
    if (keys.size() == 2 && keys[1] == "dtype" && kind == JsonKind::kString) {
      entry.dtype = text;
    } else if (keys[1] == "shape") {
      list(keys, kind, text, entry.shape, entry.has_shape);
    } else if (keys[1] == "data_offsets") {
      list(keys, kind, text, entry.offsets, entry.has_offsets);
    } else {
      fail(keys, "is not a part of a tensor's description");
    }
  }

 private:
  [[noreturn]] void fail(const std::vector<std::string>& keys, const std::string& what) const {
    throw Error(path_ + ": header key '" + json_key(keys) + "' " + what);
  }

  void read_metadata(const std::vector<std::string>& keys, JsonKind kind, std::string_view text) {
    if (kind != (keys.size() == 1 ? JsonKind::kObject : JsonKind::kString))
      fail(keys, "must map strings to strings");
    if (metadata_ != nullptr && keys.size() == 2) (*metadata_)[keys[1]] = text;
  }

  // [2, 3]: an array at two keys, its elements at three.
  void list(const std::vector<std::string>& keys, JsonKind kind, std::string_view text,
            std::vector<int64_t>& values, bool& seen) const {
    if (keys.size() == 2 && kind == JsonKind::kArray) {
      seen = true;
      return;
    }
    int64_t value = -1;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = status == std::errc() && end == text.data() + text.size();
    if (keys.size() != 3 || kind != JsonKind::kInteger || !whole || value < 0)
      fail({keys.begin(), keys.begin() + 2}, "must be a list of integers that are not negative");
    if (values.size() == kMostDimensions)
      fail({keys.begin(), keys.begin() + 2}, "has more than 8 entries");
    values.push_back(value);
  }

  const std::string& path_;
  Entries& entries_;
  SafetensorsMetadata* metadata_;
};

// Bytes that dtype and shape ask for. Errors: Error that begins with `where`.
int64_t tensor_bytes(const std::string& where, const std::string& dtype,
                     const std::vector<int64_t>& shape) {
  int64_t bytes = dtype_bytes(dtype);
  if (bytes == 0)
    throw Error(where + "the type '" + shown_name(dtype) +
                "' cannot be read; F32, F16, BF16, I32 and I64 can");
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (const int64_t n : shape) bytes = checked_mul(bytes, n, (where + "the shape").c_str());
  return bytes;
}

void check_entry(const std::string& where, const Entry& entry, int64_t data_bytes) {
  if (entry.dtype.empty()) throw Error(where + "dtype is missing");
  if (!entry.has_shape) throw Error(where + "shape is missing");
  if (!entry.has_offsets || entry.offsets.size() != 2)
    throw Error(where + "data_offsets must be [begin, end]");
  const int64_t begin = entry.offsets[0], end = entry.offsets[1];
  const std::string range = "[" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  if (begin > end || end > data_bytes)
    throw Error(where + "data_offsets " + range + " do not lie in the data of " +
                std::to_string(data_bytes) + " bytes");
  const int64_t needed = tensor_bytes(where, entry.dtype, entry.shape);
  if (end - begin != needed)
    throw Error(where + "data_offsets " + range + " hold " + std::to_string(end - begin) +
                " bytes but type and shape need " + std::to_string(needed));
}

// Each tensor must begin where the one before ended, the last must end with the data.
void check_cover(const std::string& path, const Entries& entries, int64_t data_start,
                 int64_t data_bytes) {
  std::vector<const Entries::value_type*> order;
  order.reserve(entries.size());
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.offsets < b->second.offsets; });
  int64_t at = 0;
  const auto fail = [&](const std::string& what) {
    throw Error(path + ": byte offset " + std::to_string(data_start + at) + ": " + what);
  };
  for (const auto* entry : order) {
    const int64_t begin = entry->second.offsets[0];
    if (begin > at) fail("no tensor covers the bytes before '" + entry->first + "'");
    if (begin < at) fail("the tensor '" + entry->first + "' overlaps the one before it");
    at = entry->second.offsets[1];
  }
  if (at != data_bytes) fail(std::to_string(data_bytes - at) + " bytes follow the last tensor");
}

// The JSON text between the length and the data.
std::string_view header_text(std::span<const std::byte> bytes, const std::string& path) {
  uint64_t length = 0;
  if (bytes.size() < sizeof length)
    throw Error(path + ": byte offset 0: the file ends inside the header's length");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMostHeaderBytes || length > bytes.size() - sizeof length) {
    refuse_foreign_file(bytes, path, Wanted::kModel);
    throw Error(path + ": byte offset 0: the header's length " + std::to_string(length) +
                " is more than 100000000 or than the file holds");
  }
  if (length == 0 || bytes[sizeof length] != std::byte{'{'})
    throw Error(path + ": byte offset 8: the header must begin here with '{'");
  return {reinterpret_cast<const char*>(bytes.data()) + sizeof length, static_cast<size_t>(length)};
}

}  // namespace

SafetensorsMap read_safetensors(std::span<const std::byte> bytes, const std::string& path,
                                SafetensorsMetadata* metadata) {
  const std::string_view header = header_text(bytes, path);
  const std::span<const std::byte> data = bytes.subspan(sizeof(uint64_t) + header.size());
  Entries entries;
  walk_json(header, path, sizeof(uint64_t), HeaderVisitor(path, entries, metadata));
  for (const auto& [name, entry] : entries)
    check_entry(path + ": tensor '" + name + "': ", entry, static_cast<int64_t>(data.size()));
  check_cover(path, entries, static_cast<int64_t>(bytes.size() - data.size()),
              static_cast<int64_t>(data.size()));

  SafetensorsMap tensors;
  for (auto& [name, entry] : entries) {
    const auto begin = static_cast<size_t>(entry.offsets[0]),
               end = static_cast<size_t>(entry.offsets[1]);
    tensors.emplace(name, SafetensorsTensor{std::move(entry.dtype), std::move(entry.shape),
                                            data.subspan(begin, end - begin)});
  }
  return tensors;
}

perdure_dtype weight_dtype(const std::string& name, const SafetensorsTensor& tensor,
                           const std::string& path) {
  if (tensor.dtype == "F32") return PERDURE_F32;
  if (tensor.dtype == "F16") return PERDURE_F16;
  if (tensor.dtype == "BF16") return PERDURE_BF16;
  throw Error(path + ": the tensor '" + name + "' has the type " + tensor.dtype +
              "; weights are F32, F16 or BF16");
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, const std::vector<Declared>& tensors,
                                     FileRules rules)
    : file_(path, rules) {
  Json::Map header;
  for (const Declared& t : tensors) {
    const int64_t begin = missing_bytes_;
    const int64_t bytes = tensor_bytes(path + ": tensor '" + t.name + "': ", t.dtype, t.shape);
    missing_bytes_ = checked_add(begin, bytes, path.c_str());
    header.push_back(
        member(t.name, object({member("dtype", t.dtype), member("shape", t.shape),
                               member("data_offsets", std::vector{begin, missing_bytes_})})));
  }
  std::string text = json_text(object(std::move(header)));
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned
  const uint64_t length = text.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(std::as_bytes(std::span(text)));
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  missing_bytes_ -= static_cast<int64_t>(bytes.size());
  if (missing_bytes_ < 0) fail("more data was given than its tensors hold");
  file_.write(bytes);
}

void SafetensorsWriter::close() {
  if (missing_bytes_ != 0)
    fail(std::to_string(missing_bytes_) + " bytes of its tensors were not given");
  file_.commit();
}

void SafetensorsWriter::fail(const std::string& what) const {
  throw Error(file_.path() + ": " + what);
}

}  // namespace perdure
