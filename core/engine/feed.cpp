// SPDX-License-Identifier: Apache-2.0

// Reading tokens: ragged steps over the sessions, cut at their segment boundaries.
#include <algorithm>
#include <exception>
#include <utility>

#include "core/engine/engine_impl.hpp"

namespace perdure {
namespace {

// Of the last tokens, how many: all of them under kAll.
size_t tokens_with_logits(const Feed& feed, int64_t window_length) {
  if (feed.logits == Feed::Logits::kAll) return feed.tokens.size();
  if (feed.logits == Feed::Logits::kLast) return 1;
  return feed.logits == Feed::Logits::kWindow ? static_cast<size_t>(window_length) : 0;
}

}  // namespace

bool Engine::Impl::wants_logits(const Feed& feed, size_t token) const {
  return token + tokens_with_logits(feed, traits.window_length) >= feed.tokens.size();
}

Session::Impl::Impl(const Engine::Impl& owner, const StateLayout& layout)
    : engine(&owner),
      state(layout),
      segment(Segment::of_full_ones(0, owner.traits.segment_length)),
      stream_lengths(owner.inputs.size(), 0),
      stream_chunks(owner.inputs.size()) {
  tail.reserve(static_cast<size_t>(owner.tail_length()));
  if (!owner.settings.kernels.check) return;
  shadow = std::make_unique<StateShadow>(std::vector<int64_t>(layout.specs().size(), 0));
  trust_state();
}

Session::Impl::Impl(const Impl& other)
    : engine(other.engine),
      state(other.state),
      position(other.position),
      segment(other.segment),
      stream_lengths(other.stream_lengths),
      stream_chunks(other.stream_chunks),
      random(other.random),
      counts(other.counts),
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

void Engine::Impl::check_window_logits(const Feed& feed) const {
  if (feed.logits != Feed::Logits::kWindow) return;
  if (traits.window_length == 0)
    throw Error(
        "the logits of a whole window were asked for, but this strategy only looks back; ask for "
        "those of every token");
  if (window_outputs(feed) > max_outputs)
    throw Error("the logits of a whole window are " + std::to_string(window_outputs(feed)) +
                " rows, and a step has room for " + std::to_string(max_outputs) +
                "; raise step.max_logits_bytes");
}

void Engine::Impl::check(std::span<const Feed> feeds) {
  ++calls;
  const int64_t vocab_size = model.spec().info.vocab_size;
  const int64_t most = longest();
  for (size_t f = 0; f < feeds.size(); ++f) {
    const Feed& feed = feeds[f];
    check_session(*feed.session);
    check_window_logits(feed);
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
                       ? "; raise attention.max_length or use a strategy with constant state"
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

// A token's row, but for its token; the next session of the step is its.
perdure_row Engine::Impl::row_at(const Session::Impl& session, int64_t position) const {
  const int64_t place = position - session.segment.start;
  return {.position = position,
          .index = 0,
          .source = 0,
          .role = PERDURE_ROLE_TOKEN,
          .session = static_cast<int32_t>(sessions.size()),
          .stream_index = position,
          .segment_index = place,
          .segment_number = session.segment.number,
          .segment_tokens = place + 1};
}

void Engine::Impl::add_extra_rows(ExtraRows::When when, const Session::Impl& session,
                                  int64_t position) {
  for (const ExtraRowsPlan& extra : extra_rows)
    if (extra.rows.when == when)
      for (int64_t i = 0; i < extra.rows.count; ++i) {
        perdure_row row = row_at(session, position);
        row.index = i;
        row.source = extra.source;
        row.role = extra.rows.role;
        --row.segment_tokens;  // it is none itself
        add_row(row, false);
      }
}

// The rows of a chosen part, its segment's extra rows included.
void Engine::Impl::add_part(const StepPart& part, const Feed& feed, size_t cursor) {
  Session::Impl& session = *part.session;
  const auto first_row = static_cast<int64_t>(rows.size());
  const int64_t last = session.position + part.n_tokens;
  if (session.position == session.segment.start)
    add_extra_rows(ExtraRows::When::kBegin, session, session.position);
  for (int64_t i = 0; i < part.n_tokens; ++i) {
    const size_t token = cursor + static_cast<size_t>(i);
    perdure_row row = row_at(session, session.position + i);
    row.index = feed.tokens[token];
    add_row(row, wants_logits(feed, token));
  }
  if (last == session.segment.end) add_extra_rows(ExtraRows::When::kEnd, session, last);
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
    perdure_row row =
        row_at(session, session.position + static_cast<int64_t>(n) - static_cast<int64_t>(back));
    row.position = static_cast<int64_t>(i);
    row.index = token;
    add_row(row, back <= n && wants_logits(feed, cursor + n - back));
  }
  add_session(session, first_row, static_cast<int64_t>(n_rows));
}

void Engine::Impl::fill_step(std::span<const Feed> feeds, std::span<const size_t> cursors) {
  clear_step();
  for (const StepPart& part : parts)
    traits.window_length ? add_window(part, feeds[part.feed], cursors[part.feed])
                         : add_part(part, feeds[part.feed], cursors[part.feed]);
}

// Errors: Error if a step has more rows than any plan of its graph; they would lie outside.
void Engine::Impl::require_room(const Plan& largest, const perdure_step& c_step) const {
  if (c_step.n_rows <= largest.max_rows() && c_step.n_outputs <= largest.max_outputs()) return;
  throw Error("a step of " + std::to_string(c_step.n_rows) + " rows, of which " +
              std::to_string(c_step.n_outputs) + " ask for logits, is over what the graph '" +
              largest.graph_name() + "' is planned for (" + std::to_string(largest.max_rows()) +
              " and " + std::to_string(largest.max_outputs()) + "); this is a fault of the engine");
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
  require_room(graph.plans.back(), c_step);
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

int64_t Engine::Impl::rows_of_phase(Phase phase) const {
  switch (phase) {
    case Phase::kInit:
      return init_rows;
    case Phase::kBegin:
      return begin_rows;
    case Phase::kEnd:
      return end_rows;
    case Phase::kPromptEnd:
      return prompt_end_rows;
  }
  return 0;
}

// Runs a phase's graph, if there is one, for `who`, as many sessions at a time as its plan has rows
// for. Rows are those of AttentionStrategy::phase_rows.
void Engine::Impl::run_phase(std::optional<CompiledGraph>& graph, Phase phase,
                             std::span<Session::Impl* const> who) {
  if (!graph) return;
  const int64_t n_rows = rows_of_phase(phase);
  const auto at_once = static_cast<size_t>(graph->plans.back().max_rows() / n_rows);
  for (size_t first = 0; first < who.size(); first += at_once) {
    clear_step();
    for (Session::Impl* session : who.subspan(first, std::min(at_once, who.size() - first))) {
      const auto first_row = static_cast<int64_t>(rows.size());
      const int64_t start = phase == Phase::kEnd ? session->segment.start : session->position;
      for (int64_t r = 0; r < n_rows; ++r) {
        perdure_row row = row_at(*session, start + r);
        row.index = row.segment_index = r;
        row.segment_tokens = session->position - session->segment.start;
        add_row(row, false);
      }
      add_session(*session, first_row, n_rows);
    }
    try {
      run_step(*graph);
    } catch (...) {
      // Those of earlier batches have been computed and not been closed, later ones neither.
      for (Session::Impl* session : who) session->failed = true;
      throw;
    }
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

// Moves the step's sessions on and closes the segments that are full.
void Engine::Impl::finish_step(std::span<const Feed> feeds, std::span<size_t> cursors) {
  due.clear();
  for (const StepPart& part : parts) {
    size_t& cursor = cursors[part.feed];
    const auto n_tokens = static_cast<size_t>(part.n_tokens);
    part.session->remember(feeds[part.feed].tokens.subspan(cursor, n_tokens));
    cursor += n_tokens;
    part.session->position += part.n_tokens;
    if (traits.segment_length && part.session->position == part.session->segment.end)
      due.push_back(part.session);
  }
  close_segments(due);
}

// Errors: Error if tokens are left of which none could be put into a step.
void Engine::Impl::require_all_read(std::span<const Feed> feeds,
                                    std::span<const size_t> cursors) const {
  for (size_t f = 0; f < feeds.size(); ++f)
    if (cursors[f] < feeds[f].tokens.size())
      throw Error("a session at position " + std::to_string(feeds[f].session->position()) +
                  " has " + std::to_string(feeds[f].tokens.size() - cursors[f]) +
                  " tokens left to read, but no step has room for one of them; this is a fault of "
                  "the engine");
}

template <class Sink, class KeepGoing>
void Engine::Impl::feed(std::span<const Feed> feeds, std::span<size_t> cursors, const Sink& sink,
                        const KeepGoing& keep_going) {
  size_t first = 0;
  while (keep_going()) {
    if (!choose_parts(feeds, cursors, first)) return require_all_read(feeds, cursors);
    if (begin) {
      due.clear();
      for (const StepPart& part : parts)
        if (part.session->position == part.session->segment.start) due.push_back(part.session);
      run_phase(begin, Phase::kBegin, due);
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
