// SPDX-License-Identifier: Apache-2.0

// Perplexity and loss by position, against losses of rows one by one.
#include <doctest/doctest.h>

#include <cmath>

#include "core/eval/figures.hpp"
#include "core/eval/measure.hpp"
#include "core/eval/windows.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// Loss of every target of tokens [end - length - 1, end).
std::vector<double> row_losses(Engine& engine, const EvalText& text, int64_t end, int64_t length) {
  std::vector<double> losses;
  read_windows(
      engine, 1, [&](int64_t) { return text_window(text, end, length, length); },
      [&](int64_t, std::span<const RowScore> scores) {
        for (const RowScore& score : scores) losses.push_back(score.loss);
      },
      {});
  return losses;
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("perplexity scores consecutive targets, each once, with the window before them") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = make_eval_text("random", random_tokens(200, 320, 3));
  const MeasureSpec spec{.name = "perplexity", .samples = 1000, .longest = 40, .stride = 10};
  const auto result = run_measure(engine, spec, 30, text);
  REQUIRE(result);
  const std::vector<double>& samples = result->figures[0].points[0].samples;
  REQUIRE(samples.size() == (200 - 41) / 10 + 1);
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::vector<double> losses =
        row_losses(engine, text, 41 + 10 * static_cast<int64_t>(i), 30);
    CHECK(samples[i] == mean(std::span(losses).last(10)));
  }
  const Interval perplexity = figure_interval(figures_of(spec)[0], samples);
  CHECK(std::abs(perplexity.value - std::exp(mean(samples))) < 1e-9);
}

TEST_CASE(
    "without a stride half the window is scored, and a longer one than the window is refused") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = make_eval_text("random", random_tokens(200, 320, 3));
  MeasureSpec spec{.name = "perplexity", .samples = 1000};
  CHECK(run_measure(engine, spec, 40, text)->figures[0].points[0].samples.size() ==
        (200 - 41) / 20 + 1);
  spec.stride = 41;
  CHECK_THROWS_WITH_AS(run_measure(engine, spec, 40, text),
                       "a stride of 41 is longer than the window of 40 tokens; make it smaller",
                       UsageError);
}

TEST_CASE("loss by position covers every row of the window once") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = make_eval_text("random", random_tokens(500, 320, 3));
  const MeasureSpec spec{.name = "loss_by_position", .samples = 2, .points = 7};
  const auto result = run_measure(engine, spec, 60, text);
  REQUIRE(result);
  const std::vector<MeasurePoint>& points = result->figures[0].points;
  REQUIRE(points.size() == 7);
  const std::vector<int64_t> ends = sample_ends(text, 2, 60, spec.tail, spec.seed);
  const std::vector<double> losses = row_losses(engine, text, ends[0], 60);
  size_t first = 0;
  for (const MeasurePoint& point : points) {
    const auto last = static_cast<size_t>(point.axis);
    CHECK(point.samples[0] == mean(std::span(losses).subspan(first, last - first)));
    first = last;
  }
  CHECK(first == 60);
}

TEST_CASE("a window of fewer rows than points has a point per row") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = make_eval_text("random", random_tokens(500, 320, 3));
  const auto result =
      run_measure(engine, {.name = "loss_by_position", .samples = 2, .points = 16}, 5, text);
  REQUIRE(result->figures[0].points.size() == 5);
  CHECK(result->figures[0].points[0].axis == 1);
  CHECK(result->figures[0].points[4].axis == 5);
}
