// SPDX-License-Identifier: Apache-2.0

// Reading windows: texts that fresh sessions read from position 0, with the rows that count scored
// one by one as their logits come. Many windows share the engine's steps. Used by the measures.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/eval/measure.hpp"

namespace perdure {

// The last targets.size() rows are scored, each against its target; the other rows ask for no
// logits. `contexts`: chunks of the stream of contexts (contexts.hpp), read before the tokens.
// `passages`: the tokens are read behind each of them, and their mixture is scored (ensemble.hpp).
// Requires: 1 <= targets.size() <= tokens.size(); contexts or passages, not both.
struct Window {
  std::vector<int32_t> tokens, targets;
  std::vector<std::vector<int32_t>> contexts = {}, passages = {};
  std::vector<double> scores = {};  // of passages; empty: all alike
  std::vector<int32_t> among = {};  // of a choice: only the logits of these compete for top1

  // All that is read for it.
  int64_t n_tokens() const;
};

struct RowScore {
  double loss = 0;    // -log p(target), nats; NaN if a logit is
  bool top1 = false;  // the target has the largest logit, lowest id on ties
};

// Sums in the order of ids, in double. Requires: 0 <= target < logits.size().
RowScore score_row(std::span<const float> logits, int32_t target);
// top1: no other id of `among` has as large a logit. Requires: also of these ids.
RowScore score_row_among(std::span<const float> logits, int32_t target,
                         std::span<const int32_t> among);

// Windows are made when their turn comes, by index, and reported in order of index.
using WindowMaker = std::function<Window(int64_t index)>;
using WindowSink = std::function<void(int64_t index, std::span<const RowScore> scores)>;

// Reads windows 0 .. count - 1. As many at a time as fill the engine's steps, but no more than
// keep their states below kStateBudget (one at a time where a single one is above it): scores do
// not depend on it. False if `progress` said stop. Errors: as Engine::feed, and what `make` and
// `sink` throw.
bool read_windows(Engine& engine, int64_t count, const WindowMaker& make, const WindowSink& sink,
                  const MeasureProgress& progress);

// The same for windows with passages, one at a time.
bool read_mixtures(Engine& engine, int64_t count, const WindowMaker& make, const WindowSink& sink,
                   const MeasureProgress& progress);

inline constexpr int64_t kStateBudget = int64_t{512} << 20;

// How many windows of `length` tokens read_windows reads at a time.
int64_t windows_at_once(const Engine& engine, int64_t length, int64_t state_budget = kStateBudget);

// Tokens and targets [end - length - 1, end) of a text; the last `n_scored` targets are kept.
// Requires: end as sample_ends gives it, 1 <= n_scored <= length.
Window text_window(const EvalText& text, int64_t end, int64_t length, int64_t n_scored);

// A context and what should follow it: the last context token and all answer tokens but the last
// are scored. Requires: both not empty.
Window answer_window(std::vector<int32_t> context, const std::vector<int32_t>& answer);

// False if a logit of any row was NaN.
bool has_numbers(std::span<const RowScore> scores);
// NaN unless has_numbers(). all_top1: 1 if every target was the first choice, else 0.
// Requires: not empty.
double mean_loss(std::span<const RowScore> scores);
double top1_share(std::span<const RowScore> scores);
double all_top1(std::span<const RowScore> scores);

// Takes the context away or puts it in another order, blocks of `block` tokens staying together;
// the context is what stands before the first scored row. `index`: of the window.
void apply_control(Window& window, Control control, int64_t block, uint64_t seed, int64_t index);

}  // namespace perdure
