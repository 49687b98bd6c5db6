// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/posix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace perdure::file_store {

int FileSystem::open_at(int folder, const char* name, int flags, mode_t mode) {
  return ::openat(folder, name, flags, mode);
}

ssize_t FileSystem::read(int file, void* to, size_t size_bytes) {
  return ::read(file, to, size_bytes);
}

ssize_t FileSystem::write(int file, const void* from, size_t size_bytes) {
  return ::write(file, from, size_bytes);
}

int FileSystem::sync(int file) { return ::fsync(file); }

int FileSystem::rename_at(int folder, const char* from, const char* to) {
  if (::renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // A file system without the flag: look first. Only a second writer that ignores the lock could
  // come in between.
  struct stat status;
  if (::fstatat(folder, to, &status, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::renameat(folder, from, folder, to);
}

int FileSystem::unlink_at(int folder, const char* name) { return ::unlinkat(folder, name, 0); }

FileSystem& real_file_system() {
  static FileSystem system;
  return system;
}

Descriptor::~Descriptor() {
  // What mattered was synced before; a close that fails has nothing left to say.
  if (number_ >= 0) ::close(number_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

bool is_same_file(const Descriptor& folder, const char* name, const Descriptor& file) {
  struct stat at_name;
  struct stat open;
  return ::fstatat(folder.number(), name, &at_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstat(file.number(), &open) == 0 && at_name.st_dev == open.st_dev &&
         at_name.st_ino == open.st_ino;
}

}  // namespace perdure::file_store
