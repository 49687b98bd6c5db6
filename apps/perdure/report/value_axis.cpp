// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/value_axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "apps/perdure/report/quantity.hpp"

namespace perdure::report {
namespace {

// Values larger than that many medians are drawn as arrows: one that overflowed would otherwise
// press all others onto the axis.
constexpr double kMedians = 10;
// A close-up is drawn where it shows the best at least that much larger.
constexpr double kCloserUp = 4;
// Part of the axis that an interval may take, and of the intervals that may be longer.
constexpr double kIntervalShare = 0.4, kLongShare = 0.25;
// Ratio of values from which on a logarithmic axis shows more.
constexpr double kLogRatio = 8;

// Figures that are numbers, sorted.
std::vector<double> finite_values(const std::vector<Series>& all) {
  std::vector<double> values;
  for (const Series& series : all)
    for (const ChartPoint& point : series.points)
      if (std::isfinite(point.y)) values.push_back(point.y);
  std::sort(values.begin(), values.end());
  return values;
}

// Points of one x are drawn as rows, in which no interval covers another.
bool are_rows(const std::vector<Series>& all) {
  std::set<double> xs;
  for (const Series& series : all)
    for (const ChartPoint& point : series.points) xs.insert(point.x);
  return xs.size() == 1;
}

// With room for the intervals, unless they would take it from the lines.
Range with_intervals(Range range, const std::vector<Series>& all) {
  if (!are_rows(all) && !intervals_fit(all, range, ScaleKind::kLinear)) return range;
  const double longest = kMedians * std::max(std::abs(range.high), range.high - range.low);
  Range wider = range;
  for (const Series& series : all)
    for (const ChartPoint& point : series.points) {
      if (!(point.y <= range.high) || !(point.high - point.low <= longest)) continue;
      wider = {std::min(wider.low, point.low), std::max(wider.high, point.high)};
    }
  return wider;
}

double highest_of(const Series& series) {
  double highest = -INFINITY;
  for (const ChartPoint& point : series.points)
    if (point.measured) highest = std::isnan(point.y) ? INFINITY : std::max(highest, point.y);
  return highest;
}

}  // namespace

Axis value_axis(const ComparedMeasure& measure, const std::vector<Series>& all) {
  Axis axis;
  axis.unit = measure.unit;
  const std::string unit = unit_in_heading(measure.unit);
  axis.title = fmt::format("{}{}{} is better", unit, unit.empty() ? "" : ", ",
                           measure.lower_is_better ? "lower" : "higher");
  const std::vector<double> values = finite_values(all);
  if (values.empty()) return axis;
  const double low = values.front(), high = values.back();
  if (measure.unit == "nats") {
    const double most = std::min(high, kMedians * std::abs(values[values.size() / 2]));
    axis.range = with_intervals({low, std::max(most, low)}, all);
  } else if (measure.unit != "share" && low > 0 && high > kLogRatio * low) {
    axis.kind = ScaleKind::kLog10;
    axis.range = Range{low / 1.1, high * 1.1};
    return axis;
  } else {
    axis.range = Range{std::min(low, 0.0), high};
  }
  axis.range = rounded_out(widened(*axis.range, axis.kind), 6);
  return axis;
}

bool intervals_fit(const std::vector<Series>& all, Range range, ScaleKind kind) {
  if (range.low == range.high) return true;
  const Scale scale = {kind, range, 0, 1};
  int64_t n = 0, n_long = 0;
  for (const Series& series : all)
    for (const ChartPoint& point : series.points) {
      if (series.style == kGrey || !(point.y <= range.high)) continue;
      if (!std::isfinite(point.high - point.low)) continue;
      ++n;
      n_long += scale(point.high) - scale(point.low) > kIntervalShare;
    }
  return static_cast<double>(n_long) <= kLongShare * static_cast<double>(n);
}

bool bands_pile_up(const std::vector<Series>& all) {
  constexpr int kMostAtOnce = 3;
  std::map<double, std::vector<const ChartPoint*>> at;
  for (const Series& series : all)
    for (const ChartPoint& point : series.points)
      if (series.style != kGrey && point.low < point.high) at[point.x].push_back(&point);
  for (const auto& [x, points] : at)
    for (const ChartPoint* here : points) {
      // Intervals that lie over one another share the lower end of one of them.
      const auto covering = std::count_if(points.begin(), points.end(), [&](const ChartPoint* p) {
        return p->low <= here->low && here->low < p->high;
      });
      if (covering > kMostAtOnce) return true;
    }
  return false;
}

std::optional<Range> close_range(const ComparedMeasure& measure, const Panel& panel) {
  const bool control = measure.name.find('/') != std::string::npos;
  if (control || measure.unit != "nats" || !panel.y.range) return {};
  std::vector<double> highest;
  for (const Series& series : panel.series)
    if (series.style != kGrey) highest.push_back(highest_of(series));
  if (highest.size() < 2) return {};
  std::sort(highest.begin(), highest.end());
  const double low = finite_values(panel.series).front();
  const double high = highest[(highest.size() - 1) / 2];
  const Range whole = *panel.y.range;
  if (!(high > low) || whole.high - whole.low < kCloserUp * (high - low)) return {};
  return rounded_out(with_intervals({low, high}, panel.series), 6);
}

}  // namespace perdure::report
