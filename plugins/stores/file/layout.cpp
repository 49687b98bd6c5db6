// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/layout.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace perdure::file_store {
namespace {

constexpr std::array<unsigned char, 8> kMark = {'P', 'D', 'M', 'R', 'U', 'N', 'S', '\n'};
constexpr uint64_t kRunBytes = 24;
constexpr uint64_t kMaxRuns = uint64_t{1} << 20;

// Little-endian.
uint64_t number_at(std::span<const std::byte> bytes, uint64_t offset) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | static_cast<uint64_t>(bytes[offset + static_cast<uint64_t>(i)]);
  return value;
}

void append(std::vector<std::byte>& bytes, uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 255));
}

}  // namespace

uint64_t Layout::size_bytes() const {
  uint64_t bytes = 0;
  for (const Run& run : runs) bytes += run.length;
  return bytes;
}

std::set<uint64_t> Layout::others() const {
  std::set<uint64_t> found;
  for (const Run& run : runs)
    if (run.generation != 0) found.insert(run.generation);
  return found;
}

void Layout::add(const Run& run) {
  if (!runs.empty() && runs.back().generation == run.generation &&
      runs.back().offset + runs.back().length == run.offset)
    runs.back().length += run.length;
  else
    runs.push_back(run);
}

std::optional<Run> Layout::find(uint64_t at, uint64_t length) const {
  for (const Run& run : runs) {
    if (at < run.length)
      return length <= run.length - at ? std::optional(Run{run.generation, run.offset + at, length})
                                       : std::nullopt;
    at -= run.length;
  }
  return std::nullopt;
}

std::vector<std::byte> table_bytes(const Layout& layout, uint64_t own_bytes) {
  std::vector<std::byte> bytes;
  for (const Run& run : layout.runs)
    for (const uint64_t number : {run.generation, run.offset, run.length}) append(bytes, number);
  append(bytes, layout.runs.size());
  append(bytes, own_bytes);
  const auto mark = std::as_bytes(std::span(kMark));
  bytes.insert(bytes.end(), mark.begin(), mark.end());
  return bytes;
}

bool ends_as_table(std::span<const std::byte> bytes) {
  return bytes.size() >= kMark.size() &&
         std::memcmp(bytes.data() + bytes.size() - kMark.size(), kMark.data(), kMark.size()) == 0;
}

uint64_t table_size(std::span<const std::byte> end, uint64_t file_bytes) {
  if (end.size() != kTableEnd || !ends_as_table(end)) return 0;
  const uint64_t runs = number_at(end, 0), own = number_at(end, 8);
  if (runs > kMaxRuns) return 0;
  const uint64_t size = runs * kRunBytes + kTableEnd;
  return size <= file_bytes && own == file_bytes - size ? size : 0;
}

std::optional<Layout> read_table(std::span<const std::byte> table, uint64_t own_bytes) {
  constexpr uint64_t kMost = uint64_t{1} << 62;
  Layout layout;
  uint64_t total = 0;
  for (uint64_t at = 0; at + kTableEnd < table.size(); at += kRunBytes) {
    const Run run{number_at(table, at), number_at(table, at + 8), number_at(table, at + 16)};
    if (run.length > kMost || run.offset > kMost || (total += run.length) > kMost)
      return std::nullopt;
    if (run.generation == 0 && run.offset + run.length > own_bytes) return std::nullopt;
    layout.runs.push_back(run);
  }
  return layout;
}

}  // namespace perdure::file_store
