// SPDX-License-Identifier: Apache-2.0

// Tasks from a file: multiple choice by log-likelihood, and exact match. The length is the most
// that is read: of longer contexts the end.
#include <cmath>
#include <map>

#include "core/eval/measure_kind.hpp"
#include "core/eval/question.hpp"
#include "core/eval/task_file.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

// Where a task stands on the second axis.
double place_of(const MeasureSpec& spec, const Task& task) {
  if (spec.by.empty()) return 0;
  const auto number = task.numbers.find(spec.by);
  if (number == task.numbers.end())
    throw UsageError(task.place + ": the number \"" + spec.by +
                     "\" is missing, by which the measure groups tasks");
  return number->second;
}

// The first `samples` of each place.
std::vector<Task> tasks_of(const MeasureSpec& spec) {
  if (spec.tasks.empty())
    throw UsageError("the measure '" + spec.name + "' needs a file of tasks; give it as tasks");
  std::vector<Task> tasks;
  std::map<double, int64_t> taken;
  for (Task& task : read_tasks(spec.tasks))
    if (taken[place_of(spec, task)]++ < spec.samples) tasks.push_back(std::move(task));
  return tasks;
}

Window task_window(const MeasureRun& run, const Task& task, const std::string& answer) {
  Question question =
      encode_question(run.engine.tokenizer(), task.context, answer, true, task.space);
  Window window = answer_window(std::move(question.prompt), question.answer);
  const int64_t excess = std::ssize(window.tokens) - run.length;
  if (excess <= 0) return window;
  if (std::ssize(window.targets) >= run.length)
    throw UsageError(task.place + ": the answer takes " + std::to_string(window.targets.size()) +
                     " tokens, too many for a length of " + std::to_string(run.length) +
                     "; leave out this length");
  window.tokens.erase(window.tokens.begin() + 1, window.tokens.begin() + 1 + excess);  // BOS stays
  return window;
}

// Tokens of about this many bytes of text: an estimate before there is a tokenizer.
constexpr int64_t kBytesPerToken = 3;

int64_t estimate(const std::string& context, const std::string& answer, int64_t length) {
  return std::min(length, 1 + std::ssize(context + answer) / kBytesPerToken);
}

std::vector<FigureInfo> choice_figures(const MeasureSpec&) {
  const FigureInfo choice{.name = "choice",
                          .title = "Multiple choice",
                          .unit = "share",
                          .better = Better::kHigher,
                          .summary = Summary::kShare};
  FigureInfo per_byte = choice;
  per_byte.name = "choice_per_byte";
  per_byte.title = "Multiple choice, likelihood per byte";
  return {choice, per_byte};
}

int64_t choice_tokens(const MeasureSpec& spec, int64_t length) {
  int64_t tokens = 0;
  for (const Task& task : tasks_of(spec))
    for (const std::string& choice : task.choices) tokens += estimate(task.context, choice, length);
  return tokens;
}

// The likeliest choice is the right one; the first of equals counts. NaN if a loss is.
double is_right(const Task& task, const std::vector<double>& losses) {
  for (const double loss : losses)
    if (std::isnan(loss)) return loss;
  const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
  return static_cast<size_t>(best) == task.right ? 1.0 : 0.0;
}

std::optional<MeasureResult> run_choice(const MeasureRun& run) {
  const std::vector<Task> tasks = tasks_of(run.spec);
  struct Asked {
    const Task* task;
    size_t choice;
  };
  std::vector<Asked> asked;
  for (const Task& task : tasks) {
    if (task.choices.empty()) throw UsageError(task.place + ": a task without choices");
    for (size_t i = 0; i < task.choices.size(); ++i) asked.push_back({&task, i});
  }
  MeasurePoint whole_text, per_byte;
  std::vector<double> losses, losses_per_byte;
  const bool whole = read_windows(
      run.engine, std::ssize(asked),
      [&](int64_t i) {
        const auto& [task, choice] = asked[static_cast<size_t>(i)];
        return task_window(run, *task, task->choices[choice]);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        const auto& [task, choice] = asked[static_cast<size_t>(i)];
        losses.push_back(mean_loss(scores) * static_cast<double>(scores.size()));
        losses_per_byte.push_back(losses.back() /
                                  static_cast<double>(task->choices[choice].size()));
        if (losses.size() < task->choices.size()) return;
        whole_text.samples.push_back(is_right(*task, losses));
        per_byte.samples.push_back(is_right(*task, losses_per_byte));
        losses.clear();
        losses_per_byte.clear();
      },
      run.progress);
  if (!whole) return std::nullopt;
  double chance = 0;
  for (const Task& task : tasks)
    chance += 1 / static_cast<double>(task.choices.size()) / static_cast<double>(tasks.size());
  return MeasureResult{{{"choice", {std::move(whole_text)}, chance},
                        {"choice_per_byte", {std::move(per_byte)}, chance}}};
}

std::vector<FigureInfo> match_figures(const MeasureSpec& spec) {
  return {{.name = "exact_match",
           .title = "Exact match",
           .unit = "share",
           .better = Better::kHigher,
           .summary = Summary::kShare,
           .axis = spec.by}};
}

int64_t match_tokens(const MeasureSpec& spec, int64_t length) {
  int64_t tokens = 0;
  for (const Task& task : tasks_of(spec)) tokens += estimate(task.context, task.answer, length);
  return tokens;
}

// Every token of the answer is the first choice while the true ones are read: exactly when greedy
// decoding would give the answer.
std::optional<MeasureResult> run_match(const MeasureRun& run) {
  const std::vector<Task> tasks = tasks_of(run.spec);
  std::map<double, MeasurePoint> points;
  const bool whole = read_windows(
      run.engine, std::ssize(tasks),
      [&](int64_t i) {
        const Task& task = tasks[static_cast<size_t>(i)];
        return task_window(run, task, task.answer);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        const double place = place_of(run.spec, tasks[static_cast<size_t>(i)]);
        points.try_emplace(place, MeasurePoint{place, {}})
            .first->second.samples.push_back(all_top1(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  FigureSamples figure{"exact_match", {}};
  for (auto& [place, point] : points) figure.points.push_back(std::move(point));
  return MeasureResult{{std::move(figure)}};
}

}  // namespace

MeasureKind choice_measure() {
  return {.info = {.name = "choice",
                   .help = "Share of tasks whose right choice is the likeliest.",
                   .reads_text = false,
                   .options = {"samples", "tasks"}},
          .figures = choice_figures,
          .tokens = choice_tokens,
          .run = run_choice};
}

MeasureKind exact_match_measure() {
  return {.info = {.name = "exact_match",
                   .help = "Share of tasks whose answer greedy decoding gives exactly.",
                   .reads_text = false,
                   .options = {"samples", "tasks", "by"}},
          .figures = match_figures,
          .tokens = match_tokens,
          .run = run_match};
}

}  // namespace perdure
