// SPDX-License-Identifier: Apache-2.0

// For tools that read a whole mapped file once: memory that is given back as they go.
#pragma once

#include <cstddef>
#include <span>

#include "core/base/mapped_file.hpp"

namespace perdure {

// Gives the memory of bytes of the file back to the system; they are read again when needed. Bytes
// that lie elsewhere are left alone. Any thread.
void release_pages(const MappedFile& file, std::span<const std::byte> bytes) noexcept;

}  // namespace perdure
