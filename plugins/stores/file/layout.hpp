// SPDX-License-Identifier: Apache-2.0

// What a generation's file is made of (docs/formats.md). A plain file is the snapshot itself. One
// that shares has its own bytes, then a table of runs that say where the snapshot's bytes lie: here
// or in the file of an earlier generation, which stays for as long as it is named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace perdure::file_store {

// Bytes of a snapshot that lie side by side in one file.
struct Run {
  uint64_t generation = 0;  // whose file; 0: the one that holds the table
  uint64_t offset = 0;      // in it
  uint64_t length = 0;
};

struct Layout {
  std::vector<Run> runs;

  uint64_t size_bytes() const;  // of the snapshot
  // Generations whose files are needed beside the own one.
  std::set<uint64_t> others() const;
  // Joins it to the last run if it continues it.
  void add(const Run& run);
  // Where `length` bytes from `at` on lie, if in one run.
  std::optional<Run> find(uint64_t at, uint64_t length) const;
};

inline constexpr uint64_t kTableEnd = 24;  // bytes behind the runs: their number, own bytes, mark

// The table as it stands behind `own_bytes` bytes of the file.
std::vector<std::byte> table_bytes(const Layout& layout, uint64_t own_bytes);
// Bytes of the table and its end, and 0 for a plain file, by the file's last kTableEnd bytes.
uint64_t table_size(std::span<const std::byte> end, uint64_t file_bytes);
// The runs of a table. Nothing if they name bytes that the own part does not have, or are too many
// to add up.
std::optional<Layout> read_table(std::span<const std::byte> table, uint64_t own_bytes);
// Whether plain bytes that end so would be taken for a table.
bool ends_as_table(std::span<const std::byte> bytes);

}  // namespace perdure::file_store
