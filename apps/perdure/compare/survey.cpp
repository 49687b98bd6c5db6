// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/survey.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <string_view>

#include "apps/perdure/commands/configuration.hpp"
#include "apps/perdure/compare/circumstances.hpp"
#include "apps/perdure/compare/estimate.hpp"
#include "core/eval/step_check.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

using State = CellOutcome::State;

void check_options(const StrategyChoice& choice, const PluginHost& plugins) {
  if (!choice.strategy.empty())
    resolve_options(choice, plugins.attention(choice.strategy).options(),
                    "attention." + choice.strategy);
}

// A misspelt option is a mistake in the file; what fits together or not is known to engines only.
void check_entries(const ComparisonSettings& settings) {
  for (const ComparisonEntry& entry : settings.entries) {
    const PluginHost plugins(linked_plugins(), entry.settings.plugins.load);
    check_options(entry.settings.attention.choice, plugins);
    for (const LayerOverride& layer : entry.settings.attention.layers)
      check_options(layer.choice, plugins);
  }
}

// `dump` with the entry's input in the section that says how text is read.
std::string with_input(std::string dump, const ComparisonEntry& entry) {
  static constexpr std::string_view kSection = "\ninput:\n";
  return dump.insert(dump.find(kSection) + kSection.size(), entry.input_keys());
}

// What holds for the entry at every length and in every process that shares the work.
ComparedEntry describe(const ComparisonEntry& entry, const Engine& engine) {
  Settings settings = engine.settings();
  settings.threads = entry.settings.threads;
  settings.attention.eval_length = 0;
  ComparedEntry result{
      .name = entry.name,
      .model = std::filesystem::path(settings.model.path).filename().string(),
      .weights_hash = engine.model().weights_hash(),
      .train_length = engine.spec().info.train_length,
      .constant_memory = engine.traits().constant_memory,
      .configuration = with_input(dump_settings(settings, engine.shown_strategy_options()), entry)};
  result.libraries = foreign_libraries(engine);
  result.configuration_hash = configuration_hash(result.configuration);
  return result;
}

ComparedEntry describe_unopened(const ComparisonEntry& entry) {
  ComparedEntry result{
      .name = entry.name,
      .model = std::filesystem::path(entry.settings.model.path).filename().string(),
      .configuration = dump_settings(entry.settings)};
  result.configuration_hash = configuration_hash(result.configuration);
  return result;
}

class Surveyor {
 public:
  Surveyor(const ComparePlan& plan, CellRunner& runner, const CellStore& store, bool estimate)
      : plan_(plan),
        runner_(runner),
        store_(store),
        estimate_(estimate),
        costs_(plan.settings.entries.size()),
        refusals_(plan.settings.entries.size()) {
    for (const ComparisonEntry& entry : plan.settings.entries)
      survey_.entries.push_back(describe_unopened(entry));
  }

  void look_at(const Cell& cell) {
    SurveyedCell found{.cell = cell};
    try {
      open(cell, found);
      ++opened_;
    } catch (const UsageError& error) {
      fail(found, State::kRefused, error.what());
    } catch (const Error& error) {
      fail(found, State::kFailed, error.what());
    }
    survey_.cells.push_back(std::move(found));
  }

  Survey take() {
    refuse_checked();
    if (opened_ == 0 && first_error_) std::rethrow_exception(first_error_);
    return std::move(survey_);
  }

 private:
  void open(const Cell& cell, SurveyedCell& found) {
    Engine& engine = runner_.engine(cell);
    ComparedEntry& entry = survey_.entries[cell.entry];
    if (entry.weights_hash.empty()) entry = describe(plan_.settings.entries[cell.entry], engine);
    const EvalText& text = runner_.text(cell);
    if (survey_.text_hash.empty()) {
      survey_.text_name = text.name;
      survey_.text_hash = text.hash;
      survey_.text_tokens = std::ssize(text.tokens);
    }
    found.key = runner_.key(cell);
    std::string complaint;
    found.outcome = store_.find(found.key, &complaint);
    if (!complaint.empty()) survey_.remarks.push_back(complaint + "; it is measured again");
    if (found.outcome || !estimate_) return;
    check_once(cell, engine);
    std::optional<ReadingCost>& cost = costs_[cell.entry];
    if (!cost) cost = measure_cost(engine);
    found.tokens = measure_tokens(plan_.spec_of(cell), cell.length);
    found.seconds = cost->seconds(found.tokens, cell.length);
  }

  // Before anything of an entry is measured, at a length that the check needs or the longest one.
  // Its cells of shorter lengths have been seen by then: take() refuses them too.
  void check_once(const Cell& cell, Engine& engine) {
    std::optional<std::string>& refusal = refusals_[cell.entry];
    const int64_t enough = std::min(kCheckedTokens, plan_.settings.lengths.back());
    if (!refusal && cell.length >= enough) {
      try {
        check_accesses(engine, linked_plugins(), cell.length);
        check_steps(engine, cell.length);
        refusal = "";
      } catch (const UsageError& error) {
        refusal = error.what();
      }
    }
    if (refusal && !refusal->empty()) throw UsageError(*refusal);
  }

  void refuse_checked() {
    for (SurveyedCell& cell : survey_.cells) {
      const std::optional<std::string>& refusal = refusals_[cell.cell.entry];
      if (!cell.outcome && refusal && !refusal->empty())
        cell.outcome = CellOutcome{.state = State::kRefused, .reason = *refusal};
    }
  }

  void fail(SurveyedCell& found, State state, const char* reason) {
    found.outcome = CellOutcome{.state = state, .reason = reason};
    if (!first_error_) first_error_ = std::current_exception();
  }

  const ComparePlan& plan_;
  CellRunner& runner_;
  const CellStore& store_;
  bool estimate_;
  std::vector<std::optional<ReadingCost>> costs_;
  std::vector<std::optional<std::string>> refusals_;  // by entry; "": checked
  Survey survey_;
  int64_t opened_ = 0;
  std::exception_ptr first_error_;
};

}  // namespace

std::vector<size_t> Survey::open_cells(const ComparePlan& plan, bool machine) const {
  std::vector<size_t> open;
  for (size_t i = 0; i < cells.size(); ++i)
    if (!cells[i].outcome && plan.is_machine(cells[i].cell) == machine) open.push_back(i);
  return open;
}

Survey survey_cells(const ComparePlan& plan, const std::vector<Cell>& cells, CellRunner& runner,
                    const CellStore& store, bool estimate) {
  check_entries(plan.settings);
  Surveyor surveyor(plan, runner, store, estimate);
  for (const Cell& cell : cells) surveyor.look_at(cell);
  return surveyor.take();
}

}  // namespace perdure::app
