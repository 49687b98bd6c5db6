// SPDX-License-Identifier: Apache-2.0

// Saving a session: the head of its snapshot, and the rows of its states as they lie.
#include "core/engine/session_contents.hpp"

#include <cmath>
#include <limits>
#include <numeric>

namespace perdure {
namespace {

SessionValue list_value(std::span<const int64_t> numbers) {
  std::string text;
  for (const int64_t n : numbers) text += (text.empty() ? "" : " ") + std::to_string(n);
  return text;
}

SessionValues values_of(const Session::Impl& session) {
  SessionValues values = session.values;
  const Engine::Impl& engine = *session.engine;
  const auto usual = Segment::of_full_ones(session.position, engine.traits.segment_length);
  if (session.segment != usual) values[kSegmentValue] = list_value(session.segment.values());
  if (!session.counts.empty()) values[kCountsValue] = list_value(session.counts.values());
  for (size_t i = 0; i < engine.inputs.size(); ++i)
    if (!session.stream_chunks[i].empty())
      values[chunks_value(engine.inputs[i].stream.name)] = list_value(session.stream_chunks[i]);
  return values;
}

// Tokens of a band, so many that no row of several tokens lies in two.
int64_t band_tokens(const StateLayout& layout, const std::string& stream) {
  constexpr int64_t kLeast = 16, kMost = 4096;
  int64_t tokens = kLeast;
  for (const StateSpec& spec : layout.specs())
    if (spec.growth == Growth::kAppended && spec.stream == stream && tokens <= kMost)
      tokens = std::lcm(tokens, std::clamp<int64_t>(spec.tokens_per_row, 1, kMost));
  return tokens;
}

// What is appended to with the text comes behind what input streams append to, as it grows more
// often.
void lay_in_bands(SnapshotTensor& tensor, const Engine::Impl& engine, const StateSpec& spec) {
  if (spec.growth != Growth::kAppended) return;
  const size_t number =
      spec.stream.empty() ? engine.inputs.size() : engine.input_number(spec.stream);
  tensor.series = static_cast<uint32_t>(number + 1);
  tensor.band_rows = std::max<int64_t>(
      1, band_tokens(*engine.layout, spec.stream) / std::max<int64_t>(1, spec.tokens_per_row));
}

// Everything but the values of the tensors.
SnapshotContents head_of(const Session::Impl& session) {
  const Engine::Impl& engine = *session.engine;
  SnapshotContents head;
  head.identity = engine.identity();
  head.notes["configuration"] = dump_settings(engine.settings, shown_options(engine.strategies));
  head.values = values_of(session);
  head.position = session.position;
  head.random_state = session.random.state;
  head.tail = session.tail;
  for (size_t i = 0; i < engine.layout->specs().size(); ++i) {
    const StateSpec& spec = engine.layout->specs()[i];
    const int64_t rows = session.state.live_rows(i, session.position);
    SnapshotTensor tensor{spec.name, rows, spec.columns, {}, spec.type};
    lay_in_bands(tensor, engine, spec);
    head.tensors.push_back(std::move(tensor));
  }
  return head;
}

}  // namespace

void require_sound(const StateSpec& spec, std::span<const float> values) {
  constexpr float kLargest = 1e30f;
  const float largest = spec.extremes ? std::numeric_limits<float>::infinity() : kLargest;
  const auto bad =
      std::ranges::find_if(values, [&](float value) { return !(std::abs(value) <= largest); });
  if (bad != values.end())
    throw Error("the state '" + spec.name + "' holds the value " + std::to_string(*bad) +
                ", which no sound computation leaves there: it is neither saved nor restored; go " +
                "on from an older generation");
}

SnapshotParts parts_of(const Session::Impl& session) {
  session.require_intact();
  const auto& specs = session.engine->layout->specs();
  return {head_of(session), specs,
          all_live_runs<const float>(session.state, specs.size(), session.position)};
}

void write_parts(const SnapshotParts& parts, const SnapshotSink& sink) {
  const auto give_values = [&](const SnapshotRun& run, const ValueSink& values) {
    const StateSpec& spec = parts.specs[run.tensor];
    each_piece(parts.runs[run.tensor], run, spec.columns, [&](std::span<const float> piece) {
      require_sound(spec, piece);
      values(std::as_bytes(piece));
    });
  };
  write_snapshot(parts.head, give_values, sink);
}

void Session::snapshot(const SnapshotSink& sink) const { write_parts(parts_of(*impl_), sink); }

}  // namespace perdure
