// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/work.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <thread>

#include "apps/perdure/compare/own_process.hpp"
#include "apps/perdure/compare/work_progress.hpp"
#include "apps/perdure/terminal/interrupt.hpp"

namespace perdure::app {
namespace {

using State = CellOutcome::State;

// Messages between ranks. To rank 0: "" asks for work, "NUMBER\nOUTCOME" brings what came of a
// cell and asks for more. From rank 0: "NUMBER" of a cell in plan.cells(), "" for none.
constexpr const char* kSender = "another process";

constexpr auto kPause = std::chrono::milliseconds(1);

size_t number_at(std::string_view text) {
  size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

class Sharing {
 public:
  Sharing(const ComparePlan& plan, Survey& survey, const CellStore& store, Team& team, bool quiet)
      : survey_(survey),
        store_(store),
        team_(team),
        progress_(!quiet && reaches_terminal(STDERR_FILENO)),
        all_(plan.cells()) {
    const std::vector<size_t> open = survey.open_cells(plan, false);
    open_.assign(open.begin(), open.end());
    if (team.size() > 1)  // the longest first: nobody is left with one at the end
      std::stable_sort(open_.begin(), open_.end(), [&](size_t a, size_t b) {
        return survey.cells[a].seconds > survey.cells[b].seconds;
      });
    done_.all_cells = std::ssize(open_);
    for (const size_t i : open_) done_.all_estimated += survey.cells[i].seconds;
  }

  std::optional<size_t> take() {
    if (open_.empty() || interrupted()) return std::nullopt;
    const size_t next = open_.front();
    open_.pop_front();
    return next;
  }

  void finish(size_t index, CellOutcome outcome) {
    if (outcome.state == State::kStopped) return;
    SurveyedCell& cell = survey_.cells[index];
    store_.keep(cell.key, outcome);
    cell.outcome = std::move(outcome);
    ++done_.cells;
    done_.tokens += cell.tokens;
    done_.estimated += cell.seconds;
  }

  // Answers the rank that has written. `tokens`: read so far of cell `index`, by this rank.
  void serve(size_t index, int64_t tokens, const std::string& name) {
    while (const auto message = team_.receive()) answer(*message);
    const SurveyedCell& cell = survey_.cells[index];
    WorkDone now = done_;
    now.tokens += tokens;
    if (cell.tokens > 0)
      now.estimated += cell.seconds * std::min(1.0, static_cast<double>(tokens) /
                                                        static_cast<double>(cell.tokens));
    progress_.update([&](double seconds) { return work_progress(now, seconds, name); });
  }

  void wait_for_others() {
    while (!team_.all_ended()) {
      while (const auto message = team_.receive()) answer(*message);
      progress_.update(
          [&](double seconds) { return work_progress(done_, seconds, "the other processes"); });
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  void answer(const Ranks::Message& message) {
    const std::string_view text = message.text;
    if (const size_t end = text.find('\n'); end != std::string_view::npos) {
      const size_t index = index_of(number_at(text));
      finish(index, parse_outcome(text.substr(end + 1), kSender, kSender));
    }
    const std::optional<size_t> next = take();
    team_.answer(message.rank, next ? std::to_string(number_of(*next)) : "");
  }

  size_t number_of(size_t index) const {
    return static_cast<size_t>(std::find(all_.begin(), all_.end(), survey_.cells[index].cell) -
                               all_.begin());
  }
  size_t index_of(size_t number) const {
    for (size_t i = 0; i < survey_.cells.size(); ++i)
      if (survey_.cells[i].cell == all_.at(number)) return i;
    throw Error("another process of this run has another configuration");
  }

  Survey& survey_;
  const CellStore& store_;
  Team& team_;
  ProgressBar progress_;
  std::vector<Cell> all_;
  std::deque<size_t> open_;
  WorkDone done_;
};

std::string wait_for_message(Ranks& ranks) {
  while (true) {
    if (const auto message = ranks.receive()) return message->text;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Team::~Team() {
  try {
    while (!all_ended()) {
      if (const auto message = receive()) answer(message->rank, "");
      std::this_thread::sleep_for(kPause);
    }
  } catch (const Error&) {  // whoever cannot be reached has ended
  }
}

void Team::answer(int rank, const std::string& text) {
  if (text.empty()) ++ended_;
  ranks_->send(rank, text);
}

void share_cells(const ComparePlan& plan, Survey& survey, CellRunner& runner,
                 const CellStore& store, Team& team, bool quiet) {
  Sharing sharing(plan, survey, store, team, quiet);
  while (const std::optional<size_t> index = sharing.take()) {
    const Cell& cell = survey.cells[*index].cell;
    const std::string name = plan.name_of(cell);
    sharing.finish(*index, runner.run(cell, [&](int64_t tokens) {
      sharing.serve(*index, tokens, name);
      return !interrupted();
    }));
  }
  sharing.wait_for_others();
}

void take_part(const ComparePlan& plan, CellRunner& runner, Ranks& ranks) {
  const std::vector<Cell> all = plan.cells();
  ranks.send(0, "");
  while (true) {
    const std::string number = wait_for_message(ranks);
    if (number.empty()) return;
    const CellOutcome outcome = runner.run(all.at(number_at(number)), {});
    ranks.send(0, number + "\n" + outcome_text(kSender, outcome));
  }
}

void run_here(Survey& survey, CellRunner& runner, const CellStore& store) {
  for (SurveyedCell& cell : survey.cells) {
    if (cell.outcome) continue;
    CellOutcome outcome = runner.run(cell.cell, [](int64_t) { return !interrupted(); });
    if (outcome.state == State::kStopped) return;
    store.keep(cell.key, outcome);
    cell.outcome = std::move(outcome);
  }
}

void run_alone(const ComparePlan& plan, Survey& survey, const CellStore& store,
               const std::vector<std::string>& words, bool quiet) {
  ProgressBar progress(!quiet && reaches_terminal(STDERR_FILENO));
  const std::vector<size_t> open = survey.open_cells(plan, true);
  WorkDone done{.all_cells = std::ssize(open)};
  for (const size_t i : open) done.all_estimated += survey.cells[i].seconds;
  for (const size_t i : open) {
    if (interrupted()) return;
    SurveyedCell& cell = survey.cells[i];
    const std::string name = plan.name_of(cell.cell);
    progress.update([&](double seconds) { return work_progress(done, seconds, name + ", alone"); });
    std::vector<std::string> own = words;
    own.insert(own.end(), {"--only", name, "--quiet"});
    const ProcessEnd end = run_own_process(own);
    cell.outcome = store.find(cell.key);
    if (interrupted()) return;
    if (!cell.outcome) cell.outcome = CellOutcome{.state = State::kFailed, .reason = end.complaint};
    ++done.cells;
    done.tokens += cell.tokens;
    done.estimated += cell.seconds;
  }
}

}  // namespace perdure::app
