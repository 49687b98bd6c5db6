// SPDX-License-Identifier: Apache-2.0

// Names of the files in a store's folder (docs/formats.md), and what a file there is.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/stores/file/posix.hpp"

namespace perdure::file_store {

struct EntryName {
  std::string_view session;
  uint64_t generation = 0;
};

// "alice@17" -> alice, 17. Locks, temporaries and whatever else lies in the folder give nothing.
std::optional<EntryName> parse_entry(std::string_view entry);
// "alice@17+" -> "alice@17": what is kept of a generation that is gone. Otherwise empty.
std::string_view kept_entry(std::string_view entry);
std::string entry_name(std::string_view name, uint64_t generation);
std::string kept_name(std::string_view name, uint64_t generation);

// Throws UsageError unless `name` is [A-Za-z0-9._-]{1,64} and neither "." nor "..".
void require_name(std::string_view name);

uint64_t bytes_of(const Descriptor& file);  // 0 if it cannot be asked
// Throws Error "`what`: ..." if the file is a folder, a device or the like.
void require_file(const Descriptor& file, const std::string& what);
// Room for the bytes of a file. Throws Error "`what`: ..." if memory does not suffice.
std::vector<std::byte> room_for(uint64_t size_bytes, const std::string& what);

bool exists_at(const Descriptor& folder, const std::string& entry);
// What the entry is, if it is no file that a store has written: "a symbolic link"; otherwise empty.
std::string oddity(const Descriptor& folder, const std::string& entry);
// Whether the entry is the file that had this status: not replaced or written since.
bool is_file_at(const Descriptor& folder, const std::string& entry, const struct stat& file);

}  // namespace perdure::file_store
