// SPDX-License-Identifier: Apache-2.0

// The shipped models that carry a memory of constant size from one part of a text to the next: it
// is the whole of what they know, it is worth something, and it outlives the process.
#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/json/json.hpp"
#include "core/eval/results.hpp"
#include "tests/apps/program.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const std::string kModels = PERDURE_SOURCE_DIR "/models/";
const Words kSettings = {"--set", "threads={backend: serial, count: 1}", "--set",
                         "sampling.temperature=0"};

// Sessions of one process after another.
struct Store {
  TemporaryFolder folder;
  Words words = Words{"--set", "store.path=" + (folder / "store")} + kSettings;

  Outcome generate(const std::string& model, const Words& more) const {
    return run_perdure(Words{"generate", kModels + model} + words + more);
  }
  Json inspect(const std::string& name) const {
    return Json::parse(run_perdure(Words{"memory", "inspect", name, "--json"} + words).out, "out");
  }
};

// What is compared; paths of models and texts are those in models/.
struct Question {
  std::string model, tokenizer, text, lengths, measures;
};

using Figures = std::map<std::string, std::vector<double>>;

// By measure, in the order of lengths or of the second axis.
Figures compare(const Question& q) {
  const TemporaryFolder folder;
  write_all(folder / "compare.yaml",
            "model: {path: " + kModels + q.model + ", tokenizer: " + kModels + q.tokenizer +
                "}\nthreads: {backend: serial, count: 1}\ncompare:\n  entries: {it: {}}\n" +
                "  lengths: " + q.lengths + "\n  measures: " + q.measures +
                "\n  samples: 4\n  text: [" + kModels + q.text + "]\n");
  CHECK(run_perdure({"compare", "-c", folder / "compare.yaml", "--out", folder / "out", "-q"})
            .status == 0);
  const Comparison c = parse_comparison(read_all(folder / "out/results.json"), "results.json");
  Figures figures;
  for (const ComparedCell& cell : c.cells)
    figures[c.measures[static_cast<size_t>(cell.measure)].name].push_back(cell.figure.value);
  return figures;
}

// The first questions of a task file that end in one of `endings`, `count` for each.
std::string questions(const std::string& file, const std::vector<std::string>& endings, int count) {
  std::istringstream lines(read_all(file));
  std::map<std::string, int> taken;
  std::string all;
  for (std::string line; std::getline(lines, line);)
    for (const std::string& ending : endings)
      if (line.ends_with(ending) && taken[ending]++ < count) all += line + "\n";
  return all;
}

// The tales and the dictionary are longer than the windows of 256 tokens that trained the models.
std::string tales() {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "The fox and the crow went to the wood. ";
  return text;
}

}  // namespace

TEST_CASE("a model with memory tokens writes over segments in two processes as in one") {
  const Store store;
  const Outcome whole = store.generate("fables-rmt", {"-p", tales(), "-n", "24"});
  CHECK(whole.status == 0);
  const Outcome first = store.generate("fables-rmt", {"--session", "s", "-p", tales(), "-n", "9"});
  const Outcome second = store.generate("fables-rmt", {"--session", "s", "-n", "15"});
  CHECK(first.out + second.out == whole.out);
  CHECK(store.inspect("s").at("position").integer() > 256);
}

TEST_CASE("what fables-rmt passes on from the segment before makes its loss smaller") {
  const Figures figures =
      compare({"fables-rmt/fables-rmt.safetensors", "fables/tokenizer.bin", "fables/held_out.txt",
               "[256, 512]", "[{loss: {tail: 256}}, {loss: {control: reset}}]"});
  const std::vector<double>&loss = figures.at("loss"), &reset = figures.at("loss/reset");
  REQUIRE(loss.size() == 2);
  CHECK(loss[0] == reset[0]);
  CHECK(loss[1] < reset[1]);
}

TEST_CASE("a dictionary of its own becomes easier for lexicon-rwkv the more of it was read") {
  const Figures figures =
      compare({"lexicon-rwkv/lexicon-rwkv.safetensors", "lexicon-rwkv/tokenizer.bin",
               "lexicon-rwkv/world.txt", "[128, 512, 2048]", "[{loss: {tail: 64}}]"});
  const std::vector<double>& loss = figures.at("loss");
  REQUIRE(loss.size() == 3);
  CHECK(loss[1] < loss[0] - 0.1);
  CHECK(loss[2] < loss[1]);
}

TEST_CASE("recall-rmt answers from memory tokens what it was told segments before") {
  const TemporaryFolder folder;
  write_all(folder / "tasks.jsonl", questions(kModels + "recall-rmt/tasks.jsonl",
                                              {"\"distance\": 1}", "\"distance\": 8}"}, 24));
  const Figures figures = compare(
      {"recall-rmt/recall-rmt.safetensors", "recall-rmt/tokenizer.bin", "fables/held_out.txt",
       "[1024]",
       "[{exact_match: {tasks: " + folder / "tasks.jsonl" + ", by: distance, samples: 24}}]"});
  const std::vector<double>& right = figures.at("exact_match");
  REQUIRE(right.size() == 2);
  CHECK(right[0] >= 0.5);
  CHECK(right[1] >= 0.3);
}
