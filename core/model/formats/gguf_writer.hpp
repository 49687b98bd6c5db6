// SPDX-License-Identifier: Apache-2.0

// Writes GGUF files, version 3: keys, descriptions of tensors, then their data as it comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/write_file.hpp"
#include "core/model/formats/gguf.hpp"

namespace perdure {

// Keys with their values, in the order of the file. Owns them.
class GgufKeys {
 public:
  // Each replaces the key's value, or adds the key at the end.
  void set_whole(const std::string& key, uint32_t value);
  void set_real(const std::string& key, float value);
  void set_flag(const std::string& key, bool value);
  void set_text(const std::string& key, std::string_view value);
  void set_texts(const std::string& key, std::span<const std::string> values);
  void set_wholes(const std::string& key, std::span<const int32_t> values);
  void set_reals(const std::string& key, std::span<const float> values);
  // As it is in a file.
  void set(const std::string& key, const GgufValue& value);
  // All of these.
  void set_all(const GgufKeys& keys);
  void erase(std::string_view key);

  size_t size() const { return entries_.size(); }
  // As a file has them, one behind the other.
  std::string bytes() const;

 private:
  struct Entry {
    std::string key;
    std::string value;  // with its type, as a file has it
  };
  void put(const std::string& key, std::string value);

  std::vector<Entry> entries_;
};

// A tensor of a file; `shape` is the file's, fastest dimension first.
struct GgufDeclared {
  std::string name;
  perdure_dtype dtype = PERDURE_F32;
  std::vector<int64_t> shape = {};
};

// One thread. Nothing is at the path before commit().
class GgufWriter {
 public:
  // Writes everything but the data. Requires: rows of whole blocks, and an alignment of 32 (no key
  // `general.alignment`). Errors: Error naming the path if the file cannot be made.
  GgufWriter(const std::string& path, const GgufKeys& keys, std::vector<GgufDeclared> tensors,
             FileRules rules);

  // The next bytes of the data, tensors in the order declared. Errors: Error if the disk refuses or
  // all tensors are full.
  void write(std::span<const std::byte> bytes);
  // Reads the file back. Errors: Error naming it if data is missing or is not what was written.
  void verify();
  // Where the file is until commit(), for who wants to read the model in it.
  const std::string& unfinished_path() const { return file_.unfinished_path(); }
  // Puts the file in its place. Errors: as NewFile::commit.
  void commit() { file_.commit(); }

 private:
  void begin_tensor();

  NewFile file_;
  std::vector<int64_t> sizes_;  // of the tensors, in bytes
  size_t next_ = 0;             // the tensor behind the running one
  int64_t missing_bytes_ = 0;   // of the running one
};

}  // namespace perdure
