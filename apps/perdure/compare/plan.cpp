// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "apps/perdure/files.hpp"
#include "core/base/hash.hpp"
#include "core/eval/measure_options.hpp"

namespace perdure::app {
namespace {

// `make`, with the place of a measure before what it refuses.
template <class Make>
auto at_place(const SourcePlace& place, Make make) {
  try {
    return make();
  } catch (const UsageError& error) {
    throw UsageError(place.text + ": compare.measures: " + error.what());
  }
}

struct OptionText {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(auto value) const { return fmt::format("{}", value); }
};

// The measure's name and the options it has, one a line, tasks by what their file holds.
std::string measure_key(const MeasureChoice& choice, const MeasureSpec& spec) {
  std::vector<OptionSpec> schema;
  const std::vector<std::string>& names = find_measure(spec.name).options;
  for (const MeasureOption& option : measure_options())
    if (std::find(names.begin(), names.end(), option.spec.name) != names.end())
      schema.push_back(option.spec);
  Options options =
      resolve_options({choice.name, choice.options, choice.place}, schema, "measure " + spec.name);
  options.set("samples", spec.samples);
  if (!spec.tasks.empty()) {
    Hasher hasher;
    hasher.add(read_file(spec.tasks));
    options.set("tasks", hasher.hex());
  }
  std::string text =
      fmt::format("measure: {}\nseed: {}\nlongest: {}\n", spec.name, spec.seed, spec.longest);
  for (const auto& [name, value] : options.all())
    text += name + ": " + std::visit(OptionText{}, value) + "\n";
  return text;
}

PlannedMeasure plan_measure(const MeasureChoice& choice, const ComparisonSettings& settings) {
  const MeasureSpec defaults{.seed = static_cast<uint64_t>(settings.seed),
                             .samples = settings.samples,
                             .longest = settings.lengths.back()};
  PlannedMeasure planned;
  planned.spec = measure_spec(choice, defaults, "");  // the path of tasks is absolute already
  planned.info = find_measure(choice.name);
  planned.reads_text = planned.info.reads_text || planned.spec.copy_text;
  planned.figures = at_place(choice.place, [&] { return figures_of(planned.spec); });
  planned.key = measure_key(choice, planned.spec);
  planned.label = choice.name;
  if (planned.spec.control != Control::kNone)
    planned.label += fmt::format("/{}", control_name(planned.spec.control));
  return planned;
}

// A figure is a column of the results: there can be only one of its name.
void require_different_figures(const std::vector<PlannedMeasure>& measures,
                               const std::vector<MeasureChoice>& choices) {
  std::map<std::string, SourcePlace> seen;
  for (size_t i = 0; i < measures.size(); ++i)
    for (const FigureInfo& figure : measures[i].figures) {
      const auto [there, is_new] = seen.emplace(figure.name, choices[i].place);
      if (!is_new)
        throw UsageError(
            fmt::format("{}: compare.measures: the figure '{}' is already measured at "
                        "{}; leave one out, or write a second comparison",
                        choices[i].place.text, figure.name, there->second.text));
    }
}

bool matches(const ComparePlan& plan, const Cell& cell, const std::string& pattern) {
  const std::string& entry = plan.settings.entries[cell.entry].name;
  return pattern == entry || pattern == entry + "/" + plan.measures[cell.measure].label ||
         pattern == plan.name_of(cell);
}

}  // namespace

std::vector<Cell> ComparePlan::cells() const {
  std::vector<Cell> cells;
  for (size_t entry = 0; entry < settings.entries.size(); ++entry)
    for (const int64_t length : settings.lengths)
      for (size_t measure = 0; measure < measures.size(); ++measure)
        cells.push_back({entry, measure, length});
  return cells;
}

MeasureSpec ComparePlan::spec_of(const Cell& cell) const {
  static const std::map<std::string, InputForm> kForms = {{"whole", InputForm::kWhole},
                                                          {"clip", InputForm::kClip},
                                                          {"repeat", InputForm::kRepeat},
                                                          {"contexts", InputForm::kContexts},
                                                          {"passages", InputForm::kPassages}};
  const ComparisonEntry& entry = settings.entries[cell.entry];
  MeasureSpec spec = measures[cell.measure].spec;
  spec.input = kForms.at(entry.input);
  spec.kept = entry.kept;
  spec.chunk = entry.chunk;
  return spec;
}

bool ComparePlan::is_machine(const Cell& cell) const {
  return measures[cell.measure].info.cls == MeasureClass::kMachine;
}

std::string ComparePlan::name_of(const Cell& cell) const {
  return fmt::format("{}/{}/{}", settings.entries[cell.entry].name, measures[cell.measure].label,
                     cell.length);
}

ComparePlan make_plan(ComparisonSettings settings) {
  ComparePlan plan{.settings = std::move(settings)};
  const ComparisonSettings& s = plan.settings;
  for (const MeasureChoice& choice : s.measures) plan.measures.push_back(plan_measure(choice, s));
  require_different_figures(plan.measures, s.measures);
  for (const ComparisonEntry& entry : s.entries)
    if (!entry.settings.ensemble.passages.empty())
      throw UsageError(
          fmt::format("{}: ensemble.passages is for `generate`; in a comparison write "
                      "`input: passages` into an entry",
                      entry.place.text));
  for (const PlannedMeasure& measure : plan.measures)
    if (measure.reads_text && s.text.empty() && s.tokens.empty())
      throw UsageError(fmt::format("{}: the measure {} reads a text; name files by compare.text",
                                   s.place.text, measure.label));
  return plan;
}

std::vector<Cell> select_cells(const ComparePlan& plan, const std::vector<std::string>& patterns) {
  const std::vector<Cell> all = plan.cells();
  if (patterns.empty()) return all;
  for (const std::string& pattern : patterns)
    if (std::none_of(all.begin(), all.end(),
                     [&](const Cell& cell) { return matches(plan, cell, pattern); }))
      throw UsageError(fmt::format("--only {}: there is no such cell; the first one is {}", pattern,
                                   plan.name_of(all.front())));
  std::vector<Cell> cells;
  for (const Cell& cell : all)
    if (std::any_of(patterns.begin(), patterns.end(),
                    [&](const std::string& pattern) { return matches(plan, cell, pattern); }))
      cells.push_back(cell);
  return cells;
}

}  // namespace perdure::app
