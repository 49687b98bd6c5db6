// SPDX-License-Identifier: Apache-2.0

// Input streams: what strategies may declare of them, and reading their chunks, of which as many of
// one session as fit pass through a step together.
#include <algorithm>

#include "core/engine/engine_impl.hpp"

namespace perdure {

// Strategies of different layers may share a stream.
void Engine::Impl::add_input(const InputStream& stream) {
  for (const InputGraph& input : inputs) {
    if (input.stream.name != stream.name) continue;
    if (input.stream == stream) return;
    throw Error("two strategies declare the input stream '" + stream.name +
                "' with another vocabulary or another length of chunks");
  }
  if (stream.vocab_size < 1 || stream.max_chunk < 1)
    throw Error("the input stream '" + stream.name +
                "' is declared without a vocabulary or without a length of chunks");
  inputs.push_back({stream, {}});
}

// A snapshot tells the length of a stream by the rows of the states that grow with it.
void Engine::Impl::check_inputs() const {
  const auto& specs = layout->specs();
  for (const StateSpec& spec : specs)
    if (!spec.stream.empty() && std::ranges::none_of(inputs, [&](const InputGraph& input) {
          return input.stream.name == spec.stream;
        }))
      throw Error("the state '" + spec.name + "' is declared to grow with the input stream '" +
                  spec.stream + "', which no strategy declares");
  for (const InputGraph& input : inputs)
    if (std::ranges::none_of(
            specs, [&](const StateSpec& spec) { return spec.stream == input.stream.name; }))
      throw Error("the input stream '" + input.stream.name +
                  "' is declared without a state that grows with it");
}

size_t Engine::Impl::input_number(const std::string& stream) const {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].stream.name == stream) return i;
  throw Error("this model and strategy have no input stream '" + stream + "'");
}

void Engine::Impl::check_chunks(const InputStream& stream,
                                std::span<const std::span<const int32_t>> chunks,
                                int64_t length) const {
  const std::string what = "of the input stream '" + stream.name + "'";
  int64_t room = layout->max_length(stream.name) - length;
  for (size_t c = 0; c < chunks.size(); ++c) {
    const auto n = static_cast<int64_t>(chunks[c].size());
    if (n == 0 || n > stream.max_chunk)
      throw Error("chunk " + std::to_string(c) + " " + what + " has " + std::to_string(n) +
                  " tokens; it must have 1 to " + std::to_string(stream.max_chunk));
    for (size_t t = 0; t < chunks[c].size(); ++t)
      if (chunks[c][t] < 0 || chunks[c][t] >= stream.vocab_size)
        throw Error("token " + std::to_string(t) + " in chunk " + std::to_string(c) + " " + what +
                    " is " + std::to_string(chunks[c][t]) + ", but its vocabulary has ids 0 to " +
                    std::to_string(stream.vocab_size - 1));
    room -= n;
    if (room < 0)
      throw Error("chunk " + std::to_string(c) + " " + what +
                  " is more than a session can hold, which is " +
                  std::to_string(layout->max_length(stream.name)) + " tokens");
  }
}

// Positions are those in the chunk.
void Engine::Impl::add_chunk(Session::Impl& session, std::span<const int32_t> chunk,
                             int64_t stream_index) {
  const auto first_row = static_cast<int64_t>(rows.size());
  const auto n = static_cast<int64_t>(chunk.size());
  for (int64_t i = 0; i < n; ++i)
    add_row({i, chunk[static_cast<size_t>(i)], 0, PERDURE_ROLE_TOKEN,
             static_cast<int32_t>(sessions.size()), stream_index + i},
            false);
  add_session(session, first_row, n);
}

void Engine::feed_input(Session& session, const std::string& stream,
                        std::span<const std::span<const int32_t>> chunks) {
  Session::Impl& reader = session.impl();
  if (reader.engine != impl_.get())
    throw Error("a session was fed to an engine that did not make it");
  reader.require_intact();
  const size_t number = impl_->input_number(stream);
  InputGraph& input = impl_->inputs[number];
  int64_t& length = reader.stream_lengths[number];
  impl_->check_chunks(input.stream, chunks, length);
  const int64_t most_rows = input.compiled.plans.back().max_rows();
  for (size_t c = 0; c < chunks.size();) {
    impl_->clear_step();
    int64_t end = length;
    for (; c < chunks.size(); ++c) {
      const auto n = static_cast<int64_t>(chunks[c].size());
      if (static_cast<int64_t>(impl_->rows.size()) + n > most_rows) break;
      reader.state.reserve(end + n, stream);
      impl_->add_chunk(reader, chunks[c], end);
      end += n;
    }
    impl_->run_step(input.compiled);
    length = end;
    reader.state.set_stream_length(stream, end);
  }
}

}  // namespace perdure
