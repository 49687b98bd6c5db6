// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/line_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "apps/perdure/report/dot_panel.hpp"
#include "apps/perdure/report/pictures.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/report/value_axis.hpp"

namespace perdure::report {
namespace {

ChartPoint chart_point(const ComparisonView& view, const ComparedCell& cell, double x) {
  ChartPoint point;
  point.x = x;
  point.measured = cell.state == ComparedCell::State::kDone;
  if (!point.measured) return point;
  point.y = cell.figure.value;
  point.low = cell.figure.low;
  point.high = cell.figure.high;
  point.hover = hover_text(view, cell);
  return point;
}

// Nothing measured: no line. Along a second axis, at the longest length the measure has.
Series series_of(const ComparisonView& view, int64_t e, int64_t m) {
  Series series = {view.entry(e).name, view.style(e), {}};
  bool any = false;
  const auto add = [&](const ComparedCell* cell, double x) {
    if (cell == nullptr) return;
    series.points.push_back(chart_point(view, *cell, x));
    any = any || series.points.back().measured;
  };
  if (view.measure(m).axis.empty())
    for (const int64_t length : view.lengths(m))
      add(view.cell(e, m, length), static_cast<double>(length));
  else
    for (const double value : view.axis_values(m))
      add(view.cell(e, m, view.longest_measured(m), value), value);
  if (!any) series.points.clear();
  return series;
}

// In the order of the entries.
std::vector<Series> all_series(const ComparisonView& view, int64_t m) {
  std::vector<Series> all;
  for (int64_t e = 0; e < view.n_entries(); ++e) {
    Series series = series_of(view, e, m);
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  return all;
}

std::vector<VerticalMark> training_marks(const ComparisonView& view, double from, double to) {
  std::map<int64_t, std::vector<std::string>> trained;
  for (const ComparedEntry& entry : view.comparison().entries)
    if (entry.train_length > 0) trained[entry.train_length].push_back(entry.name);
  std::vector<VerticalMark> marks;
  for (const auto& [length, names] : trained) {
    const auto x = static_cast<double>(length);
    // One that lies far away would take the room of the lines.
    if (x < from / 2 || x > to * 2) continue;
    std::string hover = fmt::format("training length: {} tokens", count_text(length));
    if (trained.size() > 1)
      for (const std::string& name : names) hover += "\n" + name;
    marks.push_back({x, fmt::format("trained at {}", length), hover});
  }
  return marks;
}

Axis length_axis(const ComparisonView& view, int64_t m) {
  Axis axis = {"length in tokens", "", ScaleKind::kLog2, {}, {}};
  const std::vector<int64_t> lengths = view.lengths(m);
  if (lengths.size() <= 12) axis.ticks.assign(lengths.begin(), lengths.end());
  return axis;
}

// Positions are spread evenly or by powers of two; the axis follows.
Axis position_axis(const std::vector<double>& positions) {
  Axis axis = {"position in tokens", "", ScaleKind::kLog2, {}, {}};
  const double last = positions.back();
  if (positions[positions.size() / 2] < last / 4) return axis;
  axis.kind = ScaleKind::kLinear;
  axis.range = widened({0, last}, axis.kind);
  return axis;
}

// Where the picture has one length only: which.
std::string place_of(const ComparisonView& view, int64_t m) {
  const bool one = !view.measure(m).axis.empty() || view.lengths(m).size() == 1;
  return one ? fmt::format("length {}", count_text(view.longest_measured(m))) : "";
}

std::string capitalized(std::string words) {
  if (!words.empty()) words[0] = static_cast<char>(std::toupper(words[0]));
  return words;
}

Panel panel_of(const ComparisonView& view, int64_t m) {
  const ComparedMeasure& measure = view.measure(m);
  Panel panel;
  const std::string place = place_of(view, m);
  panel.title = measure.title + (place.empty() ? "" : ", " + place);
  panel.series = all_series(view, m);
  panel.y = value_axis(measure, panel.series);
  panel.bands = !panel.y.range || intervals_fit(panel.series, *panel.y.range, panel.y.kind);
  panel.bars = bands_pile_up(panel.series);
  const std::vector<int64_t> lengths = view.lengths(m);
  if (measure.axis.empty()) {
    panel.x = length_axis(view, m);
    if (lengths.size() == 1) return panel;  // rows, without an axis that could be marked
    panel.marks = training_marks(view, static_cast<double>(lengths.front()),
                                 static_cast<double>(lengths.back()));
    return panel;
  }
  panel.x = measure.axis == "position" ? position_axis(view.axis_values(m))
                                       : Axis{measure.axis, "", ScaleKind::kLinear, {}, {}};
  if (measure.axis == "position")
    panel.marks = training_marks(view, 1, static_cast<double>(view.longest_measured(m)));
  return panel;
}

// Entries that read the same: drawn once, in the style of the first coloured one.
void merge_equal_lines(std::vector<Series>& all) {
  std::vector<Series> distinct;
  std::stable_partition(all.begin(), all.end(),
                        [](const Series& series) { return series.style != kGrey; });
  const auto same = [](const ChartPoint& a, const ChartPoint& b) {
    return a.x == b.x && a.y == b.y && a.measured == b.measured;
  };
  for (Series& series : all) {
    const auto twin = std::find_if(distinct.begin(), distinct.end(), [&](const Series& other) {
      return std::equal(series.points.begin(), series.points.end(), other.points.begin(),
                        other.points.end(), same);
    });
    if (twin == distinct.end())
      distinct.push_back(std::move(series));
    else
      for (ChartPoint& point : twin->points) point.hover += "\nalso " + series.name;
  }
  all = std::move(distinct);
}

bool has_intervals(const Panel& panel) {
  return std::any_of(panel.series.begin(), panel.series.end(), [](const Series& series) {
    return std::any_of(series.points.begin(), series.points.end(),
                       [](const ChartPoint& point) { return point.low < point.high; });
  });
}

// "Bands: 95 % intervals." where there are any, and where they are not drawn.
std::string intervals_note(const std::vector<Panel>& panels) {
  bool bands = false, bars = false, hidden = false;
  for (const Panel& panel : panels) {
    if (!has_intervals(panel)) continue;
    const bool rows = has_one_x(panel);
    hidden = hidden || (!panel.bands && !rows);
    bars = bars || rows || (panel.bands && panel.bars);
    bands = bands || (panel.bands && !panel.bars && !rows);
  }
  if (!bands && !bars)
    return hidden ? "95 % intervals would cover the lines; only the table shows them." : "";
  const char* const drawn = bands && bars ? "Bands and bars" : bands ? "Bands" : "Bars";
  return fmt::format("{}: 95 % intervals.{}", drawn,
                     hidden ? " Where they would cover the lines, only the table shows them." : "");
}

std::vector<std::string> notes_of(const ComparisonView& view, const LineFigure& figure,
                                  const MeasureGroup& group) {
  std::string first = intervals_note(figure.panels);
  const auto add = [&](const std::string& words) { first += (first.empty() ? "" : " ") + words; };
  const auto has_marks = [](const Panel& panel) { return !panel.marks.empty(); };
  if (std::any_of(figure.panels.begin(), figure.panels.end(), has_marks))
    add("Dashed: training length.");
  if (view.n_entries() > kStyles)
    add(fmt::format("In colour: {} and the best at the longest length.",
                    view.entry(view.reference()).name));
  std::vector<std::string> notes;
  if (!first.empty()) notes.push_back(first);
  std::vector<std::string> without;
  for (int64_t e = 0; e < view.n_entries(); ++e) {
    const bool shown = std::any_of(group.measures.begin(), group.measures.end(), [&](int64_t m) {
      return !series_of(view, e, m).points.empty();
    });
    if (!shown) without.push_back(view.entry(e).name);
  }
  const auto has_arrow = [](const Panel& panel) {
    return panel.y.range && std::any_of(panel.series.begin(), panel.series.end(), [&](auto& line) {
             return std::any_of(line.points.begin(), line.points.end(), [&](auto& point) {
               return point.measured && !(point.y <= panel.y.range->high);
             });
           });
  };
  if (std::any_of(figure.panels.begin(), figure.panels.end(), has_arrow))
    notes.push_back("Arrows: how many values are above the plot, or are not numbers.");
  if (!without.empty()) notes.push_back(without_figures_note(without));
  return notes;
}

}  // namespace

LineFigure line_figure(const ComparisonView& view, const MeasureGroup& group) {
  LineFigure figure;
  bool merged = false;
  for (const int64_t m : group.measures) {
    Panel panel = panel_of(view, m);
    if (view.measure(m).unit == "bytes") {
      const size_t n_before = panel.series.size();
      merge_equal_lines(panel.series);
      merged = merged || panel.series.size() < n_before;
    }
    const std::optional<Range> close = close_range(view.measure(m), panel);
    figure.panels.push_back(panel);
    if (!close) continue;
    panel.title = "Close-up of the best";
    panel.y.range = close;
    panel.bands = intervals_fit(panel.series, *close, panel.y.kind);
    figure.panels.push_back(std::move(panel));
  }
  // The picture has the first measure's title.
  if (group.shared_title.empty())
    figure.panels.front().title = capitalized(place_of(view, group.measures.front()));
  figure.notes = notes_of(view, figure, group);
  if (merged)
    figure.notes.push_back("Entries with equal values share a line; its points name them.");
  return figure;
}

std::string without_figures_note(const std::vector<std::string>& names) {
  std::string note = "No values for: ";
  constexpr size_t kNamed = 6;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    note += (i == 0 ? "" : ", ") + shortened(names[i], 40);
  if (names.size() > kNamed) note += fmt::format(" and {} more", names.size() - kNamed);
  return note + ".";
}

}  // namespace perdure::report
