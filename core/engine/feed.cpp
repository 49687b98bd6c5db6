// SPDX-License-Identifier: Apache-2.0

// Reading tokens: ragged steps over the sessions, cut at their segment boundaries.
#include <algorithm>
#include <exception>

#include "core/engine/engine_impl.hpp"

namespace perdure {
namespace {

bool wants_logits(const Feed& feed, size_t token) {
  return feed.logits == Feed::Logits::kAll ||
         (feed.logits == Feed::Logits::kLast && token + 1 == feed.tokens.size());
}

}  // namespace

Session::Impl::Impl(const Engine::Impl& owner, const StateLayout& layout)
    : engine(&owner), state(layout), stream_lengths(owner.inputs.size(), 0) {
  tail.reserve(static_cast<size_t>(owner.tail_length()));
}

void Session::Impl::remember(std::span<const int32_t> tokens) {
  const auto longest = static_cast<size_t>(engine->tail_length());
  if (tokens.size() > longest) tokens = tokens.last(longest);
  if (tail.size() + tokens.size() > longest)
    tail.erase(tail.begin(), tail.end() - static_cast<std::ptrdiff_t>(longest - tokens.size()));
  tail.insert(tail.end(), tokens.begin(), tokens.end());
}

void Engine::Impl::check(std::span<const Feed> feeds) const {
  const int64_t vocab_size = model.spec().info.vocab_size;
  const int64_t longest = layout->max_length();
  for (size_t f = 0; f < feeds.size(); ++f) {
    const Feed& feed = feeds[f];
    if (feed.session->impl().engine != this)
      throw Error("a session was fed to an engine that did not make it");
    for (size_t other = 0; other < f; ++other)
      if (feeds[other].session == feed.session)
        throw Error("a session was named twice in one call");
    for (size_t t = 0; t < feed.tokens.size(); ++t)
      if (feed.tokens[t] < 0 || feed.tokens[t] >= vocab_size)
        throw Error("token " + std::to_string(t) + " is " + std::to_string(feed.tokens[t]) +
                    ", but the vocabulary has ids 0 to " + std::to_string(vocab_size - 1));
    const int64_t position = feed.session->position();
    if (static_cast<int64_t>(feed.tokens.size()) > longest - position)
      throw Error("a session can have at most " + std::to_string(longest) +
                  " tokens here; it has " + std::to_string(position) + " and was given " +
                  std::to_string(feed.tokens.size()) +
                  " more; raise attention.max_length or use a strategy of constant memory");
  }
}

void Engine::Impl::clear_step() {
  rows.clear();
  output_rows.clear();
  sessions.clear();
  parts.clear();
}

void Engine::Impl::add_row(const perdure_row& row, bool logits) {
  if (logits) output_rows.push_back(static_cast<int64_t>(rows.size()));
  rows.push_back(row);
}

void Engine::Impl::add_extra_rows(ExtraRows::When when, int64_t position) {
  for (const ExtraRowsPlan& extra : extra_rows)
    if (extra.rows.when == when)
      for (int64_t i = 0; i < extra.rows.count; ++i)
        add_row({position, i, extra.source, extra.rows.role, static_cast<int32_t>(sessions.size()),
                 position},
                false);
}

// Adds as many tokens of one feed as fit: up to its boundary, the step's rows and its logits.
bool Engine::Impl::add_part(const Feed& feed, size_t number, size_t cursor) {
  Session::Impl& session = feed.session->impl();
  const int64_t segment = traits.segment_length;
  const int64_t in_segment = segment ? session.position % segment : 0;
  int64_t n_extra = 0;
  for (const ExtraRowsPlan& extra : extra_rows) n_extra += extra.rows.count;
  int64_t n = std::min(static_cast<int64_t>(feed.tokens.size() - cursor),
                       max_rows - n_extra - static_cast<int64_t>(rows.size()));
  if (segment) n = std::min(n, segment - in_segment);
  if (traits.max_rows_per_step) n = std::min(n, traits.max_rows_per_step);
  if (feed.logits == Feed::Logits::kAll)
    n = std::min(n, max_outputs - static_cast<int64_t>(output_rows.size()));
  if (feed.logits == Feed::Logits::kLast &&
      static_cast<int64_t>(output_rows.size()) == max_outputs &&
      cursor + static_cast<size_t>(n) == feed.tokens.size())
    --n;
  if (n <= 0) return false;
  const auto first_row = static_cast<int64_t>(rows.size());
  if (segment && in_segment == 0) add_extra_rows(ExtraRows::When::kBegin, session.position);
  for (int64_t i = 0; i < n; ++i) {
    const size_t token = cursor + static_cast<size_t>(i);
    add_row({session.position + i, feed.tokens[token], 0, PERDURE_ROLE_TOKEN,
             static_cast<int32_t>(sessions.size()), session.position + i},
            wants_logits(feed, token));
  }
  if (segment && in_segment + n == segment)
    add_extra_rows(ExtraRows::When::kEnd, session.position + n);
  session.state.reserve(session.position + n);
  sessions.push_back(
      {first_row, static_cast<int64_t>(rows.size()) - first_row, session.state.views()});
  parts.push_back({number, &session, n});
  return true;
}

// Whole windows: tokens that nobody asks the logits of are only remembered; the next that somebody
// does is computed as the last row of its window.
bool Engine::Impl::add_window(const Feed& feed, size_t number, size_t cursor) {
  Session::Impl& session = feed.session->impl();
  const auto left = feed.tokens.subspan(cursor);
  const auto n = feed.logits == Feed::Logits::kAll ? size_t{1} : left.size();
  parts.push_back({number, &session, static_cast<int64_t>(n)});
  if (feed.logits == Feed::Logits::kNone) return true;
  const size_t n_rows =
      std::min(static_cast<size_t>(traits.window_length), session.tail.size() + n);
  if (static_cast<int64_t>(rows.size() + n_rows) > max_rows ||
      static_cast<int64_t>(output_rows.size()) == max_outputs) {
    parts.pop_back();
    return false;
  }
  const auto first_row = static_cast<int64_t>(rows.size());
  for (size_t i = 0; i < n_rows; ++i) {
    const size_t back = n_rows - i;  // 1 = the newest token
    const int32_t token = back <= n ? left[n - back] : session.tail[session.tail.size() + n - back];
    add_row({static_cast<int64_t>(i), token, 0, PERDURE_ROLE_TOKEN,
             static_cast<int32_t>(sessions.size()),
             session.position + static_cast<int64_t>(n) - static_cast<int64_t>(back)},
            back == 1);
  }
  sessions.push_back({first_row, static_cast<int64_t>(n_rows), session.state.views()});
  return true;
}

bool Engine::Impl::fill_step(std::span<const Feed> feeds, std::span<const size_t> cursors) {
  clear_step();
  for (size_t f = 0; f < feeds.size(); ++f)
    if (cursors[f] < feeds[f].tokens.size())
      traits.window_length ? add_window(feeds[f], f, cursors[f])
                           : add_part(feeds[f], f, cursors[f]);
  return !parts.empty();
}

void Engine::Impl::run_step(CompiledGraph& graph) {
  const perdure_step c_step{sizeof(perdure_step), static_cast<int64_t>(rows.size()),
                            rows.data(),          static_cast<int64_t>(output_rows.size()),
                            output_rows.data(),   static_cast<int64_t>(sessions.size()),
                            sessions.data()};
  if (c_step.n_rows > 0) executor->run(graph.plan_for(c_step.n_rows), c_step);
}

// Runs a boundary graph for `who`, as many sessions at a time as its plan has rows for. Row r of a
// session has position (its position - offset) + r.
void Engine::Impl::run_phase(CompiledGraph& graph, int64_t rows_per_session,
                             std::span<Session::Impl* const> who, int64_t offset) {
  const auto at_once = static_cast<size_t>(graph.plans.back().max_rows() / rows_per_session);
  for (size_t first = 0; first < who.size(); first += at_once) {
    clear_step();
    for (Session::Impl* session : who.subspan(first, std::min(at_once, who.size() - first))) {
      const auto first_row = static_cast<int64_t>(rows.size());
      for (int64_t r = 0; r < rows_per_session; ++r)
        add_row({session->position - offset + r, r, 0, PERDURE_ROLE_TOKEN,
                 static_cast<int32_t>(sessions.size()), session->position - offset + r},
                false);
      sessions.push_back({first_row, rows_per_session, session->state.views()});
    }
    run_step(graph);
  }
}

template <class Sink>
void Engine::Impl::give_logits(std::span<const Feed> feeds, std::span<const size_t> cursors,
                               const Sink& sink) {
  const perdure_tensor& logits = step.plan_for(static_cast<int64_t>(rows.size())).output("logits");
  const auto vocab_size = static_cast<size_t>(logits.shape[1]);
  size_t output = 0;
  for (const StepPart& part : parts)
    for (int64_t i = 0; i < part.n_tokens; ++i) {
      const size_t token = cursors[part.feed] + static_cast<size_t>(i);
      if (!wants_logits(feeds[part.feed], token)) continue;
      const float* row = static_cast<const float*>(logits.data) + vocab_size * output++;
      sink(part.feed, token, std::span<const float>(row, vocab_size));
    }
}

// Moves the step's sessions on and runs the `end` graph of those that have filled their segment.
void Engine::Impl::finish_step(std::span<const Feed> feeds, std::span<size_t> cursors) {
  const int64_t segment = traits.segment_length;
  due.clear();
  for (const StepPart& part : parts) {
    size_t& cursor = cursors[part.feed];
    const auto n_tokens = static_cast<size_t>(part.n_tokens);
    part.session->remember(feeds[part.feed].tokens.subspan(cursor, n_tokens));
    cursor += n_tokens;
    part.session->position += part.n_tokens;
    if (segment && part.session->position % segment == 0) due.push_back(part.session);
  }
  if (end) run_phase(*end, end_rows, due, segment);
}

template <class Sink, class KeepGoing>
void Engine::Impl::feed(std::span<const Feed> feeds, std::span<size_t> cursors, const Sink& sink,
                        const KeepGoing& keep_going) {
  const int64_t segment = traits.segment_length;
  while (keep_going()) {
    if (!fill_step(feeds, cursors)) return;
    if (begin) {
      due.clear();
      for (const StepPart& part : parts)
        if (part.session->position % segment == 0) due.push_back(part.session);
      run_phase(*begin, begin_rows, due, 0);
      fill_step(feeds, cursors);  // run_phase used the step's buffers; the same parts come again
    }
    run_step(step);
    // State holds the step's tokens by now: whatever the sink does, they count as read.
    std::exception_ptr failure;
    try {
      give_logits(feeds, cursors, sink);
    } catch (...) {
      failure = std::current_exception();
    }
    finish_step(feeds, cursors);
    if (failure) std::rethrow_exception(failure);
  }
}

std::vector<size_t> Engine::feed(std::span<const Feed> feeds, const LogitsSink& sink,
                                 const std::function<bool()>& keep_going) {
  impl_->check(feeds);
  std::vector<size_t> cursors(feeds.size(), 0);
  impl_->feed(feeds, cursors, sink, [&] { return !keep_going || keep_going(); });
  return cursors;
}

void Engine::feed(Session& session, std::span<const int32_t> tokens, std::span<float> last_logits) {
  const Feed one[] = {{&session, tokens, Feed::Logits::kLast}};
  if (static_cast<int64_t>(last_logits.size()) != spec().info.vocab_size)
    throw Error("the buffer for logits has " + std::to_string(last_logits.size()) +
                " values, not " + std::to_string(spec().info.vocab_size));
  impl_->check(one);
  size_t cursor[] = {0};
  impl_->feed(
      one, cursor,
      [&](size_t, size_t, std::span<const float> logits) {
        std::copy(logits.begin(), logits.end(), last_logits.begin());
      },
      [] { return true; });
}

}  // namespace perdure
