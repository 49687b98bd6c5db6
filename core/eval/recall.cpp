// SPDX-License-Identifier: Apache-2.0

// Associative recall (after Arora et al. 2023, "Zoology", arXiv:2312.04927): pairs of random tokens
// at the beginning, random tokens up to the length, then some of the keys again; what followed each
// must be the model's first choice. The distance from a pair to its question is about the length.
#include <limits>

#include "core/eval/measure_kind.hpp"
#include "core/eval/retrieval.hpp"

namespace perdure {
namespace {

double share_of_answers(std::span<const RowScore> scores) {
  if (!has_numbers(scores)) return std::numeric_limits<double>::quiet_NaN();
  double right = 0;
  for (size_t row = 0; row < scores.size(); row += 2) right += scores[row].top1 ? 1 : 0;
  return right / static_cast<double>((scores.size() + 1) / 2);
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "recall",
           .title = "Associative recall",
           .unit = "share",
           .better = Better::kHigher,
           .axis = "pairs"}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  return spec.samples * std::ssize(spec.pairs) * length;
}

// Those numbers of pairs for which the length and the vocabulary have room.
std::vector<MeasurePoint> points_of(const MeasureRun& run, const UsedIds& ids) {
  std::vector<MeasurePoint> points;
  const int64_t vocab_size = run.engine.spec().info.vocab_size;
  for (const int64_t n : run.spec.pairs)
    if (recall_fits(ids, n, run.length)) points.push_back({static_cast<double>(n), {}});
  if (points.empty())
    throw UsageError("no number of pairs fits a length of " + std::to_string(run.length) +
                     " and a vocabulary of " + std::to_string(vocab_size) +
                     "; ask for fewer pairs");
  return points;
}

std::optional<MeasureResult> run_recall(const MeasureRun& run) {
  const UsedIds ids = used_ids(run.engine.spec().info, run.engine.find_tokenizer());
  std::vector<MeasurePoint> points = points_of(run, ids);
  const int64_t n_samples = run.spec.samples;
  const auto point = [&](int64_t i) -> MeasurePoint& {
    return points[static_cast<size_t>(i / n_samples)];
  };
  const bool whole = read_windows(
      run.engine, n_samples * std::ssize(points),
      [&](int64_t i) {
        return recall_window(ids, static_cast<int64_t>(point(i).axis), run.length, run.spec.seed,
                             i % n_samples);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        point(i).samples.push_back(share_of_answers(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  return MeasureResult{
      {{"recall", std::move(points), 1 / static_cast<double>(run.engine.spec().info.vocab_size)}}};
}

}  // namespace

MeasureKind recall_measure() {
  return {.info = {.name = "recall",
                   .help = "Share of random token pairs whose second token is recalled at the end "
                           "of the length, by number of pairs.",
                   .reads_text = false,
                   .options = {"samples", "pairs"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_recall};
}

}  // namespace perdure
