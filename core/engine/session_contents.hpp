// SPDX-License-Identifier: Apache-2.0

// What saving and restoring a session share: the engine's own values in a snapshot, and where the
// rows of a state lie. Not a public header.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine_impl.hpp"
#include "core/engine/snapshot.hpp"

namespace perdure {

// Names of the engine's session values, lists of numbers as text; what a snapshot does not hold is
// as it is without them.
inline constexpr const char* kSegmentValue = "engine.segment";
inline constexpr const char* kCountsValue = "engine.counts";
inline std::string chunks_value(const std::string& stream) { return "engine.chunks:" + stream; }

// Errors: Error if the values cannot be those of a computation that went well.
void require_sound(const StateSpec& spec, std::span<const float> values);

// The live rows of a tensor, in logical order.
template <typename T>
using Runs = std::vector<std::span<T>>;

// Calls `use` with the values of these rows, in order, in as few pieces as they lie.
template <typename T, typename Use>
void each_piece(const Runs<T>& runs, const SnapshotRun& rows, int64_t columns, Use&& use) {
  auto skip = static_cast<size_t>(rows.first * columns),
       left = static_cast<size_t>(rows.rows * columns);
  for (const std::span<T> run : runs) {
    const size_t skipped = std::min(skip, run.size());
    const size_t taken = std::min(left, run.size() - skipped);
    if (taken > 0) use(run.subspan(skipped, taken));
    skip -= skipped;
    left -= taken;
  }
}

template <typename T, typename State>
std::vector<Runs<T>> all_live_runs(State& state, size_t n_states, int64_t position) {
  std::vector<Runs<T>> runs;
  for (size_t i = 0; i < n_states; ++i) runs.push_back(state.live_runs(i, position));
  return runs;
}

// What a snapshot is written from: everything but the values, and where these lie.
struct SnapshotParts {
  SnapshotContents head;
  std::span<const StateSpec> specs;
  std::vector<Runs<const float>> runs;
};

// Errors: Error if the session has failed.
SnapshotParts parts_of(const Session::Impl& session);
// Errors: as Session::snapshot.
void write_parts(const SnapshotParts& parts, const SnapshotSink& sink);

}  // namespace perdure
