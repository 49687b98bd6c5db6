// SPDX-License-Identifier: Apache-2.0

// Lines over an axis: one or several panels that share a legend. Knows nothing of models; whoever
// has numbers to show fills these structs.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "apps/perdure/report/drawing.hpp"
#include "apps/perdure/report/scale.hpp"

namespace perdure::report {

struct Axis {
  std::string title;
  std::string unit;  // of the tick texts, see quantity.hpp
  ScaleKind kind = ScaleKind::kLinear;
  std::vector<double> ticks;   // empty: round values
  std::optional<Range> range;  // default: what the points need
};

// A value that is no number (an overflow) is a point too, and shown as one that lies above. Where
// nothing was measured there is a point with measured == false, if the line shall have a gap there.
struct ChartPoint {
  double x = 0;
  double y = std::numeric_limits<double>::quiet_NaN();
  // A band or bar, if both are numbers.
  double low = std::numeric_limits<double>::quiet_NaN(), high = low;
  std::string hover;
  bool measured = true;
  bool on_top = false;  // of Look::kPoints: drawn after those of all other series
};

struct Series {
  enum class Look {
    kLine,
    kPoints,  // hollow markers alone
    kFront    // a dashed line alone, in no legend
  };

  std::string name;
  int style = kGrey;               // 0 to kStyles - 1, or kGrey
  std::vector<ChartPoint> points;  // by ascending x
  Look look = Look::kLine;
};

// A dashed vertical line.
struct VerticalMark {
  double x = 0;
  std::string label;
  std::string hover;
};

struct Panel {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  std::vector<VerticalMark> marks;
  bool bands = true;  // false where they would cover everything
  bool bars = false;  // intervals as bars: where many bands would lie over each other
};

// Sentences below the picture say what the lines cannot.
struct LineFigure {
  std::vector<Panel> panels;
  std::vector<std::string> notes;
};

// A panel whose points have one x is drawn as rows instead: name, value, interval.
// Requires: finite x. `id` is unique among the drawings of a page. The legend stands at the side if
// the drawing is at least 640 pixels wide, below otherwise; points above a given range of y are
// drawn as arrows at the upper edge that name their values.
Drawing draw_lines(const LineFigure& figure, double width, const std::string& id);

}  // namespace perdure::report
