// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "apps/perdure/report/pictures.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/report/table_parts.hpp"

namespace perdure::report {
namespace {

// The one training length that entries know of; 0 if they differ.
int64_t common_train_length(const ComparisonView& view) {
  int64_t common = 0;
  for (const ComparedEntry& entry : view.comparison().entries) {
    if (entry.train_length == 0) continue;  // of a model that was not even opened
    if (common != 0 && entry.train_length != common) return 0;
    common = entry.train_length;
  }
  return common;
}

// The class of a column that is the first beyond the training length.
std::string border_class(const std::vector<int64_t>& lengths, size_t column, int64_t trained) {
  const bool beyond = trained > 0 && lengths[column] > trained;
  return beyond && (column == 0 || lengths[column - 1] <= trained) ? "beyond" : "";
}

std::string sort_value(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

bool has_interval(const Interval& figure) {
  return std::isfinite(figure.value) && figure.low < figure.high;
}

bool has_intervals(const ComparisonView& view, int64_t m) {
  const std::vector<ComparedCell>& cells = view.comparison().cells;
  return std::any_of(cells.begin(), cells.end(), [&](const ComparedCell& cell) {
    return cell.measure == m && cell.state == ComparedCell::State::kDone &&
           has_interval(cell.figure);
  });
}

// A cell without a figure says why.
void add_empty_cell(Markup& markup, const ComparisonView& view, const ComparedCell* cell,
                    const std::string& css_class) {
  const auto open = [&](const std::string& title) {
    markup.open("td", {{"class", "none " + css_class}, {"data-value", ""}, {"title", title}});
  };
  const bool refused = cell != nullptr && cell->state == ComparedCell::State::kRefused;
  if (!refused && (cell == nullptr || cell->state != ComparedCell::State::kFailed)) {
    open("not measured");
    markup.text("\u2013").close();
    return;
  }
  open(hover_text(view, *cell));
  markup.element("a", {{"href", "#reasons"}}, refused ? "refused" : "failed");
  markup.close();
}

void add_figure_cell(Markup& markup, const ComparisonView& view, const ComparedCell& cell,
                     const std::string& css_class, bool best) {
  const std::string& unit = view.measure(cell.measure).unit;
  const Interval& figure = cell.figure;
  markup.open("td", {{"class", css_class + (best ? " best" : "")},
                     {"data-value", sort_value(figure.value)}});
  if (best)
    markup.element("span", {{"class", "star"}, {"title", "best, or not distinguishable from it"}},
                   "\u2605 ");
  markup.text(figure_text(figure.value, unit));
  if (has_interval(figure))
    markup.element("small", {}, interval_text(figure.low, figure.high, unit));
  const Guessing guessing = beside_guessing(cell, view.measure(cell.measure));
  if (guessing != Guessing::kBetter)
    markup.element("small", {{"class", "guess"}}, guessing_text(guessing));
  markup.close();
}

std::string caption_of(const ComparedMeasure& measure) {
  const std::string unit = unit_in_heading(measure.unit);
  return fmt::format("{}{}. {} is better.", measure.title, unit.empty() ? "" : ", in " + unit,
                     measure.lower_is_better ? "Lower" : "Higher");
}

void add_length_headings(Markup& markup, const std::vector<int64_t>& lengths, int64_t trained) {
  markup.open("thead").open("tr");
  add_heading(markup, "entry");
  for (size_t i = 0; i < lengths.size(); ++i) {
    const std::string css_class = border_class(lengths, i, trained);
    add_heading(markup, count_text(lengths[i]), css_class);
  }
  markup.close().close();
}

// Rows of entries, columns of lengths; `add` writes one cell.
using AddCell = std::function<void(Markup&, int64_t entry, int64_t length, const std::string&)>;

Markup table_over_lengths(const ComparisonView& view, int64_t m, const std::string& caption,
                          const AddCell& add) {
  const std::vector<int64_t> lengths = view.lengths(m);
  const int64_t trained = common_train_length(view);
  Markup markup;
  open_table(markup, caption);
  add_length_headings(markup, lengths, trained);
  markup.open("tbody");
  for (int64_t e = 0; e < view.n_entries(); ++e) {
    markup.open("tr");
    add_entry_heading(markup, view, e);
    for (size_t i = 0; i < lengths.size(); ++i)
      add(markup, e, lengths[i], border_class(lengths, i, trained));
    markup.close();
  }
  markup.close().close().close();
  return markup;
}

}  // namespace

Markup length_table(const ComparisonView& view, int64_t m) {
  std::map<int64_t, std::vector<int64_t>> best;
  for (const int64_t length : view.lengths(m)) best[length] = view.best(m, length);
  const auto is_best = [&](int64_t e, int64_t length) {
    const std::vector<int64_t>& winners = best.at(length);
    return std::find(winners.begin(), winners.end(), e) != winners.end();
  };
  std::string caption = caption_of(view.measure(m));
  if (has_intervals(view, m)) caption += " Small: 95 % interval.";
  caption += " \u2605: the best, and those that a test (95 %) does not distinguish from it.";
  if (common_train_length(view) > 0)
    caption += fmt::format(" The line marks the training length, {}.",
                           count_text(common_train_length(view)));
  return table_over_lengths(
      view, m, caption,
      [&](Markup& markup, int64_t e, int64_t length, const std::string& css_class) {
        const ComparedCell* cell = view.cell(e, m, length);
        if (cell == nullptr || cell->state != ComparedCell::State::kDone)
          add_empty_cell(markup, view, cell, css_class);
        else
          add_figure_cell(markup, view, *cell, css_class, is_best(e, length));
      });
}

Markup axis_table(const ComparisonView& view, int64_t m) {
  const ComparedMeasure& measure = view.measure(m);
  const std::vector<double> axis_values = view.axis_values(m);
  // Every length has positions of its own: those of the longest are shown.
  const std::vector<int64_t> lengths =
      measure.axis == "position" ? std::vector{view.longest_measured(m)} : view.lengths(m);
  Markup markup;
  open_table(markup, fmt::format("{} Across: {}.", caption_of(measure), measure.axis));
  markup.open("thead").open("tr");
  add_heading(markup, "entry");
  add_heading(markup, "length");
  for (const double value : axis_values) add_heading(markup, axis_text(measure.axis, value));
  markup.close().close().open("tbody");
  for (int64_t e = 0; e < view.n_entries(); ++e)
    for (const int64_t length : lengths) {
      markup.open("tr");
      add_entry_heading(markup, view, e);
      markup.element("td", {{"data-value", std::to_string(length)}}, count_text(length));
      for (const double value : axis_values) {
        const ComparedCell* cell = view.cell(e, m, length, value);
        if (cell == nullptr) cell = view.cell(e, m, length);
        if (cell == nullptr || cell->state != ComparedCell::State::kDone)
          add_empty_cell(markup, view, cell, "");
        else
          add_figure_cell(markup, view, *cell, "", false);
      }
      markup.close();
    }
  markup.close().close().close();
  return markup;
}

bool has_differences(const ComparisonView& view, int64_t m) {
  const std::vector<ComparedCell>& cells = view.comparison().cells;
  return view.measure(m).axis.empty() &&
         std::any_of(cells.begin(), cells.end(), [&](const ComparedCell& cell) {
           return cell.measure == m && cell.difference && cell.entry != view.reference();
         });
}

Markup difference_table(const ComparisonView& view, int64_t m) {
  const ComparedMeasure& measure = view.measure(m);
  // A perplexity's differences are those of its losses.
  const std::string unit = measure.unit.empty() ? "nats" : measure.unit;
  const std::string caption = fmt::format(
      "{}: difference to {}, sample by sample{}. Bold: the 95 % interval excludes zero.",
      measure.title, view.entry(view.reference()).name,
      unit_in_heading(unit).empty() ? "" : ", in " + unit_in_heading(unit));
  return table_over_lengths(
      view, m, caption,
      [&](Markup& markup, int64_t e, int64_t length, const std::string& css_class) {
        const ComparedCell* cell = view.figure(e, m, length);
        if (cell == nullptr || !cell->difference) {
          add_empty_cell(markup, view, view.cell(e, m, length), css_class);
          return;
        }
        const Interval& difference = *cell->difference;
        const bool clear = difference.low > 0 || difference.high < 0;
        markup.open("td", {{"class", css_class + (clear ? " clear" : "")},
                           {"data-value", sort_value(difference.value)}});
        const std::string text = figure_text(difference.value, unit);
        markup.text((difference.value > 0 && text != figure_text(0, unit) ? "+" : "") + text);
        if (figure_text(difference.low, unit) != figure_text(difference.high, unit))
          markup.element("small", {}, interval_text(difference.low, difference.high, unit));
        markup.close();
      });
}

}  // namespace perdure::report
