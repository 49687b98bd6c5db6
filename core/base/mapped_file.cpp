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

// Closes the descriptor when the constructor of MappedFile ends, by whichever way.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

[[noreturn]] void throw_unreadable(const std::string& path, const std::string& why) {
  throw Error("cannot read " + path + ": " + why);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK a named pipe without a writer would hang here instead of being refused.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) throw_unreadable(path, std::strerror(errno));
  struct stat status{};
  if (fstat(file.fd, &status) != 0) throw_unreadable(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    throw_unreadable(path, S_ISDIR(status.st_mode) ? "it is a directory" : "not a regular file");
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;  // mmap refuses empty ranges
  void* range = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (range == MAP_FAILED) throw_unreadable(path, std::strerror(errno));
  data_ = static_cast<const std::byte*>(range);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace perdure
