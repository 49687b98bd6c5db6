// SPDX-License-Identifier: Apache-2.0

// Loss and accuracy of the last targets of a window: llama2Rnn's evaluation (specification, section
// 8). The same targets at every length; only what stands before them grows.
#include <algorithm>
#include <cmath>

#include "core/eval/measure_kind.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

int64_t train_length_of(const MeasureRun& run) {
  const int64_t length =
      run.spec.train_length > 0 ? run.spec.train_length : run.engine.spec().info.train_length;
  if (length < 1)
    throw UsageError(
        "the model does not say at which length it was trained, which the inputs clip and repeat "
        "need");
  return length;
}

// Tokens and targets [end - length - 1, end) of the text in the form asked for, targets not yet cut
// to the tail.
Window whole_window(const MeasureRun& run, int64_t end) {
  Window window = text_window(run.text, end, run.length, run.length);
  if (run.spec.input == InputForm::kWhole) return window;
  const int64_t kept = train_length_of(run);
  if (kept >= run.length) return window;
  const int64_t times = run.spec.input == InputForm::kRepeat ? run.length / kept : 1;
  for (std::vector<int32_t>* ids : {&window.tokens, &window.targets}) {
    const std::vector<int32_t> last(ids->end() - kept, ids->end());
    ids->clear();
    for (int64_t i = 0; i < times; ++i) ids->insert(ids->end(), last.begin(), last.end());
  }
  return window;
}

Window make_window(const MeasureRun& run, int64_t end, int64_t index) {
  Window window = whole_window(run, end);
  const int64_t tail = run.spec.tail;
  if (std::ssize(window.targets) < tail)
    throw UsageError("a window has " + std::to_string(window.targets.size()) +
                     " targets, fewer than the " + std::to_string(tail) +
                     " that count; make tail smaller or leave out this length");
  window.targets.erase(window.targets.begin(), window.targets.end() - tail);
  apply_control(window, run.spec.control, run.spec.shuffle_block, run.spec.seed, index);
  return window;
}

std::vector<FigureInfo> figures(const MeasureSpec& spec) {
  const std::string of = " of the last " + std::to_string(spec.tail) + " targets";
  return {{.name = "loss", .title = "Loss" + of, .unit = "nats"},
          {.name = "accuracy",
           .title = "Top-1 accuracy" + of,
           .unit = "share",
           .better = Better::kHigher}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  return spec.samples * (spec.control == Control::kReset ? std::min(spec.tail, length) : length);
}

std::optional<MeasureResult> run_loss(const MeasureRun& run) {
  const std::vector<int64_t> ends =
      sample_ends(run.text, run.spec.samples, run.longest(), run.spec.tail, run.spec.seed);
  MeasurePoint loss, accuracy;
  const bool whole = read_windows(
      run.engine, std::ssize(ends),
      [&](int64_t i) { return make_window(run, ends[static_cast<size_t>(i)], i); },
      [&](int64_t, std::span<const RowScore> scores) {
        loss.samples.push_back(mean_loss(scores));
        accuracy.samples.push_back(top1_share(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  const auto vocab_size = static_cast<double>(run.engine.spec().info.vocab_size);
  return MeasureResult{{{"loss", {std::move(loss)}, std::log(vocab_size)},
                        {"accuracy", {std::move(accuracy)}, 1 / vocab_size}}};
}

}  // namespace

MeasureKind loss_measure() {
  return {.info = {.name = "loss",
                   .help = "Loss and top-1 accuracy of the last targets, the same at every length.",
                   .options = {"samples", "control", "tail", "shuffle_block"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_loss};
}

}  // namespace perdure
