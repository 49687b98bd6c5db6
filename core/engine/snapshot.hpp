// SPDX-License-Identifier: Apache-2.0

// The bytes of a snapshot: magic, format version, tensors in canonical layout, identity, session
// values, XXH3 per chunk of at most 1 MiB, trailer with the total length (docs/formats.md). What is
// appended to goes first, so that a session that has grown begins with the same bytes as before.
// Only the bytes: what they mean to a session is session.cpp's.
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
  // Tensors of one series, unless 0, are appended to together: band after band, so many rows of
  // each. Not of Q80.
  uint32_t series = 0;
  int64_t band_rows = 0;

  // Bytes that a snapshot has of it. Requires: the type has rows of so many columns.
  int64_t size_bytes() const;
  // The same of `n` rows. Requires: n is `rows`, or the type is not Q80.
  int64_t bytes_of_rows(int64_t n) const { return rows == 0 ? 0 : size_bytes() / rows * n; }
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

// Rows of a tensor that lie side by side.
struct SnapshotRun {
  size_t tensor = 0;  // its number
  int64_t first = 0, rows = 0;
};

// The rows of all tensors in the order in which a snapshot has them: series after series, band
// after band, then tensor after tensor what is in no series. Requires: bands have rows.
void each_run(std::span<const SnapshotTensor> tensors,
              const std::function<void(const SnapshotRun& run)>& visit);

// Receives a snapshot piece by piece, at most 1 MiB at a time; a piece is valid during the call.
using SnapshotSink = snapshot_frame::Sink;

// Writes a snapshot in pieces. `head`: everything but the tensors' values. `give_values` is called
// for every run of each_run and passes on its bytes_of_rows(), front to back, in any number of
// pieces; of F32 whole values. Holds 1 MiB. Errors: Error if the contents are over a limit of the
// format or a run was given not as many bytes as its rows have; whatever the sink throws. What the
// sink received then is worth nothing.
using ValueSink = std::function<void(std::span<const std::byte> piece)>;
using ValueSource = std::function<void(const SnapshotRun& run, const ValueSink& sink)>;
void write_snapshot(const SnapshotContents& head, const ValueSource& give_values,
                    const SnapshotSink& sink);
// The same in one piece, with the values that the contents hold.
std::vector<std::byte> encode_snapshot(const SnapshotContents& contents);

// Reads a snapshot whose values go elsewhere than into SnapshotContents. Borrows the bytes.
class SnapshotReader {
 public:
  // Checks the whole file and reads everything but the values. Errors: as decode_snapshot.
  explicit SnapshotReader(std::span<const std::byte> bytes);

  const SnapshotContents& contents() const { return contents_; }
  // Bytes of the file that are read: no method needs them again.
  uint64_t bytes_read() const { return in_.offset(); }
  // The next values, in the order of each_run. Errors: Error beyond the last.
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
