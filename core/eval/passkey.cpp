// SPDX-License-Identifier: Apache-2.0

// Passkey retrieval (Mohtashami and Jaggi 2023, arXiv:2305.16300): digits hidden at a depth of the
// text and asked for at its end. The text around them is the text that is evaluated.
//
// Right is a sample whose digits are all the model's first choice while the true ones are read:
// exactly when greedy decoding would give them all.
#include <cmath>

#include "core/eval/measure_kind.hpp"
#include "core/eval/retrieval.hpp"

namespace perdure {
namespace {

Window make_window(const MeasureRun& run, int64_t sample, int64_t end, double depth) {
  const Passkey key = make_passkey(run.engine.tokenizer(), run.spec.digits, run.spec.seed, sample);
  if (key.size() > run.length)
    throw UsageError("a pass key with its question takes " + std::to_string(key.size()) +
                     " tokens, more than a length of " + std::to_string(run.length) +
                     "; leave out this length");
  const UsedIds ids = used_ids(run.engine.spec().info, &run.engine.tokenizer());
  return passkey_window(ids, key, run.text, end, run.length, depth);
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "passkey",
           .title = "Passkey retrieval",
           .unit = "share",
           .better = Better::kHigher,
           .summary = Summary::kShare,
           .axis = "depth"}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  return spec.samples * std::ssize(spec.depths) * length;
}

std::optional<MeasureResult> run_passkey(const MeasureRun& run) {
  // Other samples may have the same filling: the keys differ.
  const std::vector<int64_t> ends =
      sample_ends(run.text, run.spec.samples, run.longest(), 1, run.spec.seed);
  const int64_t n_samples = run.spec.samples;
  std::vector<MeasurePoint> points;
  for (const double depth : run.spec.depths) points.push_back({depth, {}});
  const bool whole = read_windows(
      run.engine, n_samples * std::ssize(points),
      [&](int64_t i) {
        const int64_t sample = i % n_samples;
        return make_window(run, sample, ends[static_cast<size_t>(sample) % ends.size()],
                           run.spec.depths[static_cast<size_t>(i / n_samples)]);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        points[static_cast<size_t>(i / n_samples)].samples.push_back(all_top1(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  return MeasureResult{
      {{"passkey", std::move(points), std::pow(0.1, static_cast<double>(run.spec.digits))}}};
}

}  // namespace

MeasureKind passkey_measure() {
  return {.info = {.name = "passkey",
                   .help = "Share of hidden digits that are found again, by length and depth.",
                   .options = {"samples", "digits", "depths"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_passkey};
}

}  // namespace perdure
