// SPDX-License-Identifier: Apache-2.0

// Owned memory: fixed buffers for arenas, packed weights and constant state, and reserved ranges in
// which growing state grows in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace perdure {

// What this process may use, in bytes: the machine's memory, or less where a control group (a
// container, a service) is given less. Read again at each call.
int64_t physical_memory_bytes();
// The same with control groups as `proc_file` (as /proc/self/cgroup) names them below `root` (as
// /sys/fs/cgroup), of version 2 or 1; INT64_MAX if nothing there limits it.
int64_t control_group_bytes(const std::string& proc_file, const std::string& root);

// Zeroed memory aligned to 64 bytes. Movable. Errors: Error if the memory cannot be had.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size_bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Gives back the memory of the whole pages among these bytes. Requires: they are of a private
// allocation, and they are not read again.
void release_pages(std::span<std::byte> bytes) noexcept;

// One range of address space in one mapping; the address never changes. Fresh memory reads as zero
// and costs memory only once it is used. Movable.
class ReservedBuffer {
 public:
  ReservedBuffer() = default;
  // Reserves `capacity_bytes`. Where the system counts what it promises
  // (vm.overcommit_memory = 2), or if `promised` is false, the range is only usable as far as it
  // is committed. Errors: Error if the address space cannot be had.
  explicit ReservedBuffer(size_t capacity_bytes, bool promised = true);
  ~ReservedBuffer();
  ReservedBuffer(ReservedBuffer&& other) noexcept { swap(other); }
  ReservedBuffer& operator=(ReservedBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  // Makes bytes first .. first + size_bytes - 1 usable. Requires: `first` is the begin of a page.
  // Errors: Error if over capacity or out of memory; nothing changes then.
  void commit(size_t first, size_t size_bytes);
  // Gives the memory of these bytes back; they read as zero from now on. Requires: committed, and
  // `first` is the begin of a page.
  void release(size_t first, size_t size_bytes) noexcept;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  void swap(ReservedBuffer& other) noexcept;

  std::byte* data_ = nullptr;
  size_t capacity_ = 0;
  bool promised_ = true;
};

}  // namespace perdure
