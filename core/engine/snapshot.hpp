// SPDX-License-Identifier: Apache-2.0

// The bytes of a snapshot: magic, format version, identity, tensors in canonical layout, XXH3 per
// chunk of at most 1 MiB, trailer with the total length (docs/formats.md). Only the bytes: what
// they mean to a session is session.cpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace perdure {

// Tokens of tail that a snapshot can hold.
inline constexpr uint32_t kMaxSnapshotTail = 1u << 20;

// The live rows of one state tensor, F32, in logical order.
struct SnapshotTensor {
  std::string name;
  int64_t rows = 0, columns = 0;
  std::vector<float> values;  // rows * columns
};

struct SnapshotContents {
  std::string identity;  // "name: value" lines; compared on restore
  // Recorded, never compared: kernels, machine, configuration hash, time.
  std::map<std::string, std::string> notes;
  int64_t position = 0;
  uint64_t random_state = 0;
  std::vector<int32_t> tail;
  std::vector<SnapshotTensor> tensors;
};

// Little-endian on every machine.
std::vector<std::byte> encode_snapshot(const SnapshotContents& contents);

// Validates everything before returning. Errors: Error naming the byte offset of what is wrong:
// wrong magic, unknown version, truncation, trailing bytes, a chunk whose checksum differs, sizes
// that do not fit. Never uses more memory than the input's size + 64 MiB.
SnapshotContents decode_snapshot(std::span<const std::byte> bytes);

// Everything but the tensors' values; checks as decode_snapshot does. For `memory inspect`.
SnapshotContents decode_snapshot_header(std::span<const std::byte> bytes);

// The first lines that differ, as "weights 'b' (here 'a'), no update (here 'segment') and 4 more";
// empty if equal.
std::string describe_identity_difference(const std::string& expected, const std::string& found);

}  // namespace perdure
