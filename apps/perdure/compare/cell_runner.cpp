// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/cell_runner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <new>

#include "apps/perdure/compare/circumstances.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/statistics.hpp"
#include "core/base/hash.hpp"
#include "core/eval/equal_state.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

// Raised when a measure's samples change though none of its options do.
constexpr int kMeasuresVersion = 2;

// "a.txt", "a.txt and 3 more".
std::string name_of(const std::vector<std::string>& paths) {
  const std::string first = std::filesystem::path(paths.front()).filename().string();
  return paths.size() == 1 ? first : fmt::format("{} and {} more", first, paths.size() - 1);
}

// Reads the files one by one, and throws for the first one that cannot be read in tokens.
void throw_for_file(const std::vector<std::string>& paths,
                    std::span<const std::string_view> documents, const std::string& separator,
                    const Tokenizer& tokenizer) {
  for (size_t i = 0; i < paths.size(); ++i) try {
      make_eval_text(paths[i], documents.subspan(i, 1), separator, tokenizer);
    } catch (const Error& error) {
      throw Error(paths[i] + ": " + error.what());
    }
}

// Whether one opened model serves both.
bool same_model(const Settings& a, const Settings& b) {
  return a.model.path == b.model.path && a.model.initial_state == b.model.initial_state;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

CellRunner::CellRunner(const ComparePlan& plan, int64_t threads, bool quiet)
    : plan_(plan), threads_(threads), quiet_(quiet) {}

// One of each kind, so that what was changed in a text is said once for all entries.
TextReader& CellRunner::reader_of(LineEnds line_ends) {
  return readers_.try_emplace(line_ends, line_ends, quiet_).first->second;
}

Settings CellRunner::settings_of(const Cell& cell) {
  Settings settings = plan_.settings.entries[cell.entry].settings;
  if (settings.threads.count == 0) settings.threads.count = threads_;
  if (!plan_.settings.equal_state || cell.entry == *plan_.settings.baseline) return settings;
  const auto known = fitted_.find({cell.entry, cell.length});
  if (known != fitted_.end()) return known->second;
  settings = with_state_below(std::move(settings), cell.length, baseline_bytes(cell.length),
                              linked_plugins());
  note_window(cell, settings.attention.choice);
  return fitted_.emplace(std::pair(cell.entry, cell.length), std::move(settings)).first->second;
}

// What equal_state has made of an entry.
void CellRunner::note_window(const Cell& cell, const StrategyChoice& fitted) const {
  const ComparisonEntry& entry = plan_.settings.entries[cell.entry];
  const auto window = fitted.options.find("window");
  const auto before = entry.settings.attention.choice.options.find("window");
  if (window == fitted.options.end() || (before != entry.settings.attention.choice.options.end() &&
                                         before->second.text == window->second.text))
    return;
  note(fmt::format("compare.equal_state: {} at {}: a window of {} tokens, the most within the "
                   "baseline's bytes",
                   entry.name, cell.length, window->second.text),
       quiet_);
}

int64_t CellRunner::baseline_bytes(int64_t length) {
  const auto known = baseline_bytes_.find(length);
  if (known != baseline_bytes_.end()) return known->second;
  Settings settings = plan_.settings.entries[*plan_.settings.baseline].settings;
  settings.attention.eval_length = length;
  const int64_t bytes = Engine(settings, linked_plugins()).state_bytes(length);
  return baseline_bytes_.emplace(length, bytes).first->second;
}

Engine& CellRunner::engine(const Cell& cell) {
  const bool other_settings = plan_.settings.equal_state && cell.length != length_;
  if (!engines_ || cell.entry != entry_ || other_settings) {
    std::shared_ptr<SharedModel> model;
    Settings settings = settings_of(cell);
    if (engines_ && same_model(engines_->settings(), settings)) model = engines_->model();
    engines_.reset();  // before the next one takes memory
    engines_ =
        std::make_unique<EntryEngines>(std::move(settings), linked_plugins(), std::move(model));
    entry_ = cell.entry;
    length_ = cell.length;
  }
  return engines_->at(cell.length);
}

EvalText CellRunner::read_text(const Engine& engine) {
  const ComparisonSettings& s = plan_.settings;
  if (!s.tokens.empty()) {
    const std::string ids = reader_of(LineEnds::kKeep).read(s.tokens);
    return make_eval_text(name_of({s.tokens}),
                          parse_tokens(ids, engine.spec().info.vocab_size, s.tokens));
  }
  if (s.text.empty()) return {};
  TextReader& reader = reader_of(engine.settings().input.line_ends);
  std::vector<std::string> documents;
  for (const std::string& path : s.text) documents.push_back(reader.read(path));
  const std::vector<std::string_view> views(documents.begin(), documents.end());
  try {
    return make_eval_text(name_of(s.text), views, s.separator, engine.tokenizer());
  } catch (const Error& error) {
    throw_for_file(s.text, views, s.separator, engine.tokenizer());
    throw;
  }
}

const EvalText& CellRunner::text(const Cell& cell) {
  static const EvalText kNone;
  if (!plan_.measures[cell.measure].reads_text) return kNone;
  const Settings& settings = plan_.settings.entries[cell.entry].settings;
  const std::pair key(settings.model.tokenizer, settings.input.line_ends);
  const auto there = texts_.find(key);
  if (there != texts_.end()) return there->second;
  return texts_.emplace(key, read_text(engine(cell))).first->second;
}

std::string CellRunner::key(const Cell& cell) {
  const Engine& e = engine(cell);
  const PlannedMeasure& measure = plan_.measures[cell.measure];
  std::string what = fmt::format("perdure cell {}\n{}\n{}length: {}\n", kMeasuresVersion,
                                 e.identity(), measure.key, cell.length);
  what += fmt::format("input:\n{}kernels: {}\n", plan_.settings.entries[cell.entry].input_keys(),
                      fmt::join(kernels_in_plan(e.describe_plan("step")), " "));
  for (const std::string& library : foreign_libraries(e)) what += "library: " + library + "\n";
  if (measure.reads_text) what += fmt::format("text: {}\n", text(cell).hash);
  // The threads that are asked for: a rank of mpirun has fewer than the process of its own, without
  // mpirun, which makes the cell.
  if (plan_.is_machine(cell))
    what += fmt::format("threads: {} {}\nrows: {}\nmachine: {}\n", e.settings().threads.backend,
                        plan_.settings.entries[cell.entry].settings.threads.count,
                        e.settings().step.max_rows, machine_text());
  Hasher hasher;
  hasher.add(what);
  return hasher.hex();
}

CellOutcome CellRunner::run(const Cell& cell, const MeasureProgress& progress) {
  using State = CellOutcome::State;
  const auto start = std::chrono::steady_clock::now();
  try {
    Engine& e = engine(cell);
    std::optional<Circumstances> circumstances;
    if (plan_.is_machine(cell)) circumstances = circumstances_now(e.n_threads());
    std::optional<MeasureResult> result =
        run_measure(e, plan_.spec_of(cell), cell.length, text(cell), progress);
    if (!result) return {.state = State::kStopped};
    e.model().require_unchanged();
    return {.state = State::kDone,
            .result = std::move(*result),
            .seconds = seconds_since(start),
            .circumstances = std::move(circumstances)};
  } catch (const UsageError& error) {
    return {.state = State::kRefused, .reason = error.what()};
  } catch (const Error& error) {
    return {.state = State::kFailed, .reason = error.what()};
  } catch (const std::bad_alloc&) {
    return {.state = State::kFailed, .reason = "out of memory"};
  }
}

}  // namespace perdure::app
