// SPDX-License-Identifier: Apache-2.0

// What happens to sessions between their tokens: ends of segments and prompts, cutting back.
#include <algorithm>

#include "core/engine/engine_impl.hpp"

namespace perdure {
namespace {

void require_short_segments(const Engine::Impl& engine) {
  if (engine.traits.short_segments) return;
  if (engine.traits.segment_length == 0)
    throw Error("the strategy has no segments that could end or be aligned");
  throw Error("the strategy has segments of " + std::to_string(engine.traits.segment_length) +
              " tokens, which only end when they are full");
}

}  // namespace

// Errors: Error if the session is another engine's, or has failed.
void Engine::Impl::check_session(const Session& session) const {
  if (session.impl().engine != this)
    throw Error("a session was given to an engine that did not make it");
  session.impl().require_intact();
}

// Rows of the end of segments that stop here: those that pass behind the segment's last token.
void Engine::Impl::run_end_rows(std::span<Session::Impl* const> who) {
  if (end_extra == 0) return;
  const auto at_once = static_cast<size_t>(max_rows / end_extra);
  for (size_t first = 0; first < who.size(); first += at_once) {
    clear_step();
    for (Session::Impl* session : who.subspan(first, std::min(at_once, who.size() - first))) {
      const auto first_row = static_cast<int64_t>(rows.size());
      add_extra_rows(ExtraRows::When::kEnd, *session, session->position);
      add_session(*session, first_row, end_extra);
    }
    run_step(step);
  }
}

// Requires: the rows of the end have passed.
void Engine::Impl::close_segments(std::span<Session::Impl* const> who) {
  run_phase(end, Phase::kEnd, who);
  for (Session::Impl* session : who)
    session->segment.close(session->position, traits.segment_length);
}

void Engine::end_segments(std::span<Session* const> sessions) {
  std::vector<Session::Impl*> open;
  for (Session* session : sessions) {
    impl_->check_session(*session);
    Session::Impl& s = session->impl();
    if (s.position > s.segment.start && std::ranges::find(open, &s) == open.end())
      open.push_back(&s);
  }
  require_short_segments(*impl_);
  impl_->run_end_rows(open);
  impl_->close_segments(open);
}

void Engine::end_segment(Session& session) {
  Session* const one[] = {&session};
  end_segments(one);
}

void Engine::align_segments(Session& session, Alignment alignment, int64_t n_tokens) {
  impl_->check_session(session);
  require_short_segments(*impl_);
  Session::Impl& s = session.impl();
  if (s.position != s.segment.start)
    throw Error("the running segment has " + std::to_string(s.position - s.segment.start) +
                " tokens already; end it before a text is aligned");
  if (n_tokens < 1 || n_tokens > impl_->longest() - s.position)
    throw Error("a text of " + std::to_string(n_tokens) + " tokens cannot be aligned");
  const int64_t full = impl_->traits.segment_length;
  const int64_t n_pieces = n_tokens / full + (n_tokens % full != 0);
  s.segment.piece =
      alignment == Alignment::kCenter ? n_tokens / n_pieces + (n_tokens % n_pieces != 0) : full;
  const int64_t first =
      alignment == Alignment::kRight && n_tokens % full != 0 ? n_tokens % full : s.segment.piece;
  s.segment.aligned_end = s.position + n_tokens;
  s.segment.end = std::min(s.position + first, s.segment.aligned_end);
}

void Engine::end_prompt(std::span<Session* const> sessions) {
  std::vector<Session::Impl*> who;
  for (Session* session : sessions) {
    impl_->check_session(*session);
    who.push_back(&session->impl());
  }
  impl_->run_phase(impl_->prompt_end, Phase::kPromptEnd, who);
}

void Engine::end_prompt(Session& session) {
  Session* const one[] = {&session};
  end_prompt(one);
}

// Errors: Error unless what is left of the session is what it was at that position.
void Engine::Impl::check_rewind(const Session::Impl& session, int64_t position) const {
  const std::string cannot = "a session of " + std::to_string(session.position) +
                             " tokens cannot be cut back to " + std::to_string(position) + ": ";
  if (position < 0 || position > session.position) throw Error(cannot + "it is not that long");
  if (position == 0 || position == session.position) return;
  if (!traits.can_rewind)
    throw Error(cannot + "the strategy's state does not allow it; restore a snapshot");
  if (position < session.segment.start) throw Error(cannot + "its segment has ended");
  for (const StateSpec& spec : layout->specs()) {
    const int64_t per_row = std::max<int64_t>(spec.tokens_per_row, 1);
    if (spec.growth == Growth::kFixed || spec.growth == Growth::kCounted || position % per_row != 0)
      throw Error(cannot + "the state '" + spec.name + "' keeps nothing of what was before");
    if (spec.growth == Growth::kRing && session.position > (spec.sinks + spec.rows) * per_row)
      throw Error(cannot + "the state '" + spec.name + "' has dropped rows that it would need");
  }
  const auto left = static_cast<int64_t>(session.tail.size()) - (session.position - position);
  if (traits.window_length && left < std::min(position, traits.window_length))
    throw Error(cannot + "of its window too few tokens are left");
}

// As it was before the first token of the text.
void Engine::Impl::reset(Session::Impl& session) const {
  session.state.copy_fixed(*initial_state);
  for (size_t i = 0; i < layout->specs().size(); ++i)
    if (layout->specs()[i].growth == Growth::kCounted) session.state.set_count(i, 0);
  session.segment = Segment::of_full_ones(0, traits.segment_length);
}

// A row that tokens share is live before the strategy has written it: what was cut may not show.
void Engine::Impl::clear_shared_rows(Session::Impl& session, int64_t position) const {
  for (size_t i = 0; i < layout->specs().size(); ++i) {
    const StateSpec& spec = layout->specs()[i];
    if (spec.tokens_per_row <= 1) continue;
    for (int64_t row = position / spec.tokens_per_row; row < session.state.views()[i].n_rows; ++row)
      std::ranges::fill(session.state.row(i, row), 0.0f);
  }
}

void Engine::rewind(Session& session, int64_t position) {
  impl_->check_session(session);
  Session::Impl& s = session.impl();
  impl_->check_rewind(s, position);
  if (position == s.position) return;
  s.state.wait_for_readers();
  const auto cut = static_cast<uint64_t>(s.position - position);
  s.tail.resize(s.tail.size() - static_cast<size_t>(std::min<uint64_t>(cut, s.tail.size())));
  if (position == 0) impl_->reset(s);
  impl_->clear_shared_rows(s, position);
  s.position = position;
  s.trust_state();
}

}  // namespace perdure
