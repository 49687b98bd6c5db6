// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/pictures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "apps/perdure/report/line_figures.hpp"
#include "apps/perdure/report/measure_groups.hpp"
#include "apps/perdure/report/pareto.hpp"
#include "apps/perdure/report/quantity.hpp"

namespace perdure::report {
namespace {

constexpr const char* kNoNumber = "?";

// Per cent without its sign and without digits that are useless in a small cell.
std::string short_share(double share) {
  return std::isfinite(share) ? fmt::format("{:.0f}", 100 * share) : kNoNumber;
}

HeatCell heat_cell(const ComparisonView& view, int64_t e, int64_t m, int64_t length, double axis) {
  const ComparedCell* cell = view.cell(e, m, length, axis);
  // A measure that could not be made at a length has one cell there, whatever its second axis. One
  // that was made may lack some values of it: what it has at 0 is not theirs.
  if (cell == nullptr && view.figure(e, m, length) == nullptr) cell = view.cell(e, m, length);
  if (cell == nullptr || cell->state != ComparedCell::State::kDone)
    return {0, false, "\u2013",
            cell == nullptr ? view.entry(e).name + "\nnot measured" : hover_text(view, *cell)};
  return {cell->figure.value, std::isfinite(cell->figure.value), short_share(cell->figure.value),
          hover_text(view, *cell)};
}

bool has_figures(const ComparisonView& view, int64_t e, int64_t m) {
  const auto& cells = view.comparison().cells;
  return std::any_of(cells.begin(), cells.end(), [&](const ComparedCell& cell) {
    return cell.entry == e && cell.measure == m && cell.state == ComparedCell::State::kDone;
  });
}

// The share of all measured cells if they read the same: maps of one shade say nothing.
std::optional<double> common_share(const std::vector<HeatMap>& maps) {
  std::optional<double> share;
  for (const HeatMap& map : maps)
    for (const HeatCell& cell : map.cells) {
      if (!cell.measured && cell.words != kNoNumber) continue;
      if (!cell.measured || (share && short_share(*share) != cell.words)) return std::nullopt;
      share = share.value_or(cell.share);
    }
  return share;
}

HeatFigure grid_figure(const ComparisonView& view, int64_t m) {
  HeatFigure figure;
  figure.column_title = "length in tokens";
  figure.row_title = view.measure(m).axis;
  const std::vector<int64_t> lengths = view.lengths(m);
  const std::vector<double> axis_values = view.axis_values(m);
  for (const int64_t length : lengths) figure.columns.push_back(std::to_string(length));
  for (const double value : axis_values)
    figure.rows.push_back(axis_text(view.measure(m).axis, value));
  std::vector<std::string> without;
  for (int64_t e = 0; e < view.n_entries(); ++e) {
    if (!has_figures(view, e, m)) {
      without.push_back(view.entry(e).name);
      continue;
    }
    HeatMap& map = figure.maps.emplace_back();
    map.title = view.entry(e).name;
    for (const double value : axis_values)
      for (const int64_t length : lengths)
        map.cells.push_back(heat_cell(view, e, m, length, value));
  }
  if (const std::optional<double> share = common_share(figure.maps)) {
    figure.maps.clear();
    figure.notes.push_back(fmt::format("{} everywhere: the same for every entry, {} and length.",
                                       figure_text(*share, "share"), figure.row_title));
    if (!without.empty()) figure.notes.push_back(without_figures_note(without));
    return figure;
  }
  figure.notes.push_back("Cells: per cent.");
  const auto no_number = [](const HeatCell& cell) { return cell.words == kNoNumber; };
  if (std::any_of(figure.maps.begin(), figure.maps.end(), [&](const HeatMap& map) {
        return std::any_of(map.cells.begin(), map.cells.end(), no_number);
      }))
    figure.notes.push_back("?: the model gave no number.");
  if (!without.empty()) figure.notes.push_back(without_figures_note(without));
  return figure;
}

std::string description_of(const ComparisonView& view, const MeasureGroup& group) {
  std::string titles;
  for (const int64_t m : group.measures)
    titles += (titles.empty() ? "" : "; ") + view.measure(m).title;
  const std::string of = fmt::format(" of {}: {}. The report has the same figures as a table.",
                                     counted(view.n_entries(), "entry", "entries"), titles);
  return (group.kind == PictureKind::kGrid ? "Heat maps" : "Lines") + of;
}

}  // namespace

std::vector<Picture> pictures_of(const ComparisonView& view) {
  std::vector<Picture> pictures;
  for (const MeasureGroup& group : measure_groups(view)) {
    Picture& picture = pictures.emplace_back();
    picture.name = group.name;
    picture.measures = group.measures;
    picture.caption = {group.shared_title.empty() ? view.measure(group.measures.front()).title
                                                  : group.shared_title,
                       description_of(view, group)};
    if (group.kind == PictureKind::kGrid)
      picture.content = grid_figure(view, group.measures.front());
    else
      picture.content = line_figure(view, group);
  }
  for (ParetoFigure& pareto : pareto_figures(view)) {
    Picture& picture = pictures.emplace_back();
    picture.name = std::move(pareto.name);
    picture.caption = {std::move(pareto.title),
                       "Points of every entry and length, with the Pareto front."};
    picture.content = std::move(pareto.figure);
  }
  return pictures;
}

Drawing draw(const Picture& picture, double width, const std::string& id) {
  if (const auto* lines = std::get_if<LineFigure>(&picture.content))
    return draw_lines(*lines, width, id);
  return draw_heat_maps(std::get<HeatFigure>(picture.content), width);
}

std::string axis_text(const std::string& axis, double value) {
  if (axis == "depth") return fmt::format("{:.3g} %", 100 * value);
  return tick_text(value, std::floor(value) == value ? 1 : 0.01, "");
}

std::string hover_text(const ComparisonView& view, const ComparedCell& cell) {
  const ComparedMeasure& measure = view.measure(cell.measure);
  std::string text =
      fmt::format("{}\nlength {}", view.entry(cell.entry).name, count_text(cell.length));
  if (!measure.axis.empty())
    text += fmt::format(", {} {}", measure.axis, axis_text(measure.axis, cell.axis));
  switch (cell.state) {
    case ComparedCell::State::kMissing:
      return text + "\nnot measured yet";
    case ComparedCell::State::kRefused:
      return text + "\nrefused: " + cell.reason;
    case ComparedCell::State::kFailed:
      return text + "\nfailed: " + cell.reason;
    case ComparedCell::State::kDone:
      break;
  }
  const Interval& figure = cell.figure;
  return text + fmt::format("\n{}\n95 %: {}, {}", quantity_text(figure.value, measure.unit),
                            interval_text(figure.low, figure.high, measure.unit),
                            counted(cell.samples, "sample", "samples"));
}

}  // namespace perdure::report
