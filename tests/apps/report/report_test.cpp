// SPDX-License-Identifier: Apache-2.0
#include "apps/perdure/report/report.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <limits>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/drawing.hpp"
#include "apps/perdure/report/pareto.hpp"
#include "apps/perdure/report/pictures.hpp"
#include "core/api/error.hpp"
#include "tests/apps/report/samples/sample_comparisons.hpp"

namespace perdure::report {
namespace {

using test::done_cell;

// Entries a, b, c with the given losses at one length.
Comparison small_comparison(const std::vector<double>& losses, bool lower_is_better = true) {
  Comparison comparison;
  comparison.lengths = {256};
  comparison.measures.push_back({"loss", "Loss", "nats", lower_is_better, ""});
  for (size_t e = 0; e < losses.size(); ++e) {
    comparison.entries.push_back({std::string(1, static_cast<char>('a' + e)), "m.bin", "", 256});
    comparison.cells.push_back(done_cell(static_cast<int64_t>(e), 0, 256, losses[e]));
  }
  return comparison;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++n;
  return n;
}

bool contains(const std::string& text, const std::string& part) { return count(text, part) > 0; }

}  // namespace

TEST_CASE("the best of a column are the cells that are marked, the very best first") {
  Comparison comparison = small_comparison({2, 1.5, 1});
  CHECK(ComparisonView(comparison).best(0, 256).empty());
  comparison.cells[1].best = comparison.cells[2].best = true;
  CHECK(ComparisonView(comparison).best(0, 256) == std::vector<int64_t>{2, 1});
  comparison.measures[0].lower_is_better = false;
  CHECK(ComparisonView(comparison).best(0, 256) == std::vector<int64_t>{1, 2});
}

TEST_CASE("what is no number ranks last") {
  const Comparison comparison = small_comparison({std::numeric_limits<double>::quiet_NaN(), 3, 2});
  CHECK(ComparisonView(comparison).ranking(0) == std::vector<int64_t>{2, 1, 0});
  CHECK_FALSE(contains(report_page(comparison, {}), "NaN"));
}

TEST_CASE("of many entries the reference and the best have styles, each its own") {
  const Comparison comparison = small_comparison({9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5});
  const ComparisonView view(comparison);
  CHECK(view.style(0) == 0);
  CHECK(view.style(9) == 1);
  CHECK(view.style(1) == kGrey);
  CHECK(view.style(2) == kGrey);
  CHECK(view.style(3) == kStyles - 1);
}

TEST_CASE("results and measured figures of different entries are refused") {
  Comparison other = small_comparison({1, 2});
  CHECK(joined(small_comparison({1, 2}), other).cells.size() == 4);
  other.entries[1].name = "z";
  CHECK_THROWS_AS(joined(small_comparison({1, 2}), other), Error);
}

TEST_CASE("figures of one kind share a picture") {
  const test::Sample sample = test::many_methods();
  const Comparison comparison = joined(sample.results, sample.measured);
  std::vector<std::string> names;
  for (const Picture& picture : pictures_of(ComparisonView(comparison)))
    names.push_back(picture.name);
  CHECK(names == std::vector<std::string>{"loss", "passkey", "recall", "loss_by_position", "speed",
                                          "ram", "quality_by_state", "quality_by_time"});
}

TEST_CASE("entries with the same bytes share a line whose points name them all") {
  Comparison comparison = small_comparison({100, 100, 200});
  comparison.measures[0].unit = "bytes";
  for (int64_t e = 0; e < 3; ++e) comparison.cells.push_back(done_cell(e, 0, 512, 300));
  comparison.cells.back().figure.value = 400;
  const ComparisonView view(comparison);
  const LineFigure figure = std::get<LineFigure>(pictures_of(view).at(0).content);
  REQUIRE(figure.panels[0].series.size() == 2);
  CHECK(figure.panels[0].series[0].name == "a");
  CHECK(contains(figure.panels[0].series[0].points[0].hover, "also b"));
}

TEST_CASE("names of measures cannot leave the folder") {
  Comparison comparison = small_comparison({1, 2});
  comparison.measures[0].name = "../../up";
  for (const Picture& picture : pictures_of(ComparisonView(comparison)))
    CHECK(picture.name.find_first_of("./\\") == std::string::npos);
}

TEST_CASE("the page has every figure, the best marked, and why a cell has none") {
  Comparison comparison = small_comparison({1.25, 2.5, 3});
  comparison.cells[0].best = true;
  comparison.lengths.push_back(512);
  ComparedCell refused;
  refused.length = 512;
  refused.state = ComparedCell::State::kRefused;
  refused.reason = "the mask would see the future";
  comparison.cells.push_back(refused);
  comparison.entries[2].train_length = 0;  // not known
  comparison.entries[1].configuration = "attention: {strategy: memory}";
  const std::string page = report_page(comparison, {"perdure compare -c a.yaml", "1.2.3"});
  CHECK(contains(page, "1.250"));
  CHECK(count(page, "class=\"star\"") == 1);
  CHECK(contains(page, "the mask would see the future"));
  CHECK(contains(page, "<a href=\"#reasons\">refused</a>"));
  CHECK(contains(page, "class=\"none beyond\""));
  CHECK(contains(page, "trained at 256"));
  CHECK(contains(page, "attention: {strategy: memory}"));
  CHECK(contains(page, "perdure compare -c a.yaml"));
  CHECK(contains(page, "1.2.3"));
  CHECK(contains(page, "best is <b>a</b> with 1.250 nats"));
}

TEST_CASE("a figure that guessing reaches says so, and the machine is named") {
  Comparison comparison = small_comparison({1.25, 2.5});
  comparison.cells[0].chance = comparison.cells[1].chance = 2;
  comparison.cells[1].circumstances = {"A CPU", "avx2", 2, 0.5, "2026-11-27T15:44:00Z", "1.2.3"};
  const std::string page = report_page(comparison, {});
  CHECK(count(page, "worse than guessing") == 1);
  CHECK(contains(page, "A CPU (avx2), 2 threads, load 0.50, 2026-11-27, perdure 1.2.3"));
}

TEST_CASE("the Pareto front has the points that no other one beats in both") {
  const auto point = [](double x, double y) {
    ChartPoint p;
    p.x = x;
    p.y = y;
    return p;
  };
  const std::vector<ChartPoint> points{point(1, 5), point(2, 6), point(2, 4),
                                       point(2, 3), point(3, 3), point(4, 1)};
  std::vector<double> front;
  for (const ChartPoint& p : pareto_front(points, true)) front.push_back(p.x * 10 + p.y);
  CHECK(front == std::vector<double>{15, 23, 41});
  front.clear();
  for (const ChartPoint& p : pareto_front(points, false)) front.push_back(p.x * 10 + p.y);
  CHECK(front == std::vector<double>{15, 26});
}

TEST_CASE("entries at one place of a scatter picture are both seen, and named by pointing") {
  Comparison comparison = small_comparison({2, 2, 3});
  comparison.measures.push_back({"state_bytes", "State", "bytes", true, ""});
  for (const double bytes : {100, 100, 50})
    comparison.cells.push_back(
        done_cell(static_cast<int64_t>(comparison.cells.size()) - 3, 1, 256, bytes));
  const std::vector<Picture> pictures = pictures_of(ComparisonView(comparison));
  REQUIRE(pictures.back().name == "quality_by_state");
  const Panel& panel = std::get<LineFigure>(pictures.back().content).panels.at(0);
  CHECK(contains(panel.series[0].points[0].hover, "also b"));
  CHECK(contains(panel.series[1].points[0].hover, "also a"));
  CHECK(panel.series[0].points[0].on_top);
  const std::string shapes = draw(pictures.back(), 900, "id").shapes.str();
  CHECK(count(shapes, "class=\"hollow\"") == 3 + 3);  // and in the legend
  CHECK_FALSE(contains(shapes, "class=\"marker\""));
}

TEST_CASE("intervals are explained where there are some, by what they are drawn as") {
  Comparison comparison = small_comparison({1.25, 2.5});
  const auto note = [&] {
    return std::get<LineFigure>(pictures_of(ComparisonView(comparison)).at(0).content).notes;
  };
  REQUIRE(!note().empty());
  CHECK(note().front().starts_with("Bars: 95 % intervals."));
  CHECK(contains(report_page(comparison, {}), "Small: 95 % interval."));
  for (ComparedCell& cell : comparison.cells)
    cell.figure.low = cell.figure.high = cell.figure.value;
  CHECK((note().empty() || !contains(note().front(), "interval")));
  CHECK_FALSE(contains(report_page(comparison, {}), "Small: 95 % interval."));
}

TEST_CASE("the finding says how many others are not distinguishable from the best") {
  Comparison comparison = small_comparison({1.25, 1.26, 2.5});
  comparison.cells[0].best = comparison.cells[1].best = true;
  CHECK(contains(report_page(comparison, {}), "(not distinguishable from 1 other)"));
}

TEST_CASE("a length that lacks a value of the second axis is not given the one at 0") {
  Comparison comparison = small_comparison({0.25, 0.5});
  comparison.measures[0] = {"facts", "Facts", "share", false, "segments"};
  comparison.cells[1].entry = comparison.cells[0].entry;
  comparison.cells[1].length = comparison.cells[0].length * 2;
  ComparedCell far = comparison.cells[1];
  far.axis = 3;
  comparison.cells.push_back(far);  // the shorter length has none so far back
  const std::string page = report_page(comparison, {});
  // For wide pages and phones, beside the key's five shades and one open cell.
  CHECK(count(page, "class=\"heat\"") == 2 * (3 + 5));
  CHECK(count(page, "class=\"nothing\"") == 2 * (1 + 1));
}

TEST_CASE("the head names a text only where one was read") {
  Comparison comparison = small_comparison({1, 2});
  comparison.text_name = "tales.txt";
  comparison.text_tokens = 12;
  CHECK(contains(report_page(comparison, {}), "at 1 length, on tales.txt (12 tokens), seed"));
  comparison.text_tokens = 0;
  CHECK(contains(report_page(comparison, {}), "at 1 length, seed"));
}

TEST_CASE("a heat map of one value is a sentence") {
  Comparison comparison = small_comparison({0, 0});
  comparison.measures[0] = {"passkey", "Passkey", "share", false, "depth"};
  for (ComparedCell& cell : comparison.cells) cell.figure = {0, 0, 0.05};
  const std::string page = report_page(comparison, {});
  CHECK(contains(page, "0.0 % everywhere: the same for every entry, depth and length."));
  CHECK_FALSE(contains(page, "class=\"heat\""));
  comparison.cells[0].figure.value = 0.5;
  CHECK(contains(report_page(comparison, {}), "class=\"heat\""));
}

TEST_CASE("a difference without zero in its interval is bold") {
  Comparison comparison = small_comparison({1, 2, 3});
  comparison.baseline = 0;
  comparison.cells[1].difference = Interval{1, 0.5, 1.5};
  comparison.cells[2].difference = Interval{0.1, -0.5, 0.7};
  const std::string page = report_page(comparison, {});
  CHECK(contains(page, "Difference to a"));
  CHECK(count(page, " clear\"") == 1);
  CHECK(contains(page, "+1.000"));
}

TEST_CASE("hostile names stay texts") {
  const test::Sample sample = test::hostile_texts();
  const std::string page = report_page(joined(sample.results, sample.measured), {"a <b> & c", "v"});
  CHECK(count(page, "<script>") == 1);
  CHECK_FALSE(contains(page, "<img"));
  CHECK(contains(page, "a &lt;b&gt; &amp; c"));
}

TEST_CASE("writing gives the names of what was written, and fails where it cannot") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("perdure_report_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const test::Sample sample = test::two_entries();
  const auto names = write_report(sample.results, sample.measured, {}, folder.string());
  CHECK(names == std::vector<std::string>{"report.html", "loss.svg", "speed.svg", "ram.svg",
                                          "quality_by_state.svg", "quality_by_time.svg"});
  for (const std::string& name : names) CHECK(std::filesystem::file_size(folder / name) > 1000);
  std::filesystem::remove_all(folder);
  CHECK_THROWS_AS(write_report(sample.results, sample.measured, {}, folder.string()), Error);
}

}  // namespace perdure::report
