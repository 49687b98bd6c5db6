// SPDX-License-Identifier: Apache-2.0

// Copying: BOS (or what else stands between texts), a passage, BOS, the same passage again, half
// the length each. Scored are the last targets of the second one: what a state of fixed size cannot
// hold shows here (Jelassi et al. 2024, arXiv:2402.01032).
#include <cmath>

#include "core/eval/measure_kind.hpp"
#include "core/eval/retrieval.hpp"

namespace perdure {
namespace {

// What is copied: `n` tokens.
std::vector<int32_t> passage_of(const MeasureRun& run, const UsedIds& ids,
                                const std::vector<int64_t>& ends, int64_t n, int64_t sample) {
  if (!run.spec.copy_text) return random_passage(ids, n, run.spec.seed, sample);
  const auto end = run.text.tokens.begin() + ends[static_cast<size_t>(sample)];
  return {end - n, end};
}

std::vector<FigureInfo> figures(const MeasureSpec& spec) {
  const std::string what = spec.copy_text ? "copying text" : "copying random tokens";
  return {{.name = "copy_loss", .title = "Loss of " + what, .unit = "nats"},
          {.name = "copy_accuracy",
           .title = "Top-1 accuracy of " + what,
           .unit = "share",
           .better = Better::kHigher}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) { return spec.samples * length; }

std::optional<MeasureResult> run_copy(const MeasureRun& run) {
  const int64_t n = (run.length - 1) / 2;
  if (n < 1)
    throw UsageError("a length of " + std::to_string(run.length) +
                     " leaves nothing to copy; it must be at least 3");
  const UsedIds ids = used_ids(run.engine.spec().info, run.engine.find_tokenizer());
  std::vector<int64_t> ends;
  if (run.spec.copy_text)
    ends = sample_ends(run.text, run.spec.samples, run.longest(), run.spec.tail, run.spec.seed);
  MeasurePoint loss, accuracy;
  const bool whole = read_windows(
      run.engine, run.spec.copy_text ? std::ssize(ends) : run.spec.samples,
      [&](int64_t i) { return copy_window(ids, passage_of(run, ids, ends, n, i), run.spec.tail); },
      [&](int64_t, std::span<const RowScore> scores) {
        loss.samples.push_back(mean_loss(scores));
        accuracy.samples.push_back(top1_share(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  const auto vocab_size = static_cast<double>(run.engine.spec().info.vocab_size);
  return MeasureResult{{{"copy_loss", {std::move(loss)}, std::log(vocab_size)},
                        {"copy_accuracy", {std::move(accuracy)}, 1 / vocab_size}}};
}

}  // namespace

MeasureKind copy_measure() {
  return {.info = {.name = "copy",
                   .help = "Loss and top-1 accuracy of a passage's second copy.",
                   .reads_text = false,
                   .options = {"samples", "tail", "source"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_copy};
}

}  // namespace perdure
