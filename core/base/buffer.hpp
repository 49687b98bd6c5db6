// SPDX-License-Identifier: Apache-2.0

// Owned memory: fixed buffers for arenas and packed weights, and reserved ranges that grow in place
// for appended state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace perdure {

// What this machine has, in bytes.
int64_t physical_memory_bytes();

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

// One contiguous range of address space, committed in blocks from the front; the address never
// changes. Fresh memory reads as zero. Movable.
class ReservedBuffer {
 public:
  ReservedBuffer() = default;
  // Reserves `capacity_bytes` and commits nothing. Errors: Error if the address space cannot be
  // had.
  explicit ReservedBuffer(size_t capacity_bytes);
  ~ReservedBuffer();
  ReservedBuffer(ReservedBuffer&& other) noexcept;
  ReservedBuffer& operator=(ReservedBuffer&& other) noexcept;

  // Makes at least the first `size_bytes` usable. Errors: Error if over capacity or out of memory;
  // nothing changes then.
  void commit(size_t size_bytes);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t committed() const { return committed_; }
  size_t capacity() const { return capacity_; }

 private:
  std::byte* data_ = nullptr;
  size_t committed_ = 0;
  size_t capacity_ = 0;
};

}  // namespace perdure
