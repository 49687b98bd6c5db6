// SPDX-License-Identifier: Apache-2.0

// Memory by mmap for reserved ranges, by aligned allocation for fixed buffers.
#include "core/base/buffer.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

constexpr size_t kAlignment = 64;
// Huge pages would cost every small tensor 2 MiB; tensors beyond this size read faster with them.
constexpr size_t kHugePageBytes = size_t{8} << 20;
// From here on a buffer is fresh pages: they are zero without being written, and cost memory only
// once used.
constexpr size_t kMappedBytes = size_t{1} << 20;

// `n` rounded up to a multiple of `unit`, a power of two. Errors: Error on overflow.
size_t round_up(size_t n, size_t unit) {
  if (n > std::numeric_limits<size_t>::max() - (unit - 1))
    throw Error("cannot allocate " + std::to_string(n) + " bytes: no machine has that much");
  return (n + unit - 1) & ~(unit - 1);
}

size_t page_size() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Anonymous pages for `size_bytes`; nullptr if they cannot be had.
std::byte* map_pages(size_t size_bytes, int protection, int extra_flags) {
  void* range = mmap(nullptr, round_up(size_bytes, page_size()), protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | extra_flags, -1, 0);
  return range == MAP_FAILED ? nullptr : static_cast<std::byte*>(range);
}

// The number in a file; INT64_MAX if there is none, "max" among others.
int64_t number_in(const std::string& file) {
  std::ifstream in(file);
  int64_t number = 0;
  return in >> number && number > 0 ? number : INT64_MAX;
}

// The least limit that the group `path` or one above it has. Inside a container the path may be the
// host's and lead nowhere; the root is then the container's own group.
int64_t least_limit(const std::string& root, std::string path, const char* file) {
  int64_t least = number_in(root + "/" + file);
  for (; path.starts_with('/') && path != "/"; path.resize(path.rfind('/')))
    least = std::min(least, number_in(root + path + "/" + file));
  return least;
}

[[noreturn]] void throw_no_memory(size_t size_bytes) {
  throw Error("cannot allocate " + std::to_string(size_bytes) +
              " bytes: not enough memory; use a smaller model, step.max_rows, window or length");
}

}  // namespace

int64_t physical_memory_bytes() {
  const int64_t machine =
      static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(page_size());
  return std::min(machine, control_group_bytes("/proc/self/cgroup", "/sys/fs/cgroup"));
}

int64_t control_group_bytes(const std::string& proc_file, const std::string& root) {
  int64_t least = INT64_MAX;
  std::ifstream groups(proc_file);
  // "0::/a/b" of version 2, "7:cpu,memory:/a/b" of version 1.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, least_limit(root, path, "memory.max"));
    if (controllers.find(",memory,") != std::string::npos)
      least = std::min(least, least_limit(root + "/memory", path, "memory.limit_in_bytes"));
  }
  return least;
}

Buffer::Buffer(size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  if (size_bytes >= kMappedBytes) {
    data_ = map_pages(size_bytes, PROT_READ | PROT_WRITE, 0);
  } else {
    const size_t rounded = round_up(size_bytes, kAlignment);
    data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
    if (data_ != nullptr) std::memset(data_, 0, rounded);
  }
  if (data_ == nullptr) throw_no_memory(size_bytes);
}

Buffer::~Buffer() {
  if (size_ >= kMappedBytes)
    munmap(data_, round_up(size_, page_size()));
  else
    std::free(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void release_pages(std::span<std::byte> bytes) noexcept {
  const size_t page = page_size(), into_page = reinterpret_cast<uintptr_t>(bytes.data()) % page;
  const size_t skipped = into_page == 0 ? 0 : page - into_page;
  if (bytes.size() < skipped + page) return;
  madvise(bytes.data() + skipped, (bytes.size() - skipped) / page * page, MADV_DONTNEED);
}

ReservedBuffer::ReservedBuffer(size_t capacity_bytes, bool promised) : promised_(promised) {
  if (capacity_bytes == 0) return;
  if (promised_) data_ = map_pages(capacity_bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);
  if (data_ == nullptr) {
    promised_ = false;
    data_ = map_pages(capacity_bytes, PROT_NONE, MAP_NORESERVE);
  }
  if (data_ == nullptr)
    throw Error("cannot reserve " + std::to_string(capacity_bytes) + " bytes of address space (" +
                std::strerror(errno) +
                "); make the longest session shorter, or raise the limit of virtual memory");
  capacity_ = round_up(capacity_bytes, page_size());
  madvise(data_, capacity_, MADV_NOHUGEPAGE);
}

ReservedBuffer::~ReservedBuffer() {
  if (data_ != nullptr) munmap(data_, capacity_);
}

void ReservedBuffer::commit(size_t first, size_t size_bytes) {
  if (size_bytes > capacity_ || first > capacity_ - size_bytes)
    throw Error("a tensor that grows reached its limit of " + std::to_string(capacity_) +
                " bytes; start a new session or use a strategy with constant state");
  const size_t size = round_up(size_bytes, page_size());
  if (!promised_ && mprotect(data_ + first, size, PROT_READ | PROT_WRITE) != 0)
    throw_no_memory(size_bytes);
  if (size_bytes >= kHugePageBytes) madvise(data_ + first, size, MADV_HUGEPAGE);
}

void ReservedBuffer::release(size_t first, size_t size_bytes) noexcept {
  if (size_bytes > 0) madvise(data_ + first, round_up(size_bytes, page_size()), MADV_DONTNEED);
}

void ReservedBuffer::swap(ReservedBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  std::swap(promised_, other.promised_);
}

}  // namespace perdure
