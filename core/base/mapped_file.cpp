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
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_unreadable(path, std::strerror(errno));
  MappedFile opened;  // closes the descriptor if the rest fails
  opened.path_ = path;
  opened.fd_ = fd;
  struct stat status{};
  if (fstat(fd, &status) != 0) throw_unreadable(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    throw_unreadable(path, S_ISDIR(status.st_mode) ? "it is a directory" : "not a regular file");
  opened.stamp_ = stamp_of(status);
  opened.size_ = static_cast<size_t>(status.st_size);
  if (opened.size_ > 0) {  // mmap refuses empty ranges
    void* range = mmap(nullptr, opened.size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (range == MAP_FAILED) throw_unreadable(path, std::strerror(errno));
    opened.data_ = static_cast<const std::byte*>(range);
  }
  *this = std::move(opened);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) close(fd_);
}

// The time of the last change of attributes says nothing here: a new name or mode moves it too.
bool MappedFile::written_since() const noexcept {
  struct stat status{};
  if (fd_ < 0 || fstat(fd_, &status) != 0) return false;
  const FileStamp now = stamp_of(status);
  return now.size_bytes != stamp_.size_bytes || now.modified_ns != stamp_.modified_ns;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      stamp_(other.stamp_),
      fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(stamp_, other.stamp_);
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace perdure
