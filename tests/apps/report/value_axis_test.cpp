// SPDX-License-Identifier: Apache-2.0
#include "apps/perdure/report/value_axis.hpp"

#include <doctest/doctest.h>

namespace perdure::report {
namespace {

const ComparedMeasure kLoss = {"loss", "Loss", "nats", true, ""};
const ComparedMeasure kSpeed = {"decode_speed", "Speed", "tokens/s", false, ""};

Series line(int style, const std::vector<double>& values, double half_interval = 0) {
  Series series = {"a", style, {}};
  for (size_t i = 0; i < values.size(); ++i)
    series.points.push_back({static_cast<double>(i + 1), values[i], values[i] - half_interval,
                             values[i] + half_interval, "", true});
  return series;
}

}  // namespace

TEST_CASE("intervals far longer than the lines' range do not press the lines flat") {
  const std::vector<Series> all = {line(0, {1, 2}, 100)};
  const Range range = *value_axis(kLoss, all).range;
  CHECK(range.low >= 0);
  CHECK(range.high <= 3);
  CHECK_FALSE(intervals_fit(all, range, ScaleKind::kLinear));
  const std::vector<Series> fitting = {line(0, {1, 2}, 0.15)};
  CHECK(intervals_fit(fitting, {1, 2}, ScaleKind::kLinear));
  CHECK_FALSE(intervals_fit(all, {1, 1000}, ScaleKind::kLog10));
  CHECK(value_axis(kLoss, fitting).range->high >= 2.15);
  CHECK(value_axis(kLoss, {line(0, {1, 1}, 0.5)}).range->high >= 1.5);
}

TEST_CASE("rows have room for their intervals, however long, unless they overflow") {
  const Range range = *value_axis(kLoss, {line(0, {1.55}, 0.2), line(1, {1.56}, 0.2)}).range;
  CHECK(range.low <= 1.35);
  CHECK(range.high >= 1.76);
  CHECK(value_axis(kLoss, {line(0, {1.55}, 1e30), line(1, {1.6})}).range->high < 20);
}

TEST_CASE("one overflow does not take the axis") {
  const Axis axis = value_axis(kLoss, {line(0, {1.2, 1.3, 1.4}), line(1, {1.2, 1e30, 2})});
  CHECK(axis.range->high < 20);
}

TEST_CASE("figures that differ by much get a logarithmic axis, others one from zero") {
  CHECK(value_axis(kSpeed, {line(0, {10, 1000})}).kind == ScaleKind::kLog10);
  const Axis axis = value_axis(kSpeed, {line(0, {100, 200})});
  CHECK(axis.kind == ScaleKind::kLinear);
  CHECK(axis.range->low == 0);
}

TEST_CASE("a close-up is drawn only where an entry runs away") {
  Panel panel;
  panel.series = {line(0, {1.2, 9}), line(1, {1.2, 1.3}), line(2, {1.2, 1.25})};
  panel.y = value_axis(kLoss, panel.series);
  const std::optional<Range> close = close_range(kLoss, panel);
  REQUIRE(close);
  CHECK(close->high < 2);
  panel.series = {line(0, {1.2, 1.4}), line(1, {1.2, 1.3})};
  panel.y = value_axis(kLoss, panel.series);
  CHECK_FALSE(close_range(kLoss, panel));
}

}  // namespace perdure::report
