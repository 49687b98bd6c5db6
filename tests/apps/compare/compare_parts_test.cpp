// SPDX-License-Identifier: Apache-2.0

// The parts of perdure compare that need no process: keys of cells, their files, tables, estimates.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "apps/perdure/compare/cell_runner.hpp"
#include "apps/perdure/compare/circumstances.hpp"
#include "apps/perdure/compare/comparison_files.hpp"
#include "apps/perdure/compare/estimate.hpp"
#include "apps/perdure/compare/method_list.hpp"
#include "apps/perdure/compare/tables.hpp"
#include "apps/perdure/compare/work_progress.hpp"
#include "core/eval/results.hpp"
#include "core/runtime/plugin_host.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/apps/compare/compare_fixture.hpp"

using namespace perdure;
using namespace perdure::app;
using namespace perdure::testing;

namespace {

std::string key_with(const SmallComparison& small, const std::vector<std::string>& overrides,
                     const Cell& cell = {0, 0, 16}) {
  const ComparePlan plan = make_plan(load_comparison(small.file, overrides));
  return CellRunner(plan, 0).key(cell);
}

CellOutcome some_outcome() {
  CellOutcome outcome{.state = CellOutcome::State::kDone, .seconds = 0.25};
  outcome.result.figures.push_back(
      {"loss", {{0.5, {1.0, 1.0 / 3, std::numeric_limits<double>::quiet_NaN()}}}});
  return outcome;
}

Comparison some_comparison() {
  Comparison c;
  c.lengths = {8, 16};
  c.entries.resize(2);
  c.entries[0].name = "plain, \"long\"";
  c.entries[1].name = "b";
  c.measures.push_back({.name = "loss", .title = "Loss", .unit = "nats"});
  const auto cell = [](int64_t entry, int64_t length, double value) {
    return ComparedCell{.entry = entry,
                        .length = length,
                        .state = ComparedCell::State::kDone,
                        .samples = 4,
                        .figure = {value, value - 0.1, value + 0.1}};
  };
  c.cells = {cell(0, 8, 2.5), cell(0, 16, 2.25), cell(1, 8, 2.0)};
  c.cells[2].best = true;
  c.cells.push_back({.entry = 1,
                     .length = 16,
                     .state = ComparedCell::State::kRefused,
                     .reason = "it\ncannot be"});
  return c;
}

}  // namespace

TEST_CASE(
    "the key of a cell changes with everything that changes its samples, and with nothing "
    "else") {
  const SmallComparison small;
  const std::string key = key_with(small, {});
  for (const std::string same :
       {"compare.title=Other", "compare.samples=20", "compare.out=elsewhere", "threads.count=2",
        "compare.baseline=window", "step.max_rows=7", "sampling.seed=9",
        "compare.entries.linear.attention.factor=3"})
    CHECK_MESSAGE(key_with(small, {same}) == key, same);

  std::set<std::string> keys{key};
  const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
  for (const std::string& other :
       {std::string("compare.samples=21"), std::string("compare.seed=2"),
        std::string("compare.lengths=[16,128]"), std::string("compare.measures={loss: {tail: 4}}"),
        std::string("compare.measures={perplexity: {}}"),
        std::string("compare.entries.plain.attention.rope_theta=500"),
        std::string("compare.entries.plain.input=clip"),
        "model.path=" + models + "llama_unshared.v0.bin",
        std::string("kernels={pin: {mat_mul: mat_mul_f32_scalar}, prefer: [simd]}")}) {
    CAPTURE(other);
    CHECK(keys.insert(key_with(small, {other})).second);
  }
  CHECK(keys.insert(key_with(small, {}, {0, 0, 32})).second);
  CHECK(keys.insert(key_with(small, {}, {0, 1, 16})).second);
  CHECK(keys.insert(key_with(small, {}, {1, 0, 16})).second);
  write_all(small.folder / "tokens", read_all(small.folder / "tokens") + "5\n");
  CHECK(keys.insert(key_with(small, {})).second);
}

TEST_CASE("entries that are the same share their cells, whatever their names") {
  const SmallComparison small;
  const std::string same = "compare.entries.again={attention: {strategy: full}}";
  CHECK(key_with(small, {same}, {4, 0, 16}) == key_with(small, {}));
}

TEST_CASE("a finished cell reads back as it was written") {
  const std::string text = outcome_text("k", some_outcome());
  const CellOutcome read = parse_outcome(text, "k", "file");
  CHECK(read.state == CellOutcome::State::kDone);
  CHECK(read.seconds == 0.25);
  REQUIRE(read.result.figures.size() == 1);
  const MeasurePoint& point = read.result.figures[0].points.at(0);
  CHECK(point.axis == 0.5);
  CHECK(point.samples[1] == 1.0 / 3);
  CHECK(std::isnan(point.samples[2]));
  CHECK(outcome_text("k", read) == text);
}

TEST_CASE("whatever was changed in a finished cell, it is refused") {
  const std::string text = outcome_text("k", some_outcome());
  CHECK_THROWS_WITH(parse_outcome(text, "other", "file"),
                    "file is no finished cell: it is of another cell");
  for (size_t size = 0; size < text.size(); ++size)
    CHECK_THROWS_AS(parse_outcome(text.substr(0, size), "k", "file"), Error);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    CHECK_THROWS_AS(parse_outcome(changed, "k", "file"), Error);
  }
  CHECK_THROWS_AS(parse_outcome(text + "x", "k", "file"), Error);
}

TEST_CASE("a store keeps what is done and refused, not what failed") {
  const TemporaryFolder folder;
  const CellStore store(folder / "cells");
  store.make_folder();
  CHECK(!store.find("a"));
  store.keep("a", some_outcome());
  CHECK(store.find("a")->seconds == 0.25);
  store.keep("b", {.state = CellOutcome::State::kRefused, .reason = "no"});
  CHECK(store.find("b")->reason == "no");
  store.keep("c", {.state = CellOutcome::State::kFailed, .reason = "disk"});
  CHECK(!store.find("c"));
}

TEST_CASE("fields of CSV are quoted where they must be") {
  CHECK(csv_field("plain") == "plain");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("say \"x\"") == "\"say \"\"x\"\"\"");
  CHECK(csv_field("two\nlines") == "\"two\nlines\"");
  CHECK(csv_field("=1+1") == "'=1+1");
  CHECK(csv_field("@x") == "'@x");
  CHECK(csv_field("-0.5") == "-0.5");
  CHECK(csv_field("-x, y") == "\"'-x, y\"");
  Comparison c = some_comparison();
  c.entries[0].configuration = "attention:\n  strategy: full\n  window: 8\nthreads:\n  count: 1\n";
  c.entries[1].configuration = "attention:\n  strategy: full\nthreads:\n  count: 1\n";
  CHECK(comparison_csv(c) ==
        "entry,measure,unit,length,axis,state,samples,value,low,high,difference,difference_low,"
        "difference_high,best,reason,attention.window\r\n"
        "\"plain, \"\"long\"\"\",loss,nats,8,,done,4,2.5,2.4,2.6,,,,0,,8\r\n"
        "\"plain, \"\"long\"\"\",loss,nats,16,,done,4,2.25,2.15,2.35,,,,0,,8\r\n"
        "b,loss,nats,8,,done,4,2,1.9,2.1,,,,1,,\r\n"
        "b,loss,nats,16,,refused,,,,,,,,,\"it\ncannot be\",\r\n");
}

TEST_CASE("tables mark the best of each column, in colour only if asked") {
  const std::string table =
      "Loss, nats (lower is better)\n"
      "                         8            16\n"
      "plain, \"long\"  2.500 ±0.10   2.250 ±0.10\n"
      "b              2.000 ±0.10*      refused\n"
      "\n";
  CHECK(comparison_tables(some_comparison(), false) == table);
  const std::string coloured = comparison_tables(some_comparison(), true);
  CHECK(coloured.find("\033[1;32m2.000 ±0.10*\033[0m") != std::string::npos);
}

TEST_CASE("tables on a terminal show control characters of foreign names as their codes") {
  Comparison c = some_comparison();
  c.entries[1].name = "b\n\x1b[2J";
  c.measures[0].title = "Loss\x1b]0;title\x07";
  const std::string tables = comparison_tables(c, false);
  CHECK(tables.find_first_of("\x1b\x07") == std::string::npos);
  CHECK(tables.find("b\\x0a\\x1b[2J") != std::string::npos);
  CHECK(tables.starts_with("Loss\\x1b]0;title\\x07"));
}

TEST_CASE("a reason is listed once, with all lengths, however many tables have it") {
  Comparison machine = some_comparison();
  machine.cells.back().length = 32;
  const Comparison parts[] = {some_comparison(), machine, some_comparison()};
  CHECK(reasons_text(parts) == "b: refused: it\ncannot be [16, 32]\n");
  CHECK(reasons_text({}).empty());
}

TEST_CASE("single measurements that read alike are marked together, or not at all") {
  ComparedCell a, b, c;
  ComparedCell* const column[] = {&a, &b, &c};
  for (ComparedCell* cell : column) cell->samples = 1;
  a.figure.value = 327680, b.figure.value = 327690, c.figure.value = 900000;
  a.best = true;
  mark_what_reads_alike(column, "bytes");
  CHECK(a.best);
  CHECK(b.best);
  CHECK(!c.best);
  c.figure.value = 327670;
  mark_what_reads_alike(column, "bytes");
  CHECK(!(a.best || b.best || c.best));
  a.best = true, a.samples = 2;  // a test has told them apart
  mark_what_reads_alike(column, "bytes");
  CHECK(a.best);
  CHECK(!b.best);
}

TEST_CASE("a table says which way is better") {
  Comparison c = some_comparison();
  c.measures[0].lower_is_better = false;
  CHECK(comparison_tables(c, false).starts_with("Loss, nats (higher is better)\n"));
}

TEST_CASE("a store without a name holds nothing") {
  const CellStore store("");
  store.keep("a", some_outcome());
  CHECK(!store.find("a"));
}

TEST_CASE("no entry is marked where marks say nothing, and guessing is mentioned") {
  Comparison c = some_comparison();
  c.cells[2].best = false;
  for (ComparedCell& cell : c.cells) cell.chance = 2.3;
  const std::string tables = comparison_tables(c, false);
  CHECK(tables.find('*') == std::string::npos);
  CHECK(tables.find("warning: plain, \"long\": loss at 8: worse than guessing (2.300)\n") !=
        std::string::npos);
  CHECK(tables.find("warning: plain, \"long\": loss at 16: not distinguishable from guessing "
                    "(2.300)\n") != std::string::npos);
  CHECK(tables.find("warning: b:") == std::string::npos);
}

TEST_CASE("the machine that was measured on stands below its tables") {
  Comparison c = some_comparison();
  c.cells[0].circumstances = {"A CPU", "avx2, fma", 2, 0.125, "2026-11-27T15:44:00Z", "1.2.3"};
  c.cells[1].circumstances = c.cells[0].circumstances;
  c.cells[1].circumstances->load = 3.5;
  CHECK(comparison_tables(c, false).find(
            "measured on A CPU (avx2, fma), 2 threads, load 0.12 to 3.50, 2026-11-27, "
            "perdure 1.2.3\n") != std::string::npos);
}

TEST_CASE("tables for papers have the best in bold and names as texts") {
  Comparison c = some_comparison();
  c.entries[1].name = "b_1 & 50 %";
  const std::string markdown = markdown_tables(c);
  CHECK(markdown.starts_with(
      "**Loss, nats (lower is better)**\n\n| entry | 8 | 16 |\n|---|---:|---:|\n"));
  CHECK(markdown.find("| b\\_1 \\& 50 % | **2.000 ±0.10** | refused |\n") != std::string::npos);
  const std::string latex = latex_tables(c);
  CHECK(latex.find("\\begin{tabular}{lrr}\n") != std::string::npos);
  CHECK(latex.find("b\\_1 \\& 50 \\% & \\textbf{2.000 $\\pm$0.10} & refused \\\\\n") !=
        std::string::npos);
}

TEST_CASE("every listed method is options that its strategy has, and every measure is listed") {
  const std::string list = compare_list();
  for (const MeasureInfo& measure : measures()) CHECK(list.find(measure.help) != std::string::npos);
  const PluginHost plugins(linked_plugins(), {});
  for (const ListedMethod& method : listed_methods()) {
    CAPTURE(method.name);
    CHECK(list.find(method.name) != std::string::npos);
    std::string options = method.options;
    if (const size_t at = options.find("{T}"); at != std::string::npos)
      options.replace(at, 3, "64");
    const StrategyChoice choice =
        parse_settings("attention: " + options, "list", "").attention.choice;
    CHECK_NOTHROW(resolve_options(choice, plugins.attention(choice.strategy).options(), "it"));
  }
}

TEST_CASE("a cost is fitted to two readings and is never negative") {
  // 2 + 0.01 p per token: n (2 + 0.005 n) in all.
  const ReadingCost cost = fit_cost(64, 64 * 2.32, 1024, 1024 * 7.12);
  CHECK(cost.per_token == doctest::Approx(2));
  CHECK(cost.per_position == doctest::Approx(0.01));
  CHECK(cost.seconds(100, 200) == doctest::Approx(300));
  const ReadingCost warm = fit_cost(64, 100, 1024, 1024);  // the first tokens were slower
  CHECK(warm.per_position == 0);
  CHECK(warm.per_token == 1);
}

TEST_CASE("progress of a comparison says cells, rate and time left") {
  const WorkDone done{
      .cells = 3, .all_cells = 12, .tokens = 5000, .estimated = 10, .all_estimated = 40};
  CHECK(progress_line(work_progress(done, 2.0, "plain/loss/16"), 100) ==
        "[#####...............]  25 %  3 of 12 cells, 2,500 tokens/s, 0:06 left, plain/loss/16");
  CHECK(duration_text(65) == "1:05");
  CHECK(duration_text(7380) == "2:03:00");
}
