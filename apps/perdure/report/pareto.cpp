// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/pareto.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "apps/perdure/report/pictures.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/report/value_axis.hpp"

namespace perdure::report {
namespace {

// What a point costs: a figure of the machine, or what follows from it.
struct Cost {
  const char* measure;
  const char* file;
  const char* words;  // behind "... against "
  Axis axis;
  double (*of)(double figure);
};

double as_it_is(double value) { return value; }
double microseconds(double tokens_per_second) { return 1e6 / tokens_per_second; }

std::optional<int64_t> measure_named(const ComparisonView& view, const std::string& name) {
  for (int64_t m = 0; m < view.n_measures(); ++m)
    if (view.measure(m).name == name && view.has_figures(m)) return m;
  return std::nullopt;
}

void sort_by_x(std::vector<ChartPoint>& points) {
  std::stable_sort(points.begin(), points.end(),
                   [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
}

Series points_of(const ComparisonView& view, int64_t e, int64_t quality, int64_t cost_measure,
                 const Cost& cost) {
  Series series = {view.entry(e).name, view.style(e), {}, Series::Look::kPoints};
  for (const int64_t length : view.lengths(quality)) {
    const ComparedCell* found = view.figure(e, quality, length);
    const ComparedCell* price = view.figure(e, cost_measure, length);
    if (found == nullptr || price == nullptr || !std::isfinite(found->figure.value)) continue;
    const double x = cost.of(price->figure.value);
    if (!std::isfinite(x) || x <= 0) continue;
    ChartPoint point;
    point.x = x;
    point.y = found->figure.value;
    point.hover = hover_text(view, *found) + "\n" + quantity_text(x, cost.axis.unit);
    series.points.push_back(std::move(point));
  }
  sort_by_x(series.points);
  return series;
}

bool lie_together(const ChartPoint& a, const ChartPoint& b) { return a.x == b.x && a.y == b.y; }

// Points of several entries at one place: each names them all.
void name_companions(std::vector<Series>& all) {
  const std::vector<Series> alone = all;
  for (size_t s = 0; s < all.size(); ++s)
    for (ChartPoint& point : all[s].points)
      for (size_t other = 0; other < alone.size(); ++other)
        for (const ChartPoint& companion : alone[other].points)
          if (other != s && lie_together(point, companion))
            point.hover += "\nalso " + companion.hover;
}

void lift_front(std::vector<Series>& all, const std::vector<ChartPoint>& front) {
  for (Series& series : all)
    for (ChartPoint& point : series.points)
      point.on_top = std::any_of(front.begin(), front.end(),
                                 [&](const ChartPoint& p) { return lie_together(point, p); });
}

std::optional<ParetoFigure> figure_against(const ComparisonView& view, const Cost& cost) {
  const int64_t quality = view.main_measure();
  const std::optional<int64_t> cost_measure = measure_named(view, cost.measure);
  if (!cost_measure || !view.measure(quality).axis.empty() || quality == *cost_measure) return {};
  Panel panel;
  std::vector<ChartPoint> all;
  for (int64_t e = 0; e < view.n_entries(); ++e) {
    Series series = points_of(view, e, quality, *cost_measure, cost);
    all.insert(all.end(), series.points.begin(), series.points.end());
    if (!series.points.empty()) panel.series.push_back(std::move(series));
  }
  sort_by_x(all);
  if (all.empty() || all.front().x == all.back().x) return {};
  const ComparedMeasure& measure = view.measure(quality);
  panel.x = cost.axis;
  panel.y = value_axis(measure, panel.series);
  panel.bands = false;
  const std::vector<ChartPoint> front = pareto_front(all, measure.lower_is_better);
  name_companions(panel.series);
  lift_front(panel.series, front);
  panel.series.push_back({"Pareto front", kGrey, front, Series::Look::kFront});
  return ParetoFigure{cost.file,
                      fmt::format("{} against {}", measure.title, cost.words),
                      {{std::move(panel)},
                       {"A point per entry and length; pointing at it names both. Dashed: the "
                        "Pareto front, points that no other one beats in quality and cost."}}};
}

}  // namespace

std::vector<ChartPoint> pareto_front(const std::vector<ChartPoint>& points, bool lower_is_better) {
  const double sign = lower_is_better ? 1 : -1;
  std::vector<ChartPoint> front;
  for (const ChartPoint& point : points) {
    if (!front.empty() && sign * point.y >= sign * front.back().y) continue;
    if (!front.empty() && point.x == front.back().x) front.pop_back();
    front.push_back(point);
  }
  return front;
}

std::vector<ParetoFigure> pareto_figures(const ComparisonView& view) {
  static const Cost kCosts[] = {
      {"state_bytes",
       "quality_by_state",
       "the state of a session",
       {"state of a session, smaller is better", "bytes", ScaleKind::kLog10, {}, {}},
       as_it_is},
      {"decode_speed",
       "quality_by_time",
       "the time per token",
       {"time per token, shorter is better", "us/token", ScaleKind::kLog10, {}, {}},
       microseconds}};
  std::vector<ParetoFigure> figures;
  if (view.n_measures() == 0) return figures;
  for (const Cost& cost : kCosts)
    if (auto figure = figure_against(view, cost)) figures.push_back(std::move(*figure));
  return figures;
}

}  // namespace perdure::report
