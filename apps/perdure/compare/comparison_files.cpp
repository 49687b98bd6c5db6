// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/comparison_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <tuple>

#include "apps/perdure/compare/tables.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "core/api/error.hpp"
#include "core/base/write_file.hpp"
#include "core/config/map_reader.hpp"

namespace perdure::app {
namespace {

using State = ComparedCell::State;

State state_of(const std::optional<CellOutcome>& outcome) {
  if (!outcome) return State::kMissing;
  switch (outcome->state) {
    case CellOutcome::State::kDone:
      return State::kDone;
    case CellOutcome::State::kRefused:
      return State::kRefused;
    case CellOutcome::State::kFailed:
      return State::kFailed;
    case CellOutcome::State::kStopped:
      break;
  }
  return State::kMissing;
}

const SurveyedCell* find_cell(const Survey& survey, const Cell& cell) {
  const auto found = std::find_if(survey.cells.begin(), survey.cells.end(),
                                  [&](const SurveyedCell& s) { return s.cell == cell; });
  return found == survey.cells.end() ? nullptr : &*found;
}

// The samples of a figure in a cell that is done; nullptr if it is not.
const FigureSamples* samples_of(const SurveyedCell* cell, size_t figure) {
  if (cell == nullptr || state_of(cell->outcome) != State::kDone) return nullptr;
  const std::vector<FigureSamples>& figures = cell->outcome->result.figures;
  return figure < figures.size() ? &figures[figure] : nullptr;
}

class Assembly {
 public:
  Assembly(const ComparePlan& plan, const Survey& survey) : plan_(plan), survey_(survey) {}

  Comparison make(bool machine) {
    const ComparisonSettings& s = plan_.settings;
    result_ = {.title = s.title,
               .text_name = survey_.text_name,
               .text_hash = survey_.text_hash,
               .text_tokens = survey_.text_tokens,
               .seed = static_cast<uint64_t>(s.seed),
               .lengths = s.lengths,
               .entries = survey_.entries};
    if (s.baseline) result_.baseline = static_cast<int64_t>(*s.baseline);
    std::vector<size_t> measures;
    for (size_t i = 0; i < plan_.measures.size(); ++i)
      if ((plan_.measures[i].info.cls == MeasureClass::kMachine) == machine) measures.push_back(i);
    for (const size_t i : measures)
      for (const FigureInfo& figure : plan_.measures[i].figures) add_measure(figure);
    for (size_t entry = 0; entry < s.entries.size(); ++entry) {
      int64_t column = 0;
      for (const size_t measure : measures)
        for (size_t figure = 0; figure < plan_.measures[measure].figures.size(); ++figure, ++column)
          for (const int64_t length : s.lengths)
            add_cells({entry, measure, length}, figure, column);
    }
    mark_best();
    return std::move(result_);
  }

 private:
  void add_measure(const FigureInfo& figure) {
    result_.measures.push_back({.name = figure.name,
                                .title = figure.title,
                                .unit = figure.unit,
                                .lower_is_better = figure.better == Better::kLower,
                                .axis = figure.axis});
  }

  void add_cells(const Cell& cell, size_t figure, int64_t column) {
    const SurveyedCell* found = find_cell(survey_, cell);
    ComparedCell compared{.entry = static_cast<int64_t>(cell.entry),
                          .measure = column,
                          .length = cell.length,
                          .state = found == nullptr ? State::kMissing : state_of(found->outcome)};
    const FigureSamples* samples = samples_of(found, figure);
    if (samples == nullptr) {
      if (found != nullptr && found->outcome) compared.reason = found->outcome->reason;
      result_.cells.push_back(std::move(compared));
      return;
    }
    compared.chance = samples->chance;
    compared.circumstances = found->outcome->circumstances;
    const FigureSamples* baseline = baseline_of(cell, figure);
    const FigureInfo& info = plan_.measures[cell.measure].figures[figure];
    for (size_t i = 0; i < samples->points.size(); ++i) {
      const MeasurePoint& point = samples->points[i];
      if (point.samples.empty()) continue;
      compared.axis = point.axis;
      compared.samples = std::ssize(point.samples);
      compared.figure = figure_interval(info, point.samples);
      compared.difference.reset();
      if (baseline != nullptr && i < baseline->points.size())
        compared.difference = difference(point, baseline->points[i]);
      result_.cells.push_back(compared);
      places_[{column, cell.length, point.axis}].push_back(
          {result_.cells.size() - 1, &info, &point, !plan_.is_machine(cell)});
    }
  }

  void mark_best() {
    for (const auto& [place, found] : places_) {
      std::vector<std::span<const double>> samples;
      for (const Measured& m : found) samples.emplace_back(m.point->samples);
      const std::vector<bool> best =
          best_of(*found.front().figure, found.front().deterministic, samples);
      std::vector<ComparedCell*> column;
      for (size_t i = 0; i < found.size(); ++i) {
        column.push_back(&result_.cells[found[i].cell]);
        column.back()->best = best[i];
      }
      mark_what_reads_alike(column, found.front().figure->unit);
    }
  }

  const FigureSamples* baseline_of(Cell cell, size_t figure) const {
    if (!plan_.settings.baseline || cell.entry == *plan_.settings.baseline) return nullptr;
    cell.entry = *plan_.settings.baseline;
    return samples_of(find_cell(survey_, cell), figure);
  }

  // Nothing where the two did not read the same samples.
  static std::optional<Interval> difference(const MeasurePoint& point, const MeasurePoint& base) {
    if (point.axis != base.axis || point.samples.size() != base.samples.size()) return std::nullopt;
    return paired_difference(point.samples, base.samples);
  }

  struct Measured {
    size_t cell;  // in result_
    const FigureInfo* figure;
    const MeasurePoint* point;
    bool deterministic;
  };

  const ComparePlan& plan_;
  const Survey& survey_;
  Comparison result_;
  std::map<std::tuple<int64_t, int64_t, double>, std::vector<Measured>>
      places_;  // column, length, axis
};

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + csv_field(field);
  return line + "\r\n";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

// "attention:\n  window: 8\n" as {"attention.window": "8"}: the lines of our own dump.
std::map<std::string, std::string> configuration_values(const std::string& yaml) {
  std::map<std::string, std::string> values;
  std::vector<std::string> path;
  std::istringstream lines(yaml);
  for (std::string line; std::getline(lines, line);) {
    const size_t indent = line.find_first_not_of(' ');
    const size_t colon = line.find(": ", indent == std::string::npos ? 0 : indent);
    if (indent == std::string::npos) continue;
    path.resize(std::min(path.size(), indent / 2));
    const bool is_map = colon == std::string::npos;
    std::string key = line.substr(indent, (is_map ? line.size() - 1 : colon) - indent);
    if (is_map) {
      path.push_back(std::move(key));
      continue;
    }
    std::string name;
    for (const std::string& part : path) name += part + ".";
    values[name + key] = line.substr(colon + 2);
  }
  return values;
}

// The keys of the entries' configurations that do not have the same value everywhere.
class ConfigurationColumns {
 public:
  explicit ConfigurationColumns(const std::vector<ComparedEntry>& entries) {
    std::map<std::string, std::map<std::string, size_t>> counts;  // key, value, entries
    for (const ComparedEntry& entry : entries)
      for (const auto& [key, value] : rows_.emplace_back(configuration_values(entry.configuration)))
        ++counts[key][value];
    for (const auto& [key, values] : counts)
      if (values.size() > 1 || values.begin()->second < entries.size()) names_.push_back(key);
  }

  const std::vector<std::string>& names() const { return names_; }
  std::vector<std::string> values(size_t entry) const {
    std::vector<std::string> values;
    for (const std::string& name : names_) {
      const auto found = rows_[entry].find(name);
      values.push_back(found == rows_[entry].end() ? "" : found->second);
    }
    return values;
  }

 private:
  std::vector<std::map<std::string, std::string>> rows_;
  std::vector<std::string> names_;
};

std::string times_csv(const ComparePlan& plan, const Survey& survey) {
  std::string text = csv_line({"entry", "measure", "length", "seconds"});
  for (const SurveyedCell& cell : survey.cells)
    if (cell.outcome && cell.outcome->state == CellOutcome::State::kDone)
      text += csv_line({plan.settings.entries[cell.cell.entry].name,
                        plan.measures[cell.cell.measure].label, std::to_string(cell.cell.length),
                        csv_number(cell.outcome->seconds)});
  return text;
}

void write_text(const std::string& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)), {.mode = 0666});
}

bool is_result(const std::filesystem::path& file) {
  static const std::set<std::string> kNames = {kConfigurationFile, "report.html", "results.json",
                                               "results.csv",      "tables.md",   "tables.tex",
                                               "measured.json",    "times.csv",   "samples.csv"};
  return file.extension() == ".svg" || kNames.contains(file.filename().string());
}

}  // namespace

Comparison make_comparison(const ComparePlan& plan, const Survey& survey, bool machine) {
  return Assembly(plan, survey).make(machine);
}

void mark_what_reads_alike(std::span<ComparedCell* const> column, const std::string& unit) {
  const auto single = [](const ComparedCell* cell) { return cell->samples == 1; };
  if (!std::all_of(column.begin(), column.end(), single)) return;
  std::set<std::string> best;
  for (const ComparedCell* cell : column)
    if (cell->best) best.insert(report::figure_text(cell->figure.value, unit));
  size_t n_marked = 0;
  for (ComparedCell* cell : column) {
    cell->best = best.contains(report::figure_text(cell->figure.value, unit));
    n_marked += cell->best;
  }
  if (n_marked < column.size()) return;
  for (ComparedCell* cell : column) cell->best = false;
}

std::string csv_field(const std::string& text) {
  const bool is_formula =
      !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
  std::string field = (is_formula && !scalar_to_real(text, false) ? "'" : "") + text;
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string comparison_csv(const Comparison& comparison) {
  static constexpr const char* kStates[] = {"done", "refused", "failed", "missing"};
  const ConfigurationColumns configuration(comparison.entries);
  std::vector<std::string> names{
      "entry",           "measure", "unit",  "length", "axis",       "state",
      "samples",         "value",   "low",   "high",   "difference", "difference_low",
      "difference_high", "best",    "reason"};
  names.insert(names.end(), configuration.names().begin(), configuration.names().end());
  std::string text = csv_line(names);
  for (const ComparedCell& c : comparison.cells) {
    const ComparedMeasure& measure = comparison.measures[static_cast<size_t>(c.measure)];
    std::vector<std::string> fields{comparison.entries[static_cast<size_t>(c.entry)].name,
                                    measure.name,
                                    measure.unit,
                                    std::to_string(c.length),
                                    measure.axis.empty() ? "" : csv_number(c.axis),
                                    kStates[static_cast<size_t>(c.state)]};
    const bool done = c.state == State::kDone;
    fields.push_back(done ? std::to_string(c.samples) : "");
    for (const double number : {c.figure.value, c.figure.low, c.figure.high})
      fields.push_back(done ? csv_number(number) : "");
    const Interval difference = c.difference.value_or(Interval{});
    for (const double number : {difference.value, difference.low, difference.high})
      fields.push_back(c.difference ? csv_number(number) : "");
    fields.push_back(done ? (c.best ? "1" : "0") : "");
    fields.push_back(c.reason);
    for (std::string& value : configuration.values(static_cast<size_t>(c.entry)))
      fields.push_back(std::move(value));
    text += csv_line(fields);
  }
  return text;
}

std::string samples_csv(const ComparePlan& plan, const Survey& survey) {
  std::string text = csv_line({"entry", "measure", "unit", "length", "axis", "sample", "value"});
  for (const SurveyedCell& cell : survey.cells) {
    const std::vector<FigureInfo>& figures = plan.measures[cell.cell.measure].figures;
    for (size_t f = 0; f < figures.size(); ++f) {
      const FigureSamples* samples = samples_of(&cell, f);
      if (samples == nullptr) continue;
      for (const MeasurePoint& point : samples->points)
        for (size_t i = 0; i < point.samples.size(); ++i)
          text += csv_line({plan.settings.entries[cell.cell.entry].name, figures[f].name,
                            figures[f].unit, std::to_string(cell.cell.length),
                            figures[f].axis.empty() ? "" : csv_number(point.axis),
                            std::to_string(i), csv_number(point.samples[i])});
    }
  }
  return text;
}

FolderLock::FolderLock(const std::string& folder) {
  const std::string path = folder + "/.lock";
  file_ = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file_) throw Error(fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  if (flock(file_.number(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK)
    throw Error(
        fmt::format("another run of compare is writing to {}; wait for its end, or choose "
                    "another folder by --out",
                    folder));
  // A file system without locks is no reason to measure nothing.
}

void require_own_folder(const std::string& folder, const std::string& configuration) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::equivalent(folder + "/" + kConfigurationFile, configuration, ignored))
    throw UsageError(
        fmt::format("{} is being read and would be replaced; choose another folder by "
                    "--out",
                    configuration));
  if (fs::exists(folder + "/cells", ignored)) return;
  for (const fs::directory_entry& file : fs::directory_iterator(folder, ignored))
    if (is_result(file.path()))
      throw UsageError(
          fmt::format("{} was not written by a comparison and would be lost; choose "
                      "another folder by --out",
                      file.path().native()));
}

void write_comparison(const ComparePlan& plan, const Survey& survey, const std::string& folder) {
  const Comparison results = make_comparison(plan, survey, false);
  const Comparison measured = make_comparison(plan, survey, true);
  write_text(folder + "/tables.md", markdown_tables(results) + markdown_tables(measured));
  write_text(folder + "/tables.tex", latex_tables(results) + latex_tables(measured));
  write_text(folder + "/results.json", comparison_json(results));
  write_text(folder + "/results.csv", comparison_csv(results));
  write_text(folder + "/measured.json", comparison_json(measured));
  write_text(folder + "/times.csv", times_csv(plan, survey));
  write_text(folder + "/samples.csv", samples_csv(plan, survey));
}

}  // namespace perdure::app
