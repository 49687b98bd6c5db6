// SPDX-License-Identifier: Apache-2.0

#include "core/base/mapped_pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace perdure {

void release_pages(const MappedFile& file, std::span<const std::byte> bytes) noexcept {
  const std::span<const std::byte> all = file.bytes();
  if (bytes.data() < all.data() || bytes.data() + bytes.size() > all.data() + all.size()) return;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<size_t>(bytes.data() - all.data()) / page * page;
  const size_t end = static_cast<size_t>(bytes.data() - all.data()) + bytes.size();
  madvise(const_cast<std::byte*>(all.data()) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace perdure
