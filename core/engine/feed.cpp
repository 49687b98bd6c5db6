// SPDX-License-Identifier: Apache-2.0

// Reading tokens: ragged steps over the sessions, cut at their segment boundaries.
#include <algorithm>
#include <exception>
#include <utility>

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
  if (!owner.settings.kernels.check) return;
  shadow = std::make_unique<StateShadow>(std::vector<int64_t>(layout.specs().size(), 0));
  trust_state();
}

Session::Impl::Impl(const Impl& other)
    : engine(other.engine),
      state(other.state),
      position(other.position),
      stream_lengths(other.stream_lengths),
      random(other.random),
      values(other.values),
      shadow(other.shadow ? std::make_unique<StateShadow>(*other.shadow) : nullptr) {
  tail.reserve(static_cast<size_t>(engine->tail_length()));
  tail.assign(other.tail.begin(), other.tail.end());
}

void Session::Impl::trust_state() {
  if (!shadow) return;
  const auto& specs = engine->layout->specs();
  for (size_t i = 0; i < specs.size(); ++i)
    shadow->trust(
        i, specs[i].growth == Growth::kFixed ? StateShadow::kAll : state.begun_rows(i, position));
}

void Session::Impl::remember(std::span<const int32_t> tokens) {
  const auto longest = static_cast<size_t>(engine->tail_length());
  if (tokens.size() > longest) tokens = tokens.last(longest);
  if (tail.size() + tokens.size() > longest)
    tail.erase(tail.begin(), tail.end() - static_cast<std::ptrdiff_t>(longest - tokens.size()));
  tail.insert(tail.end(), tokens.begin(), tokens.end());
}

void Session::Impl::require_intact() const {
  if (failed)
    throw Error(
        "a step failed while this session was in it, so its state is unknown; restore it from a "
        "snapshot or begin a new session");
}

void Engine::Impl::check(std::span<const Feed> feeds) {
  ++calls;
  const int64_t vocab_size = model.spec().info.vocab_size;
  const int64_t most = longest();
  for (size_t f = 0; f < feeds.size(); ++f) {
    const Feed& feed = feeds[f];
    if (feed.session->impl().engine != this)
      throw Error("a session was fed to an engine that did not make it");
    feed.session->impl().require_intact();
    if (std::exchange(feed.session->impl().call, calls) == calls)
      throw Error("a session was named twice in one call");
    for (size_t t = 0; t < feed.tokens.size(); ++t)
      if (feed.tokens[t] < 0 || feed.tokens[t] >= vocab_size)
        throw Error("token " + std::to_string(t) + " is " + std::to_string(feed.tokens[t]) +
                    ", but the vocabulary has ids 0 to " + std::to_string(vocab_size - 1));
    const int64_t position = feed.session->position();
    if (static_cast<int64_t>(feed.tokens.size()) > most - position)
      throw Error("a session can have at most " + std::to_string(most) + " tokens here; it has " +
                  std::to_string(position) + " and was given " +
                  std::to_string(feed.tokens.size()) + " more" +
                  (most < kLongestSession
                       ? "; raise attention.max_length or use a strategy of constant memory"
                       : "; begin a new one"));
  }
}

void Engine::Impl::clear_step() {
  rows.clear();
  output_rows.clear();
  sessions.clear();
  in_step.clear();
}

void Engine::Impl::add_session(Session::Impl& session, int64_t first_row, int64_t n_rows) {
  sessions.push_back({first_row, n_rows, session.state.views()});
  in_step.push_back(&session);
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

// The rows of a chosen part, its segment's extra rows included.
void Engine::Impl::add_part(const StepPart& part, const Feed& feed, size_t cursor) {
  Session::Impl& session = *part.session;
  const int64_t segment = traits.segment_length;
  const int64_t place = segment ? session.position % segment : -1;
  const auto first_row = static_cast<int64_t>(rows.size());
  if (place == 0) add_extra_rows(ExtraRows::When::kBegin, session.position);
  for (int64_t i = 0; i < part.n_tokens; ++i) {
    const size_t token = cursor + static_cast<size_t>(i);
    add_row({session.position + i, feed.tokens[token], 0, PERDURE_ROLE_TOKEN,
             static_cast<int32_t>(sessions.size()), session.position + i},
            wants_logits(feed, token));
  }
  if (segment && place + part.n_tokens == segment)
    add_extra_rows(ExtraRows::When::kEnd, session.position + part.n_tokens);
  add_session(session, first_row, static_cast<int64_t>(rows.size()) - first_row);
}

// The window that ends with the part's last token.
void Engine::Impl::add_window(const StepPart& part, const Feed& feed, size_t cursor) {
  if (feed.logits == Feed::Logits::kNone) return;
  Session::Impl& session = *part.session;
  const auto tokens = feed.tokens.subspan(cursor);
  const auto n = static_cast<size_t>(part.n_tokens);
  const auto n_rows = static_cast<size_t>(window_rows(session, part.n_tokens));
  const auto first_row = static_cast<int64_t>(rows.size());
  for (size_t i = 0; i < n_rows; ++i) {
    const size_t back = n_rows - i;  // 1 = the newest token
    const int32_t token =
        back <= n ? tokens[n - back] : session.tail[session.tail.size() + n - back];
    add_row({static_cast<int64_t>(i), token, 0, PERDURE_ROLE_TOKEN,
             static_cast<int32_t>(sessions.size()),
             session.position + static_cast<int64_t>(n) - static_cast<int64_t>(back)},
            back == 1);
  }
  add_session(session, first_row, static_cast<int64_t>(n_rows));
}

void Engine::Impl::fill_step(std::span<const Feed> feeds, std::span<const size_t> cursors) {
  clear_step();
  for (const StepPart& part : parts)
    traits.window_length ? add_window(part, feeds[part.feed], cursors[part.feed])
                         : add_part(part, feeds[part.feed], cursors[part.feed]);
}

void Engine::Impl::run_step(CompiledGraph& graph) {
  perdure_step c_step{};
  c_step.struct_size = sizeof c_step;
  c_step.n_rows = static_cast<int64_t>(rows.size());
  c_step.rows = rows.data();
  c_step.n_outputs = static_cast<int64_t>(output_rows.size());
  c_step.output_rows = output_rows.data();
  c_step.n_sessions = static_cast<int64_t>(sessions.size());
  c_step.sessions = sessions.data();
  if (c_step.n_rows == 0) return;
  try {
    settings.kernels.check ? run_checked(graph, c_step)
                           : executor->run(graph.plan_for(c_step.n_rows), c_step);
  } catch (...) {
    for (Session::Impl* session : in_step) session->failed = true;
    throw;
  }
}

void Engine::Impl::run_checked(CompiledGraph& graph, const perdure_step& c_step) {
  std::vector<StateShadow*> shadows;
  for (const Session::Impl* session : in_step) shadows.push_back(session->shadow.get());
  StepCheck check(c_step, shadows, &graph == &step && traits.window_length == 0, n_checked);
  executor->run_checked(graph.plan_for(c_step.n_rows), c_step, check);
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
      add_session(*session, first_row, rows_per_session);
    }
    run_step(graph);
  }
}

template <class Sink>
void Engine::Impl::give_logits(std::span<const Feed> feeds, std::span<const size_t> cursors,
                               const Sink& sink) {
  const perdure_tensor& logits = step.plan_for(static_cast<int64_t>(rows.size())).output("logits");
  // The classifier may be padded: its last columns are no tokens.
  const auto stride = static_cast<size_t>(logits.shape[1]);
  const auto vocab_size = static_cast<size_t>(model.spec().info.vocab_size);
  size_t output = 0;
  for (const StepPart& part : parts)
    for (int64_t i = 0; i < part.n_tokens; ++i) {
      const size_t token = cursors[part.feed] + static_cast<size_t>(i);
      if (!wants_logits(feeds[part.feed], token)) continue;
      const float* row = static_cast<const float*>(logits.data) + stride * output++;
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
  size_t first = 0;
  while (keep_going()) {
    if (!choose_parts(feeds, cursors, first)) return;
    if (begin) {
      due.clear();
      for (const StepPart& part : parts)
        if (part.session->position % segment == 0) due.push_back(part.session);
      run_phase(*begin, begin_rows, due, 0);
    }
    fill_step(feeds, cursors);
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
