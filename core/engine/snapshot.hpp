// SPDX-License-Identifier: Apache-2.0

// The bytes of a snapshot: magic, format version, identity, session values, tensors in canonical
// layout, XXH3 per chunk of at most 1 MiB, trailer with the total length (docs/formats.md). Only
// the bytes: what they mean to a session is session.cpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/api/types.h"
#include "core/engine/session_values.hpp"
#include "core/engine/snapshot_frame.hpp"

namespace perdure {

// Tokens of tail that a snapshot can hold.
inline constexpr uint32_t kMaxSnapshotTail = 1u << 20;

// The furthest position that is read: rows beside and behind it are counted too.
inline constexpr int64_t kMaxSnapshotPosition = int64_t{1} << 62;

// The live rows of one state tensor in logical order.
struct SnapshotTensor {
  std::string name;
  int64_t rows = 0, columns = 0;
  std::vector<float> values;           // of F32: rows * columns
  uint32_t type = PERDURE_F32;         // enum perdure_dtype
  int64_t group_size = 0;              // Q80: consecutive values that share a scale, within a row
  std::vector<std::byte> stored = {};  // of other types: the rows, then of Q80 the F32 scales

  // Bytes that a snapshot has of it. Requires: the type has rows of so many columns.
  int64_t size_bytes() const;
};

struct SnapshotContents {
  std::string identity;  // "name: value" lines; compared on restore
  // Recorded, never compared: kernels, machine, configuration hash, time.
  std::map<std::string, std::string> notes;
  // What the session is to remember beside its tensors. None in version 1.
  SessionValues values;
  int64_t position = 0;
  uint64_t random_state = 0;
  std::vector<int32_t> tail;
  std::vector<SnapshotTensor> tensors;
};

// Receives a snapshot piece by piece, at most 1 MiB at a time; a piece is valid during the call.
using SnapshotSink = snapshot_frame::Sink;

// Writes a snapshot in pieces. `head`: everything but the tensors' values. `give_values` is called
// once per tensor, in order, and hands over its size_bytes(), front to back, in any number of runs;
// of F32 whole values. Holds 1 MiB. Errors: Error if the contents are over a limit of the format or
// a tensor was given not as many bytes as its shape says; whatever the sink throws. What the sink
// received then is worth nothing.
using ValueSink = std::function<void(std::span<const std::byte> run)>;
void write_snapshot(const SnapshotContents& head,
                    const std::function<void(size_t tensor, const ValueSink& sink)>& give_values,
                    const SnapshotSink& sink);
// The same in one piece, with the values that the contents hold.
std::vector<std::byte> encode_snapshot(const SnapshotContents& contents);

// Reads a snapshot whose values go elsewhere than into SnapshotContents. Borrows the bytes.
class SnapshotReader {
 public:
  // Checks the whole file and reads everything but the values. Errors: as decode_snapshot.
  explicit SnapshotReader(std::span<const std::byte> bytes);

  const SnapshotContents& contents() const { return contents_; }
  // The next values: tensor after tensor, front to back. Errors: Error beyond the last.
  void read_values(std::span<float> values) { in_.numbers(values); }
  // The same of tensors of other types.
  void read_stored(std::span<std::byte> bytes) { in_.bytes(bytes.data(), bytes.size()); }

 private:
  snapshot_frame::Reader in_;
  SnapshotContents contents_;
};

// Validates everything before returning. Errors: Error naming the byte offset of what is wrong:
// wrong magic, unknown version, truncation, trailing bytes, a chunk whose checksum differs, sizes
// that do not fit, a position beyond
// kMaxSnapshotPosition. Never uses more memory than the input's size + 64 MiB.
SnapshotContents decode_snapshot(std::span<const std::byte> bytes);

// Everything but the tensors' values; checks as decode_snapshot does. For `memory inspect`.
SnapshotContents decode_snapshot_header(std::span<const std::byte> bytes);

// The first lines that differ, as "weights 'b' (here 'a'), no update (here 'segment') and 4 more";
// empty if equal.
std::string describe_identity_difference(const std::string& expected, const std::string& found);

}  // namespace perdure
