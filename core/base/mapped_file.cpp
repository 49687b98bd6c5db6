// SPDX-License-Identifier: Apache-2.0

// Read-only mapping of regular files.
#include "core/base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

FileStamp stamp_of(const struct stat& status) {
  const auto nanoseconds = [](const timespec& t) {
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
  };
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = status.st_size,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

[[noreturn]] void throw_unreadable(const std::string& path, const std::string& why) {
  throw Error("cannot read " + path + ": " + why);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK a named pipe without a writer would hang here instead of being refused.
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw_unreadable(path, std::strerror(errno));
  struct stat status{};
  if (fstat(file.number(), &status) != 0) throw_unreadable(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    throw_unreadable(path, S_ISDIR(status.st_mode) ? "it is a directory" : "not a regular file");
  stamp_ = stamp_of(status);
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {  // mmap refuses empty ranges
    void* range = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (range == MAP_FAILED) throw_unreadable(path, std::strerror(errno));
    data_ = static_cast<const std::byte*>(range);
  }
  file_ = std::move(file);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

// The time of the last change of attributes says nothing here: a new name or mode moves it too.
bool MappedFile::written_since() const noexcept {
  struct stat status{};
  if (!file_ || fstat(file_.number(), &status) != 0) return false;
  const FileStamp now = stamp_of(status);
  return now.size_bytes != stamp_.size_bytes || now.modified_ns != stamp_.modified_ns;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      stamp_(other.stamp_),
      file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(stamp_, other.stamp_);
  std::swap(file_, other.file_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace perdure
