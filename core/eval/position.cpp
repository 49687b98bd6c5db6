// SPDX-License-Identifier: Apache-2.0

// Loss by position: every row of a window is scored; where a model breaks shows as a step.
#include <cmath>

#include "core/eval/measure_kind.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "loss_by_position",
           .title = "Loss by position",
           .unit = "nats",
           .axis = "position"}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) { return spec.samples * length; }

std::optional<MeasureResult> run_position(const MeasureRun& run) {
  const std::vector<int64_t> ends =
      sample_ends(run.text, run.spec.samples, run.longest(), run.spec.tail, run.spec.seed);
  const int64_t n_points = std::min(run.spec.points, run.length);
  const auto first_row = [&](int64_t point) {
    return static_cast<size_t>(run.length * point / n_points);
  };
  std::vector<MeasurePoint> points(static_cast<size_t>(n_points));
  const bool whole = read_windows(
      run.engine, std::ssize(ends),
      [&](int64_t i) {
        return text_window(run.text, ends[static_cast<size_t>(i)], run.length, run.length);
      },
      [&](int64_t, std::span<const RowScore> scores) {
        for (int64_t p = 0; p < n_points; ++p) {
          MeasurePoint& point = points[static_cast<size_t>(p)];
          point.axis = static_cast<double>(first_row(p + 1));
          point.samples.push_back(
              mean_loss(scores.subspan(first_row(p), first_row(p + 1) - first_row(p))));
        }
      },
      run.progress);
  if (!whole) return std::nullopt;
  const auto vocab_size = static_cast<double>(run.engine.spec().info.vocab_size);
  return MeasureResult{{{"loss_by_position", std::move(points), std::log(vocab_size)}}};
}

}  // namespace

MeasureKind position_measure() {
  return {.info = {.name = "loss_by_position",
                   .help = "Loss of all targets of a window, by how many tokens stand before them "
                           "(up to the position named).",
                   .options = {"samples", "points"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_position};
}

}  // namespace perdure
