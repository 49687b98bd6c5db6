// SPDX-License-Identifier: Apache-2.0

// Input streams: what strategies may declare of them, and reading their chunks, of which as many as
// fit pass through a step together, those of several sessions in turn.
#include <algorithm>
#include <numeric>
#include <utility>

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
  if (stream.query < 0 || stream.query >= stream.max_chunk || stream.rows_per_step < 0)
    throw Error("the input stream '" + stream.name + "' is declared with a query of " +
                std::to_string(stream.query) + " tokens and steps of " +
                std::to_string(stream.rows_per_step) +
                " rows; the query must leave room in a chunk, and neither may be negative");
  inputs.push_back({stream, {}});
}

// In a snapshot the length of a stream follows from the rows of the states that grow with it.
void Engine::Impl::check_inputs() const {
  const auto& specs = layout->specs();
  for (const StateSpec& spec : specs)
    if (!spec.stream.empty() && std::ranges::none_of(inputs, [&](const InputGraph& input) {
          return input.stream.name == spec.stream;
        }))
      throw Error("the state '" + spec.name + "' is declared to grow with the input stream '" +
                  spec.stream + "', which no strategy declares" +
                  author_of_state(strategies, spec.name));
  for (const InputGraph& input : inputs)
    if (std::ranges::none_of(
            specs, [&](const StateSpec& spec) { return spec.stream == input.stream.name; }))
      throw Error("the input stream '" + input.stream.name +
                  "' is declared without a state that grows with it" +
                  author_of_stream(strategies, input.stream.name));
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
    if (n <= stream.query || n > stream.max_chunk)
      throw Error("chunk " + std::to_string(c) + " " + what + " has " + std::to_string(n) +
                  " tokens; it must have " + std::to_string(stream.query + 1) + " to " +
                  std::to_string(stream.max_chunk));
    for (size_t t = 0; t < chunks[c].size(); ++t)
      if (chunks[c][t] < 0 || chunks[c][t] >= stream.vocab_size)
        throw Error("token " + std::to_string(t) + " in chunk " + std::to_string(c) + " " + what +
                    " is " + std::to_string(chunks[c][t]) + ", but its vocabulary has ids 0 to " +
                    std::to_string(stream.vocab_size - 1));
    room -= stream.kept(n);
    if (room < 0)
      throw Error("chunk " + std::to_string(c) + " " + what +
                  " is more than a session can hold, which is " +
                  std::to_string(layout->max_length(stream.name)) + " tokens");
  }
}

// Everything that can be wrong with a call, before anything is computed.
void Engine::Impl::check_input(size_t number, std::span<const InputFeed> feeds) {
  ++calls;
  for (const InputFeed& feed : feeds) {
    check_session(*feed.session);
    Session::Impl& reader = feed.session->impl();
    if (std::exchange(reader.call, calls) == calls)
      throw Error("a session was named twice in one call");
    check_chunks(inputs[number].stream, feed.chunks, reader.stream_lengths[number]);
  }
}

// Positions are those in the chunk, a query's behind the longest one. Rows that are not kept name
// the last that is, which they do not write.
void Engine::Impl::add_chunk(Session::Impl& session, const InputStream& stream,
                             std::span<const int32_t> chunk, int64_t stream_index) {
  const auto first_row = static_cast<int64_t>(rows.size());
  const auto n = static_cast<int64_t>(chunk.size());
  const int64_t n_own = n - stream.query, last_kept = stream.kept(n) - 1;
  for (int64_t i = 0; i < n; ++i) {
    const bool is_query = i >= n_own;
    add_row({.position = is_query ? stream.max_chunk - n + i : i,
             .index = chunk[static_cast<size_t>(i)],
             .source = 0,
             .role = is_query ? kQueryRole : int32_t{PERDURE_ROLE_TOKEN},
             .session = static_cast<int32_t>(sessions.size()),
             .stream_index = stream_index + std::min(i, last_kept),
             .segment_index = i,
             .segment_number = 0,
             .segment_tokens = 0},
            false);
  }
  add_session(session, first_row, n);
}

// Adds the next chunk of a feed to the step if it fits.
bool Engine::Impl::add_next_chunk(size_t number, const InputFeed& feed, size_t& next,
                                  int64_t& end) {
  if (next == feed.chunks.size()) return false;
  const auto n = static_cast<int64_t>(feed.chunks[next].size());
  const int64_t most_rows = inputs[number].compiled.plans.back().max_rows();
  if (static_cast<int64_t>(rows.size()) + n > most_rows) return false;
  Session::Impl& reader = feed.session->impl();
  const InputStream& stream = inputs[number].stream;
  reader.state.reserve(end + stream.kept(n), stream.name);
  add_chunk(reader, stream, feed.chunks[next++], end);
  end += stream.kept(n);
  return true;
}

// One chunk of each feed in turn, as long as one fits. Returns whether there is any.
bool Engine::Impl::fill_input(size_t number, std::span<const InputFeed> feeds,
                              InputProgress& progress) {
  clear_step();
  progress.next = progress.read;
  for (size_t f = 0; f < feeds.size(); ++f)
    progress.ends[f] = feeds[f].session->impl().stream_lengths[number];
  for (bool added = true; added;) {
    added = false;
    for (size_t i = 0; i < feeds.size(); ++i) {
      const size_t f = (progress.first + i) % feeds.size();
      added |= add_next_chunk(number, feeds[f], progress.next[f], progress.ends[f]);
    }
  }
  for (size_t i = 0; i < feeds.size(); ++i) {
    const size_t f = (progress.first + i) % feeds.size();
    if (progress.next[f] > progress.read[f] || feeds[f].chunks.size() == progress.read[f]) continue;
    progress.first = f;  // left out: the first of the next step
    break;
  }
  return !rows.empty();
}

// The step's chunks are part of their sessions from now on.
void Engine::Impl::finish_input(size_t number, std::span<const InputFeed> feeds,
                                InputProgress& progress) {
  for (size_t f = 0; f < feeds.size(); ++f) {
    Session::Impl& reader = feeds[f].session->impl();
    auto& chunks = reader.stream_chunks[number];
    for (; progress.read[f] < progress.next[f]; ++progress.read[f])
      chunks.push_back(inputs[number].stream.kept(
          static_cast<int64_t>(feeds[f].chunks[progress.read[f]].size())));
    set_stream_length(reader, number, progress.ends[f]);
  }
}

void Engine::Impl::set_stream_length(Session::Impl& session, size_t number, int64_t length) {
  session.stream_lengths[number] = length;
  session.state.set_stream_length(inputs[number].stream.name, length);
}

std::vector<InputStream> Engine::input_streams() const {
  std::vector<InputStream> streams;
  for (const InputGraph& input : impl_->inputs) streams.push_back(input.stream);
  return streams;
}

std::vector<size_t> Engine::feed_input(
    const std::string& stream, std::span<const InputFeed> feeds,
    const std::function<bool(std::span<const size_t> chunks_read)>& keep_going) {
  const size_t number = impl_->input_number(stream);
  impl_->check_input(number, feeds);
  InputProgress progress{std::vector<size_t>(feeds.size()), {}, std::vector<int64_t>(feeds.size())};
  while (!keep_going || keep_going(progress.read)) {
    if (!impl_->fill_input(number, feeds, progress)) break;
    impl_->run_step(impl_->inputs[number].compiled);
    impl_->finish_input(number, feeds, progress);
  }
  return std::move(progress.read);
}

void Engine::feed_input(Session& session, const std::string& stream,
                        std::span<const std::span<const int32_t>> chunks) {
  const InputFeed one[] = {{&session, chunks}};
  feed_input(stream, one);
}

void Engine::forget_input(Session& session, const std::string& stream, size_t chunk) {
  impl_->check_session(session);
  const size_t number = impl_->input_number(stream);
  Session::Impl& s = session.impl();
  auto& chunks = s.stream_chunks[number];
  if (chunk >= chunks.size())
    throw Error("the session has " + std::to_string(chunks.size()) +
                " chunks of the input stream '" + stream + "' and none with number " +
                std::to_string(chunk));
  const auto at = chunks.begin() + static_cast<std::ptrdiff_t>(chunk);
  const int64_t first = std::accumulate(chunks.begin(), at, int64_t{0}), n = *at;
  const int64_t length = s.stream_lengths[number];
  const auto& specs = impl_->layout->specs();
  s.state.wait_for_readers();
  for (size_t i = 0; i < specs.size(); ++i)
    if (specs[i].stream == stream)
      for (int64_t row = first + n; row < length; ++row)
        std::ranges::copy(s.state.row(i, row), s.state.row(i, row - n).begin());
  chunks.erase(at);
  impl_->set_stream_length(s, number, length - n);
  s.trust_state();
}

void Engine::clear_input(Session& session, const std::string& stream) {
  impl_->check_session(session);
  const size_t number = impl_->input_number(stream);
  session.impl().state.wait_for_readers();
  session.impl().stream_chunks[number].clear();
  impl_->set_stream_length(session.impl(), number, 0);
  session.impl().trust_state();
}

}  // namespace perdure
