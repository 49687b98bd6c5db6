// SPDX-License-Identifier: Apache-2.0

// perdure compare as a user starts it: what it writes, what it refuses, and that neither a kill nor
// Ctrl-C nor company changes a byte.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <regex>
#include <thread>
#include <utility>

#include "core/base/json/json.hpp"
#include "core/eval/results.hpp"
#include "tests/apps/compare/compare_fixture.hpp"
#include "tests/support/sanitized.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr size_t kCells = 18;  // of the small comparison that can be made: 3 entries, 2 x 3

// Waits until so many cells are finished, or the program has ended.
void wait_for_cells(const SmallComparison& small, const std::string& out, size_t count,
                    const Running& program) {
  while (small.cells(out).size() < count && !program.has_ended())
    std::this_thread::sleep_for(std::chrono::microseconds(200));
}

using Times = std::map<std::string, std::filesystem::file_time_type>;

Times times_of(const SmallComparison& small, const std::string& out) {
  Times times;
  for (const std::string& name : small.cells(out))
    times[name] = std::filesystem::last_write_time(small.folder / out + "/cells/" + name);
  return times;
}

}  // namespace

TEST_CASE("a comparison prints tables and writes results, and refused cells are no failure") {
  const SmallComparison small;
  const Outcome outcome = run_perdure(small.words("out"));
  CHECK(outcome.status == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.find("Loss of the last 8 targets, nats (lower is better)\n") == 0);
  CHECK(outcome.out.find("\nmemory  ") != std::string::npos);
  CHECK(outcome.out.find("memory: refused: attention.strategy: memory needs a model with memory") !=
        std::string::npos);
  CHECK(outcome.out.find('\033') == std::string::npos);

  const Comparison c = parse_comparison(small.results("out"), "results.json");
  CHECK(c.title == "Small");
  CHECK(c.entries.size() == 4);
  CHECK(c.entries[0].train_length > 0);
  CHECK(c.measures.size() == 4);  // loss and accuracy, without and with reset
  CHECK(c.cells.size() == 4 * 4 * 3);
  CHECK(c.text_tokens == 3000);
  for (const ComparedCell& cell : c.cells) {
    if (cell.entry == 3) {
      CHECK(cell.state == ComparedCell::State::kRefused);
      continue;
    }
    CHECK(cell.state == ComparedCell::State::kDone);
    CHECK(cell.samples == 20);
    CHECK(cell.difference.has_value() == (cell.entry != 0));
  }
  CHECK(read_all(small.folder / "out/results.csv").starts_with("entry,measure,unit,length,"));
  CHECK(parse_comparison(read_all(small.folder / "out/measured.json"), "m").cells.empty());
  CHECK(read_all(small.folder / "out/report.html").find("Small") != std::string::npos);
  CHECK(read_all(small.folder / "out/loss.svg").find("<svg") != std::string::npos);
  CHECK(small.cells("out").size() == kCells);
}

TEST_CASE("a finished comparison is not made again, and gives the same bytes") {
  const SmallComparison small;
  const Outcome first = run_perdure(small.words("out"));
  REQUIRE(first.status == 0);
  const std::string results = small.results("out");
  const Times before = times_of(small, "out");
  const Outcome second = run_perdure(small.words("out"));
  CHECK(second.out == first.out);
  CHECK(small.results("out") == results);
  CHECK(times_of(small, "out") == before);
}

TEST_CASE("a run that is killed again and again ends with the bytes of one that was not") {
  const SmallComparison small;
  REQUIRE(run_perdure(small.words("whole")).status == 0);
  Times kept;
  for (const size_t cells : {1, 4, 5, 9, 17}) {
    Running program(small.words("killed"));
    wait_for_cells(small, "killed", cells, program);
    program.send(SIGKILL);
    program.wait();
    const Times now = times_of(small, "killed");
    CHECK(now.size() >= std::min(cells, kCells));
    for (const auto& [name, time] : kept) CHECK(now.at(name) == time);
    kept = now;
  }
  CHECK(run_perdure(small.words("killed")).status == 0);
  const Times now = times_of(small, "killed");
  for (const auto& [name, time] : kept) CHECK(now.at(name) == time);
  CHECK(small.cells("killed") == small.cells("whole"));
  CHECK(small.results("killed") == small.results("whole"));
  CHECK(read_all(small.folder / "killed/results.csv") ==
        read_all(small.folder / "whole/results.csv"));
}

TEST_CASE("Ctrl-C ends a comparison with what is there; the same command continues it") {
  const SmallComparison small(
      "  measures: [{loss: {tail: 8}}, {loss: {tail: 8, control: reset}}]\n  samples: 300\n");
  Running program(small.words("out"));
  wait_for_cells(small, "out", 2, program);
  program.send(SIGINT);
  CHECK(program.wait() == 128 + SIGINT);
  CHECK(small.cells("out").size() >= 2);
  CHECK(small.cells("out").size() < kCells);
  const Comparison part = parse_comparison(small.results("out"), "results.json");
  CHECK(part.cells.back().state == ComparedCell::State::kRefused);
  CHECK(part.cells.front().state == ComparedCell::State::kDone);
  REQUIRE(run_perdure(small.words("out")).status == 0);
  REQUIRE(run_perdure(small.words("whole")).status == 0);
  CHECK(small.results("out") == small.results("whole"));
}

TEST_CASE("whatever asks a comparison to end, it says so and where its results are") {
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT}) {
    CAPTURE(signal);
    const SmallComparison small("  measures: [{loss: {tail: 8}}]\n  samples: 3000\n");
    Terminal program(small.words("out"), small.folder / "state");
    for (int i = 0; i < 6000 && small.cells("out").empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    program.send(signal);
    CHECK(program.shows("perdure: stopped by SIG"));
    CHECK(program.shows(" cells are done and kept in "));
    CHECK(program.shows("the same command continues with the others"));
    CHECK(program.wait() == 128 + signal);
    CHECK(std::filesystem::exists(small.folder / "out/results.csv"));
  }
}

TEST_CASE("a refusal of an entry is printed once, whatever is measured") {
  const SmallComparison small("  measures: [{loss: {tail: 8}}, speed]\n  samples: 2\n");
  const Outcome outcome = run_perdure(small.words("out"));
  CAPTURE(outcome.err);
  const std::string& out = outcome.out;
  const std::string sentence = "memory: refused: ";
  const size_t first = out.find(sentence);
  REQUIRE(first != std::string::npos);
  CHECK(out.find(sentence, first + 1) == std::string::npos);
}

TEST_CASE("the report is named, and the command in it repeats the comparison from its folder") {
  const SmallComparison small;
  Words words = small.words("out") + Words{"--set", "compare.tokens=" + (small.folder / "tokens")};
  words.erase(std::find(words.begin(), words.end(), "-q"));
  const Outcome first = run_perdure(words);
  REQUIRE(first.status == 0);
  CHECK(first.err.find("report: " + (small.folder / "out/report.html") + "\n") !=
        std::string::npos);
  const std::string page = read_all(small.folder / "out/report.html");
  CHECK(page.find("perdure compare -c compare.yaml --out repeated") != std::string::npos);
  REQUIRE(run_perdure({"compare", "-c", small.folder / "out/compare.yaml", "--out",
                       small.folder / "repeated", "-q"})
              .status == 0);
  CHECK(small.results("repeated") == small.results("out"));
}

TEST_CASE("a second run on a folder says that the first is there") {
  const SmallComparison small("  measures: [{loss: {tail: 8}}]\n  samples: 3000\n");
  Running program(small.words("out"));
  wait_for_cells(small, "out", 1, program);
  const Outcome second = run_perdure(small.words("out"));
  program.send(SIGINT);
  CHECK(program.wait() == 128 + SIGINT);
  CHECK(second.status == 1);
  CHECK(second.err.find("another run of compare is writing to ") != std::string::npos);
  CHECK(run_perdure(small.words("out") + Words{"--dry-run"}).status == 0);
}

TEST_CASE("files are readable as the umask allows, and old pictures go") {
  namespace fs = std::filesystem;
  const SmallComparison small;
  fs::create_directories(small.folder / "out");
  REQUIRE(run_perdure(small.words("out")).status == 0);
  fs::copy_file(small.folder / "out/loss.svg", small.folder / "out/copy.svg");
  write_all(small.folder / "out/mine.svg", "<svg/>");
  REQUIRE(run_perdure(small.words("out")).status == 0);
  CHECK_FALSE(fs::exists(small.folder / "out/copy.svg"));
  CHECK(fs::exists(small.folder / "out/mine.svg"));
  for (const char* name : {"report.html", "results.json", "results.csv", "samples.csv", "loss.svg"})
    CHECK((fs::status(small.folder / "out/" + name).permissions() & fs::perms::others_read) !=
          fs::perms::none);
  const std::string samples = read_all(small.folder / "out/samples.csv");
  CHECK(
      samples.starts_with("entry,measure,unit,length,axis,sample,value\r\nplain,loss,nats,16,,0,"));
  const std::string results = read_all(small.folder / "out/results.csv");
  CHECK(results.find("attention.rope_scaling") < results.find("\r\n"));
  CHECK(results.find("attention.strategy") < results.find("\r\n"));
}

TEST_CASE("a comparison replaces no file that it did not write, nor what it is reading") {
  const SmallComparison small;
  const auto refused = [&](const std::string& name) {
    std::filesystem::create_directories(small.folder / "mine");
    write_all(small.folder / "mine/" + name, "mine");
    const Outcome outcome = run_perdure(small.words("mine"));
    CHECK(outcome.status == 2);
    CHECK(outcome.err.find(name + " was not written by a comparison") != std::string::npos);
    CHECK(read_all(small.folder / "mine/" + name) == "mine");
    std::filesystem::remove_all(small.folder / "mine");
  };
  for (const char* name : {"compare.yaml", "results.csv", "report.html", "loss.svg"}) refused(name);
  REQUIRE(run_perdure(small.words("out")).status == 0);
  const std::string before = read_all(small.folder / "out/compare.yaml");
  const Outcome itself = run_perdure(
      {"compare", "-c", small.folder / "out/compare.yaml", "--out", small.folder / "out", "-q"});
  CHECK(itself.status == 2);
  CHECK(itself.err.find("is being read and would be replaced") != std::string::npos);
  CHECK(read_all(small.folder / "out/compare.yaml") == before);
}

TEST_CASE("with equal states no entry holds more than the baseline") {
  const SmallComparison small(
      "  measures: [{loss: {tail: 8}}, ram]\n  samples: 4\n  equal_state: true\n");
  Words words = small.words("out");
  words.pop_back();  // not quiet
  const Outcome outcome = run_perdure(words + Words{"--set", "compare.baseline=window"});
  REQUIRE(outcome.status == 0);
  CHECK(outcome.err.find("compare.equal_state: plain at ") != std::string::npos);
  const Comparison m =
      parse_comparison(read_all(small.folder / "out/measured.json"), "measured.json");
  std::map<int64_t, double> most;
  for (const ComparedCell& cell : m.cells)
    if (cell.measure == 0 && cell.entry == 2) most[cell.length] = cell.figure.value;
  for (const ComparedCell& cell : m.cells)
    if (cell.measure == 0 && cell.state == ComparedCell::State::kDone)
      CHECK(cell.figure.value <= most.at(cell.length));
  CHECK(run_perdure({"compare", "--list"}).out.find("StreamingLLM") != std::string::npos);
}

TEST_CASE("a damaged cell is reported and measured again") {
  const SmallComparison small;
  REQUIRE(run_perdure(small.words("out")).status == 0);
  const std::string results = small.results("out");
  const std::string path = small.folder / "out/cells/" + *small.cells("out").begin();
  const std::string cell = read_all(path);
  write_all(path, cell.substr(0, cell.size() / 2));
  Words words = small.words("out");
  words.pop_back();  // not quiet
  const Outcome outcome = run_perdure(words);
  CHECK(outcome.status == 0);
  CHECK(outcome.err.starts_with(path + " is no finished cell: "));
  CHECK(outcome.err.find("it is measured again\n1 of 24 cells to measure") != std::string::npos);
  CHECK(small.results("out") == results);
}

TEST_CASE("a failed cell does not end the run, but its exit status is 1") {
  const SmallComparison small;
  const Outcome outcome =
      run_perdure(small.words("out") +
                  Words{"--set", "compare.entries.linear.model.path=" + (small.folder / "none")});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.starts_with("perdure: 6 of 24 cells failed, the first one linear/loss/16: "));
  CHECK(outcome.out.find("failed") != std::string::npos);
  CHECK(small.cells("out").size() == 12);
}

TEST_CASE("if no entry can be opened, the reason is all there is to say") {
  const SmallComparison small;
  const Outcome outcome =
      run_perdure(small.words("out") + Words{"--set", "model.path=" + (small.folder / "none")});
  CHECK(outcome.status == 1);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.find("none") != std::string::npos);
}

TEST_CASE("--dry-run says what would be done and does nothing") {
  const SmallComparison small;
  const Outcome outcome = run_perdure(small.words("out") + Words{"--dry-run"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("plain/loss/16: about ") == 0);
  CHECK(outcome.out.find("memory/loss/64: attention.strategy: memory needs") != std::string::npos);
  CHECK(!std::filesystem::exists(small.folder / "out"));
  const Outcome nowhere = run_perdure({"compare", "-c", small.file, "-q", "--dry-run"});
  CHECK(nowhere.status == 0);
  CHECK(nowhere.out.find("plain/loss/16: about ") == 0);
}

TEST_CASE("--only makes the cells it names and leaves the results alone") {
  const SmallComparison small;
  CHECK(run_perdure(small.words("out") + Words{"--only", "plain/loss"}).status == 0);
  CHECK(small.cells("out").size() == 3);
  CHECK(!std::filesystem::exists(small.folder / "out/results.json"));
  CHECK(run_perdure(small.words("out") + Words{"--only", "plain", "--only", "window/loss/16"})
            .status == 0);
  CHECK(small.cells("out").size() == 7);
  const Outcome none = run_perdure(small.words("out") + Words{"--only", "plan"});
  CHECK(none.status == 2);
  CHECK(none.err ==
        "perdure: --only plan: there is no such cell; the first one is plain/loss/16\n");
}

TEST_CASE("cells of the machine are made in processes of their own and stand in measured.json") {
  const SmallComparison small(
      "  measures: [{loss: {tail: 8}}, ram, {speed: {decode_tokens: 4, repeats: 1}}]\n"
      "  samples: 4\n");
  const Outcome outcome = run_perdure(small.words("out"));
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("Peak RAM of the process") != std::string::npos);
  const Comparison m =
      parse_comparison(read_all(small.folder / "out/measured.json"), "measured.json");
  REQUIRE(m.cells.size() == 4 * m.measures.size() * 3);
  for (const ComparedCell& cell : m.cells)
    CHECK((cell.state == ComparedCell::State::kDone) == (cell.entry != 3));
  for (const ComparedCell& cell : m.cells) {
    if (cell.state != ComparedCell::State::kDone) continue;
    REQUIRE(cell.circumstances);
    CHECK(cell.circumstances->threads == 1);
    CHECK(cell.circumstances->date.size() == 20);
    CHECK(cell.circumstances->version.find("(commit ") != std::string::npos);
  }
  CHECK(outcome.out.find("measured on ") != std::string::npos);
  CHECK(parse_comparison(small.results("out"), "results.json").measures.size() == 2);
}

TEST_CASE("a plugin that was built again makes its cells again, and stands in the results") {
  const SmallComparison small;
  const std::string library = small.folder / "kernels.scalar.so";
  std::filesystem::copy_file(PERDURE_SCALAR_LIBRARY, library);
  Words words = small.words("out") + Words{"--set", "plugins.load=[" + library + "]"};
  REQUIRE(run_perdure(words).status == 0);
  CHECK(small.cells("out").size() == kCells);
  CHECK(small.results("out").find("kernels.scalar kernels.scalar.so ") != std::string::npos);
  REQUIRE(run_perdure(words).status == 0);
  CHECK(small.cells("out").size() == kCells);
  write_all(library, read_all(library) + "another build");
  REQUIRE(run_perdure(words).status == 0);
  CHECK(small.cells("out").size() == 2 * kCells);
}

TEST_CASE("the small comparison among the ready ones runs as it is") {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_perdure({"compare", "-c", PERDURE_SOURCE_DIR "/configs/compare/small.yaml", "--out",
                   folder / "out", "-q", "--set", "compare.lengths=[256]"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("window and sinks") != std::string::npos);
}

TEST_CASE("the comparison to copy for one's own model runs as it is") {
  const TemporaryFolder folder;
  const Outcome outcome = run_perdure(
      {"compare", "-c", PERDURE_SOURCE_DIR "/configs/compare/own_model.yaml", "--out",
       folder / "out", "-q", "--set", "compare.lengths=[256]", "--set", "compare.samples=2"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("self-extend") != std::string::npos);
  CHECK(outcome.out.find("refused") == std::string::npos);
}

TEST_CASE("the ready comparisons name only what there is") {
  const TemporaryFolder folder;
  Words common = {"--dry-run",    "-q",    "--out",
                  folder / "out", "--set", "compare.text=" PERDURE_SOURCE_DIR "/LICENSE"};
  for (const auto& file :
       std::filesystem::directory_iterator(PERDURE_SOURCE_DIR "/configs/compare")) {
    CAPTURE(file.path().string());
    const Outcome outcome = run_perdure(Words{"compare", "-c", file.path().string()} +
                                        golden_words("llama.v0.bin") + common);
    CHECK(outcome.err.empty());
    CHECK(outcome.status == 0);
  }
}

TEST_CASE("mistakes in the section are refused with file, line and nearest word") {
  const struct {
    const char* section;
    const char* sentence;
  } cases[] = {
      {"  measures: [los]\n", ":15: there is no measure 'los'; did you mean 'loss'?"},
      {"  measures: [{loss: {tial: 8}}]\n", ":15: unknown option 'tial'"},
      {"  measures: [loss, loss]\n",
       ":15: compare.measures: the figure 'loss' is already "
       "measured at "},
      {"  measures: loss\n  lenghts: 3\n",
       ":16: unknown key 'compare.lenghts'; did you mean "
       "'lengths'?"},
  };
  for (const auto& [section, sentence] : cases) {
    const SmallComparison small(section);
    const Outcome outcome = run_perdure(small.words("out"));
    CHECK(outcome.status == 2);
    CAPTURE(outcome.err);
    CHECK(outcome.err.starts_with("perdure: " + small.file + sentence));
  }
  const SmallComparison small;
  const Outcome option =
      run_perdure(small.words("out") + Words{"--set", "compare.entries.window.attention.widnow=4"});
  CHECK(option.status == 2);
  CHECK(option.err.find("did you mean 'window'?") != std::string::npos);
  CHECK(run_perdure({"compare", "-c", small.file}).err ==
        "perdure: no folder for the results is given; use --out DIR, or write compare.out\n");
  CHECK(run_perdure(small.words("out") + Words{"--set", "compare.tokens="}).status == 2);
}

#ifdef PERDURE_MPIRUN
// `words` in two processes: the exit status, and what they wrote.
static std::pair<int, std::string> run_two(const SmallComparison& small, const Words& words) {
  // MPI keeps memory to its end, and a container may lack what it would copy messages with.
  std::string command =
      "ASAN_OPTIONS=detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_btl_vader_single_copy_mechanism=none " PERDURE_MPIRUN
      " --oversubscribe -n 2 " PERDURE_PROGRAM;
  for (const std::string& word : words) command += " '" + word + "'";
  const std::string table = small.folder / "table";
  const int status = std::system((command + " > '" + table + "' 2>&1").c_str());
  return {status, read_all(table)};
}

TEST_CASE("two processes give the bytes of one" * doctest::skip(kThreadSanitized)) {
  const SmallComparison small;
  REQUIRE(run_perdure(small.words("one")).status == 0);
  const auto [status, table] = run_two(small, small.words("two"));
  CAPTURE(table);
  CHECK(status == 0);
  CHECK(small.results("two") == small.results("one"));
  CHECK(small.cells("two") == small.cells("one"));
}

TEST_CASE("two processes find what a process of its own measured, whatever their threads" *
          doctest::skip(kThreadSanitized)) {
  const SmallComparison small("  measures: [ram]\n");
  Words words = small.words("two");
  for (const char* word : {"--set", "threads.backend=tbb", "--set", "threads.count=auto"})
    words.emplace_back(word);
  const auto [status, table] = run_two(small, words);
  CAPTURE(table);
  CHECK(status == 0);
  CHECK(table.find("failed") == std::string::npos);
}
#endif

TEST_CASE("a text that the vocabulary cannot express is named") {
  const TemporaryFolder folder;
  std::string plain;
  for (int i = 0; i < 60; ++i) plain += "abc abc ";
  write_all(folder / "good.txt", plain);
  write_all(folder / "bad.txt", plain + "\xff");
  const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
  write_all(folder / "c.yaml", "model: {path: " + models + "memA.q80.bin, tokenizer: " + models +
                                   "tok_96.bin}\ncompare:\n  entries: {memory: {}}\n"
                                   "  lengths: [8]\n  measures: [{loss: {tail: 4}}]\n"
                                   "  text: [good.txt, bad.txt]\n");
  const Outcome outcome =
      run_perdure({"compare", "-c", folder / "c.yaml", "--out", folder / "out", "-q"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find((folder / "bad.txt") + ": the text has at byte offset") !=
        std::string::npos);
}

TEST_CASE("compare reads CR LF and byte order marks as other commands do") {
  const TemporaryFolder folder;
  const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
  std::string unix_text, dos_text = "\xef\xbb\xbf";
  for (int i = 0; i < 100; ++i) unix_text += "the sun is up\n", dos_text += "the sun is up\r\n";
  write_all(folder / "unix.txt", unix_text);
  write_all(folder / "dos.txt", dos_text);
  write_all(folder / "c.yaml", "model: {path: " + models + "llama.v0.bin, tokenizer: " + models +
                                   "tok_320.bin}\ncompare:\n  entries: {plain: {}}\n"
                                   "  lengths: [16]\n  measures: [{loss: {tail: 8}}]\n");
  std::string results[2], remarks[2];
  for (const int dos : {0, 1}) {
    const std::string name = dos == 1 ? "dos.txt" : "unix.txt", out = folder / name + ".out";
    const Outcome outcome = run_perdure({"compare", "-c", folder / "c.yaml", "--out", out, "--set",
                                         "compare.text=[" + (folder / name) + "]"});
    CHECK(outcome.status == 0);
    results[dos] = std::regex_replace(read_all(out + "/results.json"), std::regex(name), "TEXT");
    remarks[dos] = outcome.err;
  }
  CHECK(results[0] == results[1]);
  CHECK_FALSE(results[0].empty());
  CHECK(remarks[0].find("input.line_ends") == std::string::npos);
  CHECK(remarks[1].find("dos.txt: dropped a byte order mark and read CR LF line ends as LF") !=
        std::string::npos);
}

TEST_CASE("an entry of a comparison may keep line ends that the others read as LF") {
  const TemporaryFolder folder;
  const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
  std::string text;
  for (int i = 0; i < 100; ++i) text += "the sun is up\r\n";
  write_all(folder / "dos.txt", text);
  write_all(folder / "c.yaml", "model: {path: " + models + "llama.v0.bin, tokenizer: " + models +
                                   "tok_320.bin}\ncompare:\n  entries:\n    plain: {}\n"
                                   "    kept: {input: {line_ends: keep}}\n    same: {}\n"
                                   "  lengths: [16]\n  measures: [{loss: {tail: 8}}]\n"
                                   "  text: [dos.txt]\n");
  const Outcome outcome =
      run_perdure({"compare", "-c", folder / "c.yaml", "--out", folder / "out", "--json"});
  CHECK(outcome.status == 0);
  const Json json = Json::parse(outcome.out, "out");
  std::map<int64_t, double> loss;
  const Json::List& cells = json.at("results").at("cells").list();
  for (const Json& cell : cells)
    if (cell.at("measure").integer() == 0)
      loss[cell.at("entry").integer()] = cell.at("figure").list()[0].real();
  REQUIRE(loss.size() == 3);
  CHECK(loss[0] == loss[2]);
  CHECK(loss[0] != loss[1]);
}

TEST_CASE("compare --list and --dry-run print JSON when asked") {
  const Json list = Json::parse(run_perdure({"compare", "--list", "--json"}).out, "out");
  CHECK(list.at("measures").list()[0].at("name").text() == "loss");
  CHECK(list.at("methods").list()[0].at("attention").text() == "{strategy: full}");
}
