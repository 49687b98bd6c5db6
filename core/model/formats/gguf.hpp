// SPDX-License-Identifier: Apache-2.0

// The GGUF container, versions 2 and 3: typed metadata and tensors, as views into a file's bytes. A
// reader that trusts nothing; what keys and tensors mean is said elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/types.h"

namespace perdure {

// Types of metadata values; the numbers are the file's.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kText = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12
};

// A value, or the elements of an array, where they lie in the file; a single text without the
// length before it, those of an array each with it.
struct GgufValue {
  GgufType type = GgufType::kU8;  // of an array: its elements'
  bool is_array = false;
  int64_t count = 1;
  int64_t offset = 0;  // of its bytes in the file
  std::span<const std::byte> bytes = {};
};

// `shape` is the file's, fastest dimension first: [columns, rows].
struct GgufTensor {
  perdure_dtype dtype = PERDURE_F32;
  std::vector<int64_t> shape = {};
  int64_t offset = 0;  // of its description in the file, for messages
  std::span<const std::byte> bytes = {};

  int64_t columns() const { return shape[0]; }
  int64_t rows() const { return shape.size() > 1 ? shape[1] : 1; }
};

// Borrows the bytes that it was read from. Immutable; any thread.
class Gguf {
 public:
  // All of a file's bytes. Offsets, sizes and alignment are checked, and that no tensors overlap.
  // Errors: Error with `path` and the byte offset of what is wrong or not supported.
  Gguf(std::span<const std::byte> bytes, std::string path);

  const std::string& path() const { return path_; }
  // Keys and names, and below the results, are valid as long as the bytes.
  const std::map<std::string_view, GgufValue>& metadata() const { return metadata_; }
  const std::map<std::string_view, GgufTensor>& tensors() const { return tensors_; }
  const GgufValue* find(std::string_view key) const;

  // The value of that key, nothing if there is none. Whole numbers may be of any integer type, a
  // number of real() of any number type. Errors: Error naming key and byte offset of a value of
  // another type, of a number that int64 cannot hold and of a real that is not finite.
  std::optional<int64_t> whole(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  // An array of whole numbers or a single one; nothing if there is none. Bounded by the file: at
  // most kMostNumbers. Errors: as whole.
  static constexpr int64_t kMostNumbers = int64_t{1} << 20;
  std::vector<int64_t> wholes(std::string_view key) const;
  // An array of F32. Errors: as whole.
  std::vector<float> reals(std::string_view key) const;
  // An array of at most kMostNumbers texts. Errors: as whole.
  std::vector<std::string_view> texts(std::string_view key) const;

  // "PATH: byte offset N: the key 'KEY' WHAT"; without the offset if the file has no such key.
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;
  [[noreturn]] void fail_missing(std::string_view key) const;

 private:
  friend class GgufReader;
  const GgufValue& array(std::string_view key, const GgufValue& value) const;

  std::string path_;
  std::map<std::string_view, GgufValue> metadata_;
  std::map<std::string_view, GgufTensor> tensors_;
};

// The number by which a file names a type of tensors. Requires: a type that can be read.
uint32_t gguf_type_id(perdure_dtype dtype);

// Whether the bytes begin as a GGUF file does.
bool is_gguf(std::span<const std::byte> bytes);

}  // namespace perdure
