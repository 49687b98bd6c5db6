// SPDX-License-Identifier: Apache-2.0

// The safetensors container: u64 length of a JSON header, the header, raw little-endian data. A
// reader that trusts nothing and a writer that streams. What the tensors mean is said elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/types.h"
#include "core/base/mapped_file.hpp"
#include "core/base/write_file.hpp"

namespace perdure {

// A tensor of a file; `bytes` are borrowed, row-major and possibly unaligned.
struct SafetensorsTensor {
  std::string dtype;  // "F32", "F16", "BF16", "I32", "I64" or "U8"
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

using SafetensorsMap = std::map<std::string, SafetensorsTensor, std::less<>>;

// Whether the name of any tensor begins with `prefix`.
inline bool has_prefix(const SafetensorsMap& tensors, std::string_view prefix) {
  const auto it = tensors.lower_bound(prefix);
  return it != tensors.end() && it->first.starts_with(prefix);
}

// What "__metadata__" says.
using SafetensorsMetadata = std::map<std::string, std::string, std::less<>>;

// All tensors of a file's bytes, and into `metadata`, if there is one, its metadata. Sizes must
// match shapes, and tensors must cover the data exactly.
// Errors: Error with `path` and byte offset or tensor name.
SafetensorsMap read_safetensors(std::span<const std::byte> bytes, const std::string& path,
                                SafetensorsMetadata* metadata = nullptr);

// The type of a tensor as a weight. Errors: Error with path and name unless it is F32, F16 or BF16.
perdure_dtype weight_dtype(const std::string& name, const SafetensorsTensor& tensor,
                           const std::string& path);

// A mapped file and its tensors. Movable.
class SafetensorsFile {
 public:
  // Errors: Error as read_safetensors, and if the file cannot be read.
  explicit SafetensorsFile(const std::string& path)
      : file_(path), tensors_(read_safetensors(file_.bytes(), path)) {}

  const std::string& path() const { return file_.path(); }
  const SafetensorsMap& tensors() const { return tensors_; }
  // nullptr if there is none of that name.
  const SafetensorsTensor* find(std::string_view name) const {
    const auto it = tensors_.find(name);
    return it == tensors_.end() ? nullptr : &it->second;
  }
  // The mapping, for a model whose weights point into it. The tensors stay as long as it does.
  MappedFile take_file() { return std::move(file_); }

 private:
  MappedFile file_;
  SafetensorsMap tensors_;
};

// Writes tensors whose shapes are known beforehand and whose data comes in pieces. One thread.
class SafetensorsWriter {
 public:
  struct Declared {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
  };

  // Writes the header. Nothing is at `path` before close(). Errors: Error if the file cannot be
  // made or a type is unknown.
  SafetensorsWriter(const std::string& path, const std::vector<Declared>& tensors,
                    FileRules rules = {.mode = 0666});

  // The next bytes of the data, tensors in the order declared.
  // Errors: Error if the disk refuses or the tensors are full.
  void write(std::span<const std::byte> bytes);
  // Reads back what was written. Errors: Error if it is not that.
  void verify() { file_.verify(); }
  // Where the file is until close().
  const std::string& unfinished_path() const { return file_.unfinished_path(); }
  // Completes the file and puts it in its place. Errors: Error if data is missing or could not be
  // written.
  void close();

 private:
  [[noreturn]] void fail(const std::string& what) const;

  NewFile file_;
  int64_t missing_bytes_ = 0;
};

}  // namespace perdure
