// SPDX-License-Identifier: Apache-2.0

#include "core/eval/windows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "core/engine/contexts.hpp"
#include "core/engine/ensemble.hpp"
#include "core/eval/random.hpp"

namespace perdure {
namespace {

RowScore score(const Window& window, size_t row, std::span<const float> logits) {
  const int32_t target = window.targets[row];
  return window.among.empty() ? score_row(logits, target)
                              : score_row_among(logits, target, window.among);
}

// Sessions that read their windows side by side.
class Group {
 public:
  Group(Engine& engine, std::vector<Window> windows)
      : engine_(engine), windows_(std::move(windows)), scores_(windows_.size()) {
    for (const Window& w : windows_) {
      if (w.targets.empty() || w.targets.size() > w.tokens.size())
        throw Error("a window has " + std::to_string(w.targets.size()) + " targets and " +
                    std::to_string(w.tokens.size()) + " tokens");
      sessions_.push_back(engine.new_session());
    }
  }

  // False if `progress` said stop. `done`: tokens of earlier groups; grows by this one's.
  bool read(const MeasureProgress& progress, int64_t& done) {
    const int64_t before = done;
    const auto keep_going = [&] {
      done = before;
      for (const Session& session : sessions_) done += tokens_read(session);
      return !progress || progress(done);
    };
    if (!feed_contexts(keep_going) || !feed(Feed::Logits::kNone, keep_going) ||
        !feed(Feed::Logits::kAll, keep_going))
      return false;
    keep_going();
    return true;
  }

  std::span<const RowScore> scores(size_t window) const { return scores_[window]; }

 private:
  bool has_contexts() const {
    return std::ranges::any_of(windows_, [](const Window& w) { return !w.contexts.empty(); });
  }
  int64_t tokens_read(const Session& session) const {
    return session.position() + (has_contexts() ? session.stream_length(kContextStream) : 0);
  }

  bool feed_contexts(const std::function<bool()>& keep_going) {
    if (!has_contexts()) return true;
    std::vector<std::vector<std::span<const int32_t>>> chunks;
    std::vector<InputFeed> feeds;
    for (const Window& w : windows_) chunks.emplace_back(w.contexts.begin(), w.contexts.end());
    for (size_t i = 0; i < windows_.size(); ++i) feeds.push_back({&sessions_[i], chunks[i]});
    const auto read = engine_.feed_input(kContextStream, feeds,
                                         [&](std::span<const size_t>) { return keep_going(); });
    return std::equal(read.begin(), read.end(), feeds.begin(),
                      [](size_t n, const InputFeed& f) { return n == f.chunks.size(); });
  }

  // Reads what comes before the scored rows (kNone) or these (kAll).
  bool feed(Feed::Logits logits, const std::function<bool()>& keep_going) {
    std::vector<Feed> feeds;
    for (size_t i = 0; i < windows_.size(); ++i) {
      const std::span<const int32_t> tokens = windows_[i].tokens;
      const size_t n_context = tokens.size() - windows_[i].targets.size();
      feeds.push_back(
          {&sessions_[i],
           logits == Feed::Logits::kNone ? tokens.first(n_context) : tokens.subspan(n_context),
           logits});
    }
    const auto sink = [&](size_t window, size_t row, std::span<const float> values) {
      scores_[window].push_back(score(windows_[window], row, values));
    };
    const std::vector<size_t> read = engine_.feed(feeds, sink, keep_going);
    return std::equal(read.begin(), read.end(), feeds.begin(),
                      [](size_t n, const Feed& f) { return n == f.tokens.size(); });
  }

  Engine& engine_;
  std::vector<Window> windows_;
  std::vector<std::vector<RowScore>> scores_;
  std::vector<Session> sessions_;
};

// nullopt if `keep_going` said stop.
std::optional<std::vector<RowScore>> read_mixture(Engine& engine, const Window& window,
                                                  const std::function<bool()>& keep_going) {
  Ensemble ensemble(engine, window.passages, {.scores = window.scores});
  std::vector<RowScore> scores;
  const bool whole = ensemble.feed(
      window.tokens, window.targets.size(),
      [&](size_t, std::span<const float> mixture) {
        scores.push_back(score(window, scores.size(), mixture));
      },
      keep_going);
  return whole ? std::optional(std::move(scores)) : std::nullopt;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Steps that a group should fill: the last step of a group is rarely full.
constexpr int64_t kStepsPerGroup = 16;
constexpr int64_t kMostWindows = 64;

}  // namespace

int64_t Window::n_tokens() const {
  int64_t n = std::ssize(tokens) * std::max<int64_t>(std::ssize(passages), 1);
  for (const auto* chunks : {&contexts, &passages})
    for (const std::vector<int32_t>& chunk : *chunks) n += std::ssize(chunk);
  return n;
}

RowScore score_row(std::span<const float> logits, int32_t target) {
  const auto best = std::max_element(logits.begin(), logits.end());
  const double largest = *best;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  const auto wanted = static_cast<size_t>(target);
  const double loss = std::log(sum) + largest - logits[wanted];
  return {loss, !std::isnan(loss) && best - logits.begin() == target};
}

RowScore score_row_among(std::span<const float> logits, int32_t target,
                         std::span<const int32_t> among) {
  RowScore score = score_row(logits, target);
  const float wanted = logits[static_cast<size_t>(target)];
  const auto rivals = std::count_if(among.begin(), among.end(), [&](int32_t id) {
    return logits[static_cast<size_t>(id)] >= wanted;
  });
  score.top1 = !std::isnan(score.loss) && rivals == std::count(among.begin(), among.end(), target);
  return score;
}

double all_top1(std::span<const RowScore> scores) {
  const double share = top1_share(scores);
  return std::isnan(share) || share == 1.0 ? share : 0.0;
}

double mean_loss(std::span<const RowScore> scores) {
  double sum = 0;
  for (const RowScore& score : scores) sum += score.loss;
  return sum / static_cast<double>(scores.size());
}

bool has_numbers(std::span<const RowScore> scores) {
  return std::none_of(scores.begin(), scores.end(),
                      [](const RowScore& s) { return std::isnan(s.loss); });
}

double top1_share(std::span<const RowScore> scores) {
  if (!has_numbers(scores)) return std::numeric_limits<double>::quiet_NaN();
  const auto right =
      std::count_if(scores.begin(), scores.end(), [](const RowScore& s) { return s.top1; });
  return static_cast<double>(right) / static_cast<double>(scores.size());
}

Window text_window(const EvalText& text, int64_t end, int64_t length, int64_t n_scored) {
  const auto last = text.tokens.begin() + end;
  return {{last - 1 - length, last - 1}, {last - n_scored, last}};
}

Window answer_window(std::vector<int32_t> context, const std::vector<int32_t>& answer) {
  context.insert(context.end(), answer.begin(), answer.end() - 1);
  return {std::move(context), answer};
}

int64_t windows_at_once(const Engine& engine, int64_t length, int64_t state_budget) {
  const int64_t rows = engine.settings().step.max_rows;
  const Traits traits = engine.traits();
  int64_t rows_per_step = std::min(rows, length);
  if (traits.segment_length > 0) rows_per_step = std::min(rows_per_step, traits.segment_length);
  if (traits.max_rows_per_step > 0)
    rows_per_step = std::min(rows_per_step, traits.max_rows_per_step);
  const int64_t useful =
      std::max(ceil_div(rows, rows_per_step), ceil_div(kStepsPerGroup * rows, length));
  const int64_t bytes = std::max<int64_t>(engine.state_bytes(length), 1);
  return std::clamp<int64_t>(std::min(useful, state_budget / bytes), 1, kMostWindows);
}

bool read_windows(Engine& engine, int64_t count, const WindowMaker& make, const WindowSink& sink,
                  const MeasureProgress& progress) {
  int64_t done = 0;
  for (int64_t first = 0; first < count;) {
    std::vector<Window> windows;
    int64_t longest = 1;
    // The windows to come may be longer than the first ones.
    while (first + std::ssize(windows) < count) {
      Window next = make(first + std::ssize(windows));
      longest = std::max(longest, next.n_tokens());
      windows.push_back(std::move(next));
      if (std::ssize(windows) >= windows_at_once(engine, longest)) break;
    }
    const int64_t n = std::ssize(windows);
    Group group(engine, std::move(windows));
    if (!group.read(progress, done)) return false;
    for (int64_t i = 0; i < n; ++i) sink(first + i, group.scores(static_cast<size_t>(i)));
    first += n;
  }
  return true;
}

bool read_mixtures(Engine& engine, int64_t count, const WindowMaker& make, const WindowSink& sink,
                   const MeasureProgress& progress) {
  int64_t done = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Window window = make(i);
    const auto scores = read_mixture(engine, window, [&] { return !progress || progress(done); });
    if (!scores) return false;
    sink(i, *scores);
    done += window.n_tokens();
  }
  return !progress || progress(done);
}

void apply_control(Window& window, Control control, int64_t block, uint64_t seed, int64_t index) {
  const size_t n_context = window.tokens.size() - window.targets.size();
  if (control == Control::kReset)
    window.tokens.erase(window.tokens.begin(),
                        window.tokens.begin() + static_cast<ptrdiff_t>(n_context));
  if (control != Control::kShuffled) return;
  const auto size = static_cast<size_t>(block);
  std::vector<size_t> blocks((n_context + size - 1) / size);
  std::iota(blocks.begin(), blocks.end(), size_t{0});
  EvalRandom(seed, static_cast<uint64_t>(index)).shuffle(std::span(blocks));
  std::vector<int32_t> context;
  for (const size_t b : blocks) {
    const size_t first = b * size;
    const size_t n = std::min(size, n_context - first);
    context.insert(context.end(), window.tokens.begin() + static_cast<ptrdiff_t>(first),
                   window.tokens.begin() + static_cast<ptrdiff_t>(first + n));
  }
  std::copy(context.begin(), context.end(), window.tokens.begin());
}

}  // namespace perdure
