// SPDX-License-Identifier: Apache-2.0

// The functions that take memory, defined in the program so that they stand before those of the C
// library for every library that is loaded.
#include "tests/engine/allocation/counters.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> count{0};

void note() {
  if (counting.load(std::memory_order_relaxed)) count.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t n, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* p);

void* malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void* calloc(size_t n, size_t size) {
  note();
  return __libc_calloc(n, size);
}

void* realloc(void* old, size_t size) {
  note();
  return __libc_realloc(old, size);
}

void* memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** result, size_t alignment, size_t size) {
  *result = memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}

void free(void* p) { __libc_free(p); }

void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) noexcept {
  note();
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, size, protection, flags, file, offset));
}

void* mremap(void* old, size_t old_size, size_t new_size, int flags, ...) noexcept {
  note();
  va_list arguments;
  va_start(arguments, flags);
  void* wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void*) : nullptr;
  va_end(arguments);
  return reinterpret_cast<void*>(syscall(SYS_mremap, old, old_size, new_size, flags, wanted));
}

}  // extern "C"

namespace perdure::testing {

void count_allocations() {
  count = 0;
  counting = true;
}

int64_t stop_counting() {
  counting = false;
  return count;
}

}  // namespace perdure::testing
