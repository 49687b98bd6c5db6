// SPDX-License-Identifier: Apache-2.0

// The system calls a stored memory depends on, behind one small class, so that the tests can make
// the k-th of them fail and can replay what a power cut leaves. Everything else of POSIX the store
// calls directly.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace perdure::file_store {

// For every open of a file: never a link, never into a child, never wait on a fifo.
inline constexpr int kNever = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

// Results and errno as POSIX says. Thread safety: as the system's.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual int open_at(int folder, const char* name, int flags, mode_t mode);
  virtual ssize_t read(int file, void* to, size_t size_bytes);
  virtual ssize_t write(int file, const void* from, size_t size_bytes);
  virtual int sync(int file);
  // Never replaces: EEXIST if there is a `to` (where the file system can say so in one step).
  virtual int rename_at(int folder, const char* from, const char* to);
  virtual int unlink_at(int folder, const char* name);
};

FileSystem& real_file_system();

// Owns a file descriptor; -1 owns nothing.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// True if `name` in `folder` is the open file itself, not one that took its place.
bool is_same_file(const Descriptor& folder, const char* name, const Descriptor& file);

}  // namespace perdure::file_store
