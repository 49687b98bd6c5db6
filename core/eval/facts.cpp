// SPDX-License-Identifier: Apache-2.0

// One and two supporting facts scattered in the text (after BABILong, arXiv:2406.10149), by
// distance in segments. Of four places in the story, the likeliest one must be the right one:
// models too small to answer freely can still tell them apart. Controls: nothing but the question
// is read (reset), and the facts are left out (absent); both should be at chance.
#include <string>

#include "core/eval/measure_kind.hpp"
#include "core/eval/stories.hpp"

namespace perdure {
namespace {

std::vector<FigureInfo> figures(const MeasureSpec&) {
  const FigureInfo one{.name = "one_fact",
                       .title = "Questions about one fact",
                       .unit = "share",
                       .better = Better::kHigher,
                       .summary = Summary::kShare,
                       .axis = "segments"};
  FigureInfo two = one;
  two.name = "two_facts";
  two.title = "Questions about two facts";
  return {one, two};
}

// Of both figures.
int64_t n_windows(const MeasureSpec& spec) { return 2 * spec.samples * std::ssize(spec.distances); }

// Tokens of a question and BOS, about.
constexpr int64_t kQuestion = 16;

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  return n_windows(spec) * (spec.control == Control::kReset ? kQuestion : length);
}

// Those distances for which the length has room.
std::vector<MeasurePoint> points_of(const MeasureRun& run) {
  std::vector<MeasurePoint> points;
  for (const int64_t distance : run.spec.distances)
    if (distance < run.length / run.spec.segment)
      points.push_back({static_cast<double>(distance), {}});
  if (points.empty())
    throw UsageError("no distance fits a length of " + std::to_string(run.length) +
                     " with segments of " + std::to_string(run.spec.segment) +
                     " tokens; ask for shorter distances or leave out this length");
  return points;
}

Window make_window(const MeasureRun& run, int64_t n_supporting, int64_t distance, int64_t sample,
                   int64_t end) {
  const Tokenizer& tokenizer = run.engine.tokenizer();
  const UsedIds ids = used_ids(run.engine.spec().info, &tokenizer);
  Story story = make_story(tokenizer, n_supporting, run.spec.seed, sample);
  if (run.spec.control == Control::kReset) return question_window(ids, story);
  if (run.spec.control == Control::kAbsent) story = untold(std::move(story));
  return story_window(ids, story, run.text, end, {run.length, run.spec.segment, distance},
                      run.spec.seed, sample);
}

std::optional<MeasureResult> run_facts(const MeasureRun& run) {
  // Other samples may have the same text around them: the stories differ.
  const std::vector<int64_t> ends =
      sample_ends(run.text, run.spec.samples, run.longest(), 1, run.spec.seed);
  const std::vector<MeasurePoint> points = points_of(run);
  const int64_t n_samples = run.spec.samples;
  const int64_t n_per_figure = n_samples * std::ssize(points);
  MeasureResult result;
  for (const FigureInfo& figure : figures(run.spec))
    result.figures.push_back({figure.name, points, 1.0 / kStoryChoices});
  const auto point = [&](int64_t i) -> MeasurePoint& {
    return result.figures[static_cast<size_t>(i / n_per_figure)]
        .points[static_cast<size_t>(i % n_per_figure / n_samples)];
  };
  const bool whole = read_windows(
      run.engine, 2 * n_per_figure,
      [&](int64_t i) {
        const int64_t sample = i % n_samples;
        return make_window(run, 1 + i / n_per_figure, static_cast<int64_t>(point(i).axis), sample,
                           ends[static_cast<size_t>(sample) % ends.size()]);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        point(i).samples.push_back(all_top1(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  return result;
}

}  // namespace

MeasureKind facts_measure() {
  return {.info = {.name = "facts",
                   .help = "Share of questions about one and two facts in the text whose right "
                           "place is the likeliest of four, by distance in segments.",
                   .options = {"samples", "control", "distances", "segment"},
                   .controls = {Control::kReset, Control::kAbsent}},
          .figures = figures,
          .tokens = tokens,
          .run = run_facts};
}

}  // namespace perdure
