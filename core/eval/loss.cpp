// SPDX-License-Identifier: Apache-2.0

// Loss and accuracy of the last targets of a window: llama2Rnn's evaluation (specification, section
// 8). The same targets at every length; only what stands before them grows.
#include <algorithm>
#include <cmath>

#include "core/engine/contexts.hpp"
#include "core/eval/measure_kind.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

int64_t kept_of(const MeasureRun& run) {
  const int64_t kept = run.spec.kept > 0 ? run.spec.kept : run.engine.spec().info.train_length;
  if (kept < 1)
    throw UsageError(
        "the model does not say at which length it was trained: write how many tokens of a text it "
        "is given, for example input: {tokens: clip, kept: 256}");
  return kept;
}

// The last `kept` tokens, `times` times over.
void repeat_last(Window& window, int64_t kept, int64_t times) {
  for (std::vector<int32_t>* ids : {&window.tokens, &window.targets}) {
    const std::vector<int32_t> last(ids->end() - kept, ids->end());
    ids->clear();
    for (int64_t i = 0; i < times; ++i) ids->insert(ids->end(), last.begin(), last.end());
  }
}

// Tokens and targets [end - length - 1, end) of the text, targets not yet cut to the tail.
Window whole_window(const MeasureRun& run, int64_t end) {
  Window window = text_window(run.text, end, run.length, run.length);
  const InputForm form = run.spec.input;
  if (form != InputForm::kClip && form != InputForm::kRepeat) return window;
  const int64_t kept = kept_of(run);
  if (kept < run.length)
    repeat_last(window, kept, form == InputForm::kRepeat ? run.length / kept : 1);
  return window;
}

// Makes contexts or passages of what stands before the last `kept` tokens.
void move_front(const MeasureRun& run, Window& window) {
  const int64_t kept = std::min(kept_of(run), std::ssize(window.tokens));
  if (std::ssize(window.targets) > kept)
    throw UsageError("the text has " + std::to_string(kept) + " tokens, fewer than the " +
                     std::to_string(window.targets.size()) +
                     " targets that count; make tail smaller or `kept` larger");
  const std::vector<int32_t> front(window.tokens.begin(), window.tokens.end() - kept);
  window.tokens.erase(window.tokens.begin(), window.tokens.end() - kept);
  if (run.spec.input == InputForm::kPassages) {
    window.passages = split_tokens(front, run.spec.chunk);
    if (window.passages.empty()) window.passages.emplace_back();  // the text alone
    return;
  }
  const InputStream stream = context_stream(run.engine);
  if (stream.query > kept)
    throw UsageError(
        "the text has fewer tokens than the model reads behind its contexts, which is " +
        std::to_string(stream.query));
  window.contexts = context_chunks(
      stream, front, std::span(window.tokens).first(static_cast<size_t>(stream.query)));
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
  if (run.spec.input == InputForm::kContexts || run.spec.input == InputForm::kPassages)
    move_front(run, window);
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
  const auto read = run.spec.input == InputForm::kPassages ? read_mixtures : read_windows;
  const bool whole = read(
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
                   .options = {"samples", "control", "tail", "shuffle_block"},
                   .controls = {Control::kReset, Control::kShuffled}},
          .figures = figures,
          .tokens = tokens,
          .run = run_loss};
}

}  // namespace perdure
