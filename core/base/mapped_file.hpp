// SPDX-License-Identifier: Apache-2.0

// A file mapped read-only into memory. Weights are views into it; nothing is copied.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace perdure {

// Movable, not copyable; the mapping ends with the object. Concurrent reading is fine.
class MappedFile {
 public:
  // Errors: Error naming the path if it is missing, unreadable or not a regular file. An empty file
  // maps to an empty span.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace perdure
