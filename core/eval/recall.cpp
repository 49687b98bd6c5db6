// SPDX-License-Identifier: Apache-2.0

// Associative recall (after Arora et al. 2023, "Zoology", arXiv:2312.04927): pairs of random tokens
// at the beginning, random tokens up to the length, then some of the keys again; what followed each
// must be the model's first choice. The distance from a pair to its question is about the length.
#include <numeric>

#include "core/eval/measure_kind.hpp"
#include "core/eval/random.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

constexpr int64_t kMostQuestions = 8;
constexpr int32_t kFirstId = Tokenizer::kEos + 1;  // of ids that mean nothing special

int64_t questions_of(int64_t n_pairs) { return std::min(n_pairs, kMostQuestions); }

// Pairs, and questions whose last value is not read.
int64_t size_of(int64_t n_pairs) { return 2 * n_pairs + 2 * questions_of(n_pairs) - 1; }

// Scored are all rows from the first key asked for; those of even number are answers.
Window make_window(const MeasureRun& run, int64_t n_pairs, int64_t sample) {
  EvalRandom random(run.spec.seed, static_cast<uint64_t>(sample));
  std::vector<int32_t> ids(static_cast<size_t>(run.engine.spec().info.vocab_size - kFirstId));
  std::iota(ids.begin(), ids.end(), kFirstId);
  random.shuffle(std::span(ids));
  const std::span<const int32_t> keys = std::span(ids).first(static_cast<size_t>(n_pairs));
  const std::span<const int32_t> others = std::span(ids).subspan(static_cast<size_t>(n_pairs));
  const auto any = [&] { return others[static_cast<size_t>(random.below(std::ssize(others)))]; };
  std::vector<int32_t> tokens;
  for (const int32_t key : keys) tokens.insert(tokens.end(), {key, any()});
  for (int64_t i = size_of(n_pairs); i < run.length; ++i) tokens.push_back(any());
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  random.shuffle(std::span(order));
  order.resize(static_cast<size_t>(questions_of(n_pairs)));
  std::vector<int32_t> answers;
  for (const size_t pair : order)
    answers.insert(answers.end(), {tokens[2 * pair], tokens[2 * pair + 1]});
  tokens.push_back(answers.front());
  answers.erase(answers.begin());
  return answer_window(std::move(tokens), answers);
}

double share_of_answers(std::span<const RowScore> scores) {
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
std::vector<MeasurePoint> points_of(const MeasureRun& run) {
  std::vector<MeasurePoint> points;
  const int64_t n_ids = run.engine.spec().info.vocab_size - kFirstId;
  for (const int64_t n : run.spec.pairs)
    if (n >= 1 && size_of(n) <= run.length && n < n_ids)
      points.push_back({static_cast<double>(n), {}});
  if (points.empty())
    throw UsageError("no number of pairs fits a length of " + std::to_string(run.length) + " and " +
                     std::to_string(n_ids) + " token ids; ask for fewer pairs");
  return points;
}

std::optional<MeasureResult> run_recall(const MeasureRun& run) {
  std::vector<MeasurePoint> points = points_of(run);
  const int64_t n_samples = run.spec.samples;
  const auto point = [&](int64_t i) -> MeasurePoint& {
    return points[static_cast<size_t>(i / n_samples)];
  };
  const bool whole = read_windows(
      run.engine, n_samples * std::ssize(points),
      [&](int64_t i) {
        return make_window(run, static_cast<int64_t>(point(i).axis), i % n_samples);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        point(i).samples.push_back(share_of_answers(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  return MeasureResult{{{"recall", std::move(points)}}};
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
