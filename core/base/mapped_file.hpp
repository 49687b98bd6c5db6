// SPDX-License-Identifier: Apache-2.0

// A file mapped read-only into memory. Weights are views into it; nothing is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/descriptor.hpp"

namespace perdure {

// What distinguishes two states of a file without reading it. Times are in nanoseconds since
// the epoch: of the last write, and of the last change of contents or attributes.
struct FileStamp {
  uint64_t device = 0, inode = 0;
  int64_t size_bytes = 0;
  int64_t modified_ns = 0, changed_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

// Movable, not copyable; mapping and descriptor end with the object. Concurrent reading is fine.
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
  // The open file. Borrowed; -1 after a move.
  int descriptor() const { return file_.number(); }
  // As it was when the file was opened.
  const FileStamp& stamp() const { return stamp_; }
  // Whether the mapped file was written to or cut since it was opened. A file that was renamed, or
  // replaced by another of its name, is still the one that was opened. Any thread.
  bool written_since() const noexcept;

 private:
  std::string path_;
  FileStamp stamp_;
  Descriptor file_;  // kept: the path may name another file by now
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace perdure
