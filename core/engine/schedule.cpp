// SPDX-License-Identifier: Apache-2.0

// Who reads how much in a step: every feed the same number of tokens, less where it wants less, up
// to the step's rows and logits. Where not even one token of each fits, those that were left out
// come first in the next step.
#include <algorithm>

#include "core/engine/engine_impl.hpp"

namespace perdure {
namespace {

// The largest share in 0 .. most for which `fits` holds; it holds for 0 and for no share above one
// that it does not hold for.
template <class Fits>
int64_t largest_share(int64_t most, const Fits& fits) {
  if (fits(most)) return most;
  int64_t low = 0;
  while (most - low > 1) {
    const int64_t middle = low + (most - low) / 2;
    (fits(middle) ? low : most) = middle;
  }
  return low;
}

bool wants_last(const Feed& feed, size_t cursor, int64_t n) {
  return feed.logits == Feed::Logits::kLast &&
         cursor + static_cast<size_t>(n) == feed.tokens.size();
}

int64_t outputs_of(const Feed& feed, size_t cursor, int64_t n) {
  return feed.logits == Feed::Logits::kAll ? n : int64_t{wants_last(feed, cursor, n)};
}

}  // namespace

// Tokens that a feed could take if it had the step for itself.
int64_t Engine::Impl::wanted(const Feed& feed, size_t cursor) const {
  auto n = static_cast<int64_t>(feed.tokens.size() - cursor);
  const Session::Impl& session = feed.session->impl();
  if (traits.segment_length) n = std::min(n, session.segment.end - session.position);
  if (traits.max_rows_per_step) n = std::min(n, traits.max_rows_per_step);
  return std::min(n, max_rows);
}

// Rows of a session's next `n` tokens, the extra rows of its segment included.
int64_t Engine::Impl::rows_of(const Session::Impl& session, int64_t n) const {
  if (n == 0 || traits.segment_length == 0) return n;
  const bool begins = session.position == session.segment.start;
  const bool ends = session.position + n == session.segment.end;
  return n + (begins ? begin_extra : 0) + (ends ? end_extra : 0);
}

StepShares Engine::Impl::fair_shares(std::span<const Feed> feeds,
                                     std::span<const size_t> cursors) const {
  StepShares shares{.tokens = max_rows, .logits = max_rows};
  const auto taken = [&](size_t f, int64_t share) {
    const int64_t n = std::min(wanted(feeds[f], cursors[f]), share);
    return feeds[f].logits == Feed::Logits::kAll ? std::min(n, shares.logits) : n;
  };
  const auto sum = [&](int64_t share, const auto& of) {
    int64_t total = 0;
    for (size_t f = 0; f < feeds.size(); ++f) total += of(f, taken(f, share));
    return total;
  };
  const auto outputs = [&](size_t f, int64_t n) { return outputs_of(feeds[f], cursors[f], n); };
  const auto n_rows = [&](size_t f, int64_t n) { return rows_of(feeds[f].session->impl(), n); };
  shares.logits =
      largest_share(max_rows, [&](int64_t share) { return sum(share, outputs) <= max_outputs; });
  shares.spare_logits = max_outputs - sum(max_rows, outputs);
  shares.logits = std::max<int64_t>(shares.logits, 1);
  shares.tokens =
      largest_share(max_rows, [&](int64_t share) { return sum(share, n_rows) <= max_rows; });
  shares.spare_rows = max_rows - sum(shares.tokens, n_rows);
  return shares;
}

// The tokens that a feed takes of what is left of the step.
int64_t Engine::Impl::tokens_of(const Feed& feed, size_t cursor, StepShares& shares,
                                const StepRoom& room) const {
  const Session::Impl& session = feed.session->impl();
  const int64_t most = wanted(feed, cursor);
  int64_t n = std::min(most, shares.tokens);
  if (n < most) {
    const int64_t more = rows_of(session, n + 1) - rows_of(session, n);
    if (more <= shares.spare_rows) {
      shares.spare_rows -= more;
      ++n;
    }
  }
  if (feed.logits == Feed::Logits::kAll) {
    if (n > shares.logits) n = shares.logits + (shares.spare_logits-- > 0 ? 1 : 0);
    n = std::min(n, room.outputs);
  }
  if (wants_last(feed, cursor, n) && room.outputs == 0) --n;
  while (n > 0 && rows_of(session, n) > room.rows) --n;
  return std::max<int64_t>(n, 0);
}

bool Engine::Impl::choose_part(const Feed& feed, size_t number, size_t cursor, StepShares& shares,
                               StepRoom& room) {
  Session::Impl& session = feed.session->impl();
  const int64_t n = tokens_of(feed, cursor, shares, room);
  if (n == 0) return false;
  session.state.reserve(session.position + n);
  room.rows -= rows_of(session, n);
  room.outputs -= outputs_of(feed, cursor, n);
  parts.push_back({number, &session, n});
  return true;
}

// Whole windows: tokens that nobody asks the logits of are only remembered; the next that somebody
// does is computed as the last row of its window.
bool Engine::Impl::choose_window(const Feed& feed, size_t number, size_t cursor, StepRoom& room) {
  Session::Impl& session = feed.session->impl();
  const size_t left = feed.tokens.size() - cursor;
  const auto n = static_cast<int64_t>(feed.logits == Feed::Logits::kAll ? 1 : left);
  if (feed.logits != Feed::Logits::kNone) {
    const int64_t n_rows = window_rows(session, n);
    const int64_t n_outputs = window_outputs(feed);
    if (n_rows > room.rows || n_outputs > room.outputs) return false;
    room.rows -= n_rows;
    room.outputs -= n_outputs;
  }
  parts.push_back({number, &session, n});
  return true;
}

int64_t Engine::Impl::window_rows(const Session::Impl& session, int64_t n) const {
  return std::min(traits.window_length, static_cast<int64_t>(session.tail.size()) + n);
}

// Rows with logits of a window of the feed.
int64_t Engine::Impl::window_outputs(const Feed& feed) const {
  const auto n = static_cast<int64_t>(feed.tokens.size());
  return feed.logits == Feed::Logits::kWindow ? std::min(traits.window_length, n) : 1;
}

// Chooses the parts of the next step, beginning with feed `first`, and sets it to the one that has
// to come first in the step after it. Returns whether there is anything to read.
bool Engine::Impl::choose_parts(std::span<const Feed> feeds, std::span<const size_t> cursors,
                                size_t& first) {
  parts.clear();
  StepRoom room{max_rows, max_outputs};
  StepShares shares;
  if (!traits.window_length) shares = fair_shares(feeds, cursors);
  std::optional<size_t> left_out;
  for (size_t i = 0; i < feeds.size(); ++i) {
    const size_t f = (first + i) % feeds.size();
    if (cursors[f] == feeds[f].tokens.size()) continue;
    const bool chosen = traits.window_length ? choose_window(feeds[f], f, cursors[f], room)
                                             : choose_part(feeds[f], f, cursors[f], shares, room);
    if (!chosen && !left_out) left_out = f;
  }
  first = left_out.value_or(0);
  return !parts.empty();
}

}  // namespace perdure
