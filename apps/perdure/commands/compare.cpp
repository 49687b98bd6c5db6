// SPDX-License-Identifier: Apache-2.0

// perdure compare: entries times lengths times measures, resumable, over many processes.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/compare/comparison_files.hpp"
#include "apps/perdure/compare/method_list.hpp"
#include "apps/perdure/compare/tables.hpp"
#include "apps/perdure/compare/work.hpp"
#include "apps/perdure/compare/work_progress.hpp"
#include "apps/perdure/report/report.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/version.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/write_file.hpp"
#include "core/config/map_reader.hpp"

namespace perdure::app {
namespace {

struct Request {
  std::string out;
  std::vector<std::string> only;
  bool dry_run = false, list = false;
};

// The command line of a process that makes one cell of the same comparison.
std::vector<std::string> own_words(const CommandLine& line, const std::string& out) {
  std::vector<std::string> words{"compare", "-c", line.config(), "--out", out};
  for (const std::string& setting : line.overrides()) words.insert(words.end(), {"--set", setting});
  return words;
}

std::string estimate_text(const ComparePlan& plan, const Survey& survey, int processes) {
  int64_t open = 0, tokens = 0;
  double seconds = 0;
  for (const SurveyedCell& cell : survey.cells) {
    if (cell.outcome) continue;
    ++open;
    tokens += cell.tokens;
    seconds += cell.seconds / (plan.is_machine(cell.cell) ? 1 : processes);
  }
  return fmt::format("{} of {} cells to measure, about {} tokens, {}", open, survey.cells.size(),
                     grouped(tokens), duration_text(seconds));
}

// The cells of --dry-run for scripts.
Json plan_json(const ComparePlan& plan, const Survey& survey) {
  Json::List cells;
  for (const SurveyedCell& cell : survey.cells) {
    Json::Map members{member("cell", plan.name_of(cell.cell)),
                      member("finished", cell.outcome.has_value())};
    if (!cell.outcome) {
      members.push_back(member("tokens", cell.tokens));
      members.push_back(member("seconds", cell.seconds));
    } else if (!cell.outcome->reason.empty()) {
      members.push_back(member("reason", cell.outcome->reason));
    }
    cells.push_back(object(std::move(members)));
  }
  return Json(std::move(cells));
}

std::string plan_text(const ComparePlan& plan, const Survey& survey) {
  std::string text;
  for (const SurveyedCell& cell : survey.cells) {
    text += plan.name_of(cell.cell) + ": ";
    if (!cell.outcome)
      text += fmt::format("about {} tokens, {:.3g} s\n", grouped(cell.tokens), cell.seconds);
    else if (cell.outcome->state == CellOutcome::State::kDone)
      text += "done\n";
    else
      text += cell.outcome->reason + "\n";
  }
  return text;
}

void write_files(const ComparePlan& plan, const Survey& survey, const CommandLine& line,
                 const std::string& out) {
  write_comparison(plan, survey, out);
  // What a reader of the report would type in its folder: --set and relative paths are in the file.
  const std::string yaml = dump_comparison(line.config(), line.overrides());
  write_file(out + "/" + kConfigurationFile, std::as_bytes(std::span(yaml)), {.mode = 0666});
  report::write_report(
      make_comparison(plan, survey, false), make_comparison(plan, survey, true),
      {.command = fmt::format("perdure compare -c {} --out repeated", kConfigurationFile),
       .version = version_and_commit()},
      out);
}

void print_tables(const ComparePlan& plan, const Survey& survey) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool colour = reaches_terminal(STDOUT_FILENO) &&
                      (no_color == nullptr || std::string_view(no_color).empty());
  std::vector<Comparison> parts;
  for (const bool machine : {false, true}) {
    parts.push_back(make_comparison(plan, survey, machine));
    if (!parts.back().measures.empty()) print_raw(comparison_tables(parts.back(), colour));
  }
  print(reasons_text(parts));
  flush();
}

// The contents of results.json and measured.json.
void print_json(const ComparePlan& plan, const Survey& survey) {
  print("{\"results\": " + comparison_json(make_comparison(plan, survey, false)) +
        ",\n\"measured\": " + comparison_json(make_comparison(plan, survey, true)) + "}\n");
  flush();
}

// The sentence about what is not there, and the exit status. Errors: Interrupted if a signal
// stopped it.
int close(const ComparePlan& plan, const Survey& survey, const std::string& out) {
  int64_t finished = 0, failed = 0;
  std::string first;
  for (const SurveyedCell& cell : survey.cells) {
    if (!cell.outcome) continue;
    ++finished;
    if (cell.outcome->state != CellOutcome::State::kFailed) continue;
    if (failed++ == 0) first = plan.name_of(cell.cell) + ": " + cell.outcome->reason;
  }
  if (finished < std::ssize(survey.cells))
    throw Interrupted(
        fmt::format("stopped by {}; {} of {} cells are done and kept in {}, and the same command "
                    "continues with the others",
                    interrupt_name(), finished, survey.cells.size(), out));
  if (failed > 0)
    throw Error(
        fmt::format("{} of {} cells failed, the first one {}", failed, survey.cells.size(), first));
  return 0;
}

// Deterministic cells with all processes, then the others by this one. `team` ends in between: what
// measures the machine needs it for itself.
void work(const ComparePlan& plan, Survey& survey, CellRunner& runner, const CellStore& store,
          std::unique_ptr<Team> team, const CommandLine& line, const std::string& out) {
  share_cells(plan, survey, runner, store, *team, line.quiet());
  team.reset();
  if (survey.cells.size() == 1)
    run_here(survey, runner, store);
  else
    run_alone(plan, survey, store, own_words(line, out), line.quiet());
}

int lead(const ComparePlan& plan, const Request& request, const CommandLine& line,
         const std::string& out, std::unique_ptr<Team> team, CellRunner& runner) {
  const CellStore store(out.empty() ? "" : out + "/cells");
  const std::vector<Cell> cells = select_cells(plan, request.only);
  // A cell alone may be one that measures this process: nothing else is read here.
  const bool estimate = cells.size() > 1 || request.dry_run;
  Survey survey = survey_cells(plan, cells, runner, store, estimate);
  for (const std::string& remark : survey.remarks) note(remark, line.quiet());
  if (request.only.empty())
    for (const ComparisonEntry& entry : plan.settings.entries)
      note_untrained_memory(entry.settings, entry.name + ": ", line.quiet());
  note(estimate_text(plan, survey, team->size()), line.quiet());
  if (request.dry_run) {
    print(line.json() ? json_text(plan_json(plan, survey)) + "\n" : plan_text(plan, survey));
    return 0;
  }
  require_own_folder(out, line.config());
  store.make_folder();
  // A process that makes single cells for another run writes nothing else.
  std::optional<FolderLock> lock;
  if (request.only.empty()) lock.emplace(out);
  work(plan, survey, runner, store, std::move(team), line, out);
  if (request.only.empty()) write_files(plan, survey, line, out);
  if (line.json())
    print_json(plan, survey);
  else
    print_tables(plan, survey);
  if (request.only.empty()) note("report: " + out + "/report.html", line.quiet());
  return close(plan, survey, out);
}

ComparisonSettings comparison_of(const CommandLine& line) {
  ComparisonSettings settings = load_comparison(line.config(), line.overrides());
  for (ComparisonEntry& entry : settings.entries) complete_model(entry.settings);
  return settings;
}

}  // namespace

int run_compare(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "compare -c FILE [--out DIR] [--dry-run] [--only ENTRY[/MEASURE[/LENGTH]]]",
      "Measures every entry of the section `compare` at every length, and writes tables, data and\n"
      "a report to a folder. Finished cells are kept there, so an interrupted run continues.\n"
      "mpirun -n N perdure compare ... shares the cells over N processes.");
  line.add("out,o", &request.out, "write the results to this folder (compare.out)", "DIR")
      .add("only", &request.only, "measure only these cells, and write no results; may be repeated",
           "CELL")
      .add_flag("list", &request.list, "list all measures and methods, with a sentence each")
      .add_flag("dry-run", &request.dry_run,
                "list what would be measured and how long it would take")
      .add_json();
  if (!line.parse(arguments)) return 0;
  if (request.list) {
    print(line.json() ? compare_list_json() : compare_list());
    return 0;
  }
  const ComparePlan plan = make_plan(comparison_of(line));
  const std::string out = line.given("out") ? absolute_path(request.out, "") : plan.settings.out;
  if (out.empty() && !request.dry_run)
    throw UsageError("no folder for the results is given; use --out DIR, or write compare.out");
  catch_ending_signals();
  std::unique_ptr<Ranks> ranks = join_ranks();
  CellRunner runner(plan, ranks->size() > 1 ? threads_per_rank() : 0,
                    line.quiet() || ranks->rank() != 0);
  if (ranks->rank() == 0)
    return lead(plan, request, line, out, std::make_unique<Team>(std::move(ranks)), runner);
  take_part(plan, runner, *ranks);
  return 0;
}

}  // namespace perdure::app
