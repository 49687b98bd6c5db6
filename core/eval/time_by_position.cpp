// SPDX-License-Identifier: Apache-2.0

// Time of a single token against how many were read before: flat where the state does not grow.
#include "core/eval/measure_kind.hpp"
#include "core/eval/timing.hpp"

namespace perdure {
namespace {

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "time_by_position",
           .title = "Time per token by position",
           .unit = "us/token",
           .axis = "position"}};
}

int64_t tokens(const MeasureSpec&, int64_t length) { return length; }

std::optional<MeasureResult> run_time(const MeasureRun& run) {
  const int64_t n_decoded = std::min(run.spec.decode_tokens, run.length);
  const int64_t n_points = std::min(run.spec.points, run.length / n_decoded);
  std::vector<MeasurePoint> points;
  TimedReader reader(run);
  for (int64_t p = 1; p <= n_points; ++p) {
    const int64_t end = run.length * p / n_points;
    if (!reader.read_to(end - n_decoded)) return std::nullopt;
    MeasurePoint point{static_cast<double>(end), {}};
    while (reader.position() < end) point.samples.push_back(reader.read_one() * 1e6);
    points.push_back(std::move(point));
  }
  return MeasureResult{{{"time_by_position", std::move(points)}}};
}

}  // namespace

MeasureKind time_measure() {
  return {.info = {.name = "time_by_position",
                   .help = "Decode time per token at points along the length.",
                   .cls = MeasureClass::kMachine,
                   .reads_text = false,
                   .options = {"points", "decode_tokens"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_time};
}

}  // namespace perdure
