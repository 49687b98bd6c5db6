// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/tables.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "apps/perdure/report/machines.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/terminal/columns.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/escape.hpp"
#include "core/base/shown_name.hpp"

namespace perdure::app {
namespace {

using State = ComparedCell::State;

// One field of a table: the cells of an entry at a length, along the second axis if there is one.
struct Field {
  std::string text = "-";
  bool best = false;
};

using Row = std::vector<Field>;

Field field_of(const std::vector<const ComparedCell*>& cells, const ComparedMeasure& measure) {
  if (cells.empty() || cells.front()->state == State::kMissing) return {};
  if (cells.front()->state == State::kRefused) return {.text = "refused"};
  if (cells.front()->state == State::kFailed) return {.text = "failed"};
  if (measure.axis.empty())
    return {.text = report::figure_with_interval(cells.front()->figure, measure.unit),
            .best = cells.front()->best};
  double sum = 0;
  for (const ComparedCell* cell : cells) sum += cell->figure.value;
  const double mean = sum / static_cast<double>(cells.size());
  return {.text = report::figure_text(mean, measure.unit)};
}

std::vector<Row> fields_of(const Comparison& comparison, size_t measure) {
  const size_t n_lengths = comparison.lengths.size();
  std::map<std::pair<int64_t, int64_t>, std::vector<const ComparedCell*>> cells;
  for (const ComparedCell& cell : comparison.cells)
    if (cell.measure == static_cast<int64_t>(measure))
      cells[{cell.entry, cell.length}].push_back(&cell);
  std::vector<Row> rows(comparison.entries.size(), Row(n_lengths));
  for (size_t entry = 0; entry < rows.size(); ++entry)
    for (size_t i = 0; i < n_lengths; ++i)
      rows[entry][i] = field_of(cells[{static_cast<int64_t>(entry), comparison.lengths[i]}],
                                comparison.measures[measure]);
  return rows;
}

std::string title_of(const ComparedMeasure& measure) {
  std::string title = measure.title;
  if (!measure.unit.empty()) title += ", " + measure.unit;
  if (!measure.axis.empty()) title += ", mean over " + measure.axis;
  return title + (measure.lower_is_better ? " (lower is better)" : " (higher is better)");
}

// Characters that mean something are written so that they do not; a line stays a line.
std::string markdown_text(const std::string& words) {
  std::string text;
  for (const char c : words) {
    if (std::string_view("\\`*_[]<>|&").find(c) != std::string_view::npos) text += '\\';
    text += c == '\n' || c == '\r' ? ' ' : c;
  }
  return text;
}

std::string latex_text(const std::string& words) {
  static const std::map<std::string, std::string> kMeaning{{"\\", "\\textbackslash{}"},
                                                           {"{", "\\{"},
                                                           {"}", "\\}"},
                                                           {"$", "\\$"},
                                                           {"&", "\\&"},
                                                           {"#", "\\#"},
                                                           {"_", "\\_"},
                                                           {"%", "\\%"},
                                                           {"~", "\\textasciitilde{}"},
                                                           {"^", "\\textasciicircum{}"},
                                                           {"\n", " "},
                                                           {"\r", " "},
                                                           {"\u00B1", "$\\pm$"},
                                                           {"\u00B5", "$\\mu$"},
                                                           {"\u2013", "--"}};
  std::string text;
  for (size_t i = 0; i < words.size();) {
    const size_t n = static_cast<unsigned char>(words[i]) < 0xC0   ? 1
                     : static_cast<unsigned char>(words[i]) < 0xE0 ? 2
                     : static_cast<unsigned char>(words[i]) < 0xF0 ? 3
                                                                   : 4;
    const std::string character = words.substr(i, n);
    const auto found = kMeaning.find(character);
    text += found == kMeaning.end() ? character : found->second;
    i += n;
  }
  return text;
}

std::string right(const std::string& text, size_t width) {
  const size_t used = display_width(text);
  return std::string(width > used ? width - used : 0, ' ') + text;
}

// "*" stands behind the best, a space behind the others.
std::string marked(const Field& field, size_t width, bool colour) {
  const std::string text = right(field.text, width) + (field.best ? "*" : " ");
  return field.best && colour ? "\033[1;32m" + text + "\033[0m" : text;
}

std::string table(const Comparison& comparison, size_t number, bool colour) {
  const ComparedMeasure& measure = comparison.measures[number];
  const std::vector<Row> rows = fields_of(comparison, number);
  std::string text = escaped(title_of(measure)) + "\n";

  size_t names = 0;
  for (const ComparedEntry& entry : comparison.entries)
    names = std::max(names, display_width(shown_name(entry.name)));
  std::vector<size_t> widths;
  std::string header(names, ' ');
  for (size_t i = 0; i < comparison.lengths.size(); ++i) {
    const std::string length = std::to_string(comparison.lengths[i]);
    size_t width = length.size();
    for (const Row& row : rows) width = std::max(width, display_width(row[i].text));
    widths.push_back(width);
    header += "  " + right(length, width) + " ";
  }
  const auto line = [](std::string row) {
    return row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  };
  text += line(header);
  for (size_t entry = 0; entry < rows.size(); ++entry) {
    std::string row = fitted(shown_name(comparison.entries[entry].name), names);
    for (size_t i = 0; i < widths.size(); ++i)
      row += "  " + marked(rows[entry][i], widths[i], colour);
    text += line(row);
  }
  return text;
}

// "window: loss at 256, 512: worse than guessing (5.768)" per entry, figure and verdict.
std::string guesses(const Comparison& comparison) {
  using Place = std::tuple<int64_t, int64_t, Guessing>;  // entry, measure, verdict
  std::map<Place, std::set<int64_t>> lengths;
  std::map<Place, double> chances;
  for (const ComparedCell& cell : comparison.cells) {
    const ComparedMeasure& measure = comparison.measures[static_cast<size_t>(cell.measure)];
    const Guessing guessing = beside_guessing(cell, measure);
    if (guessing == Guessing::kBetter) continue;
    lengths[{cell.entry, cell.measure, guessing}].insert(cell.length);
    chances[{cell.entry, cell.measure, guessing}] = *cell.chance;
  }
  std::string text;
  for (const auto& [place, at] : lengths) {
    const auto& [entry, figure, guessing] = place;
    const ComparedMeasure& measure = comparison.measures[static_cast<size_t>(figure)];
    text +=
        fmt::format("warning: {}: {} at {}: {} ({})\n",
                    shown_name(comparison.entries[static_cast<size_t>(entry)].name),
                    shown_name(measure.name), fmt::join(at, ", "), report::guessing_text(guessing),
                    report::figure_text(chances[place], measure.unit));
  }
  return text;
}

// "measured on CPU (avx2, fma), 2 threads, load 0.10 to 3.20, ..." per machine.
std::string machines(const Comparison& comparison) {
  std::string text;
  for (const std::string& line : report::machine_lines(comparison))
    text += "measured on " + escaped(line) + "\n";
  return text;
}

}  // namespace

std::string markdown_tables(const Comparison& comparison) {
  std::string text;
  for (size_t m = 0; m < comparison.measures.size(); ++m) {
    text += "**" + markdown_text(title_of(comparison.measures[m])) + "**\n\n| entry |";
    for (const int64_t length : comparison.lengths) text += fmt::format(" {} |", length);
    text += "\n|---|";
    for (size_t i = 0; i < comparison.lengths.size(); ++i) text += "---:|";
    const std::vector<Row> rows = fields_of(comparison, m);
    for (size_t entry = 0; entry < rows.size(); ++entry) {
      text += "\n| " + markdown_text(comparison.entries[entry].name) + " |";
      for (const Field& field : rows[entry])
        text += field.best ? " **" + field.text + "** |" : " " + field.text + " |";
    }
    text += "\n\n";
  }
  return text;
}

std::string latex_tables(const Comparison& comparison) {
  std::string text = "% \\usepackage{booktabs}\n";
  for (size_t m = 0; m < comparison.measures.size(); ++m) {
    text += "\\begin{table}\n\\centering\n\\caption{" +
            latex_text(title_of(comparison.measures[m])) + "}\n\\begin{tabular}{l" +
            std::string(comparison.lengths.size(), 'r') + "}\n\\toprule\nentry";
    for (const int64_t length : comparison.lengths) text += fmt::format(" & {}", length);
    text += " \\\\\n\\midrule\n";
    const std::vector<Row> rows = fields_of(comparison, m);
    for (size_t entry = 0; entry < rows.size(); ++entry) {
      text += latex_text(comparison.entries[entry].name);
      for (const Field& field : rows[entry])
        text += " & " +
                (field.best ? "\\textbf{" + latex_text(field.text) + "}" : latex_text(field.text));
      text += " \\\\\n";
    }
    text += "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n";
  }
  return text;
}

std::string comparison_tables(const Comparison& comparison, bool colour) {
  std::string text;
  for (size_t i = 0; i < comparison.measures.size(); ++i)
    text += table(comparison, i, colour) + "\n";
  return text + guesses(comparison) + machines(comparison);
}

std::string reasons_text(std::span<const Comparison> parts) {
  std::vector<std::pair<std::string, std::set<int64_t>>> lines;  // what, at which lengths
  std::map<std::string, size_t> numbers;
  for (const Comparison& part : parts)
    for (const ComparedCell& cell : part.cells) {
      if (cell.reason.empty()) continue;
      const char* what = cell.state == State::kRefused ? "refused" : "failed";
      const std::string key = fmt::format(
          "{}: {}: {}", part.entries[static_cast<size_t>(cell.entry)].name, what, cell.reason);
      const auto [there, is_new] = numbers.emplace(key, lines.size());
      if (is_new) lines.push_back({key, {}});
      lines[there->second].second.insert(cell.length);
    }
  std::string text;
  for (const auto& [what, lengths] : lines)
    text += fmt::format("{} [{}]\n", what, fmt::join(lengths, ", "));
  return text;
}

}  // namespace perdure::app
