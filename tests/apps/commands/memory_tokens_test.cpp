// SPDX-License-Identifier: Apache-2.0

// The shipped models with memory tokens: what they pass from segment to segment is the whole of
// their memory, it is worth something, and it outlives the process.
#include <doctest/doctest.h>

#include <map>
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

// A model, and a store for its sessions.
struct Store {
  TemporaryFolder folder;
  Words words = Words{"--set", "store.path=" + (folder / "store")} + kSettings;

  Outcome generate(const std::string& model, const Words& more) const {
    return run_perdure(Words{"generate", kModels + model} + words + more);
  }
  Json inspect(const std::string& name) const {
    return Json::parse(run_perdure(Words{"memory", "inspect", name, "--json"} + words).out, "out");
  }
  // The figures of `measures` on the tales that ship, by measure, in the order of the lengths.
  std::map<std::string, std::vector<double>> compare(const std::string& model,
                                                     const std::string& measures) const {
    write_all(folder / "compare.yaml",
              "model: {path: " + kModels + model + ", tokenizer: " + kModels +
                  "fables/tokenizer.bin}\nthreads: {backend: serial, count: 1}\ncompare:\n"
                  "  entries: {it: {}}\n  lengths: [256, 512]\n  measures: " +
                  measures + "\n  samples: 4\n  text: [" + kModels + "fables/held_out.txt]\n");
    const Outcome outcome =
        run_perdure({"compare", "-c", folder / "compare.yaml", "--out", folder / "out", "-q"});
    CHECK(outcome.status == 0);
    const Comparison c = parse_comparison(read_all(folder / "out/results.json"), "results.json");
    std::map<std::string, std::vector<double>> figures;
    for (const ComparedCell& cell : c.cells)
      figures[c.measures[static_cast<size_t>(cell.measure)].name].push_back(cell.figure.value);
    return figures;
  }
};

std::string tales(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "The fox and the crow went to the wood. ";
  return text;
}

}  // namespace

TEST_CASE("a model with memory tokens writes over segments in two processes as in one") {
  const Store store;
  const std::string text = tales(30);  // more than a segment of 256 tokens
  const Outcome whole = store.generate("fables-rmt", {"-p", text, "-n", "24"});
  CHECK(whole.status == 0);
  const Outcome first = store.generate("fables-rmt", {"--session", "s", "-p", text, "-n", "9"});
  const Outcome second = store.generate("fables-rmt", {"--session", "s", "-n", "15"});
  CHECK(first.out + second.out == whole.out);
  CHECK(store.inspect("s").at("position").integer() > 256);
}

TEST_CASE("what fables-rmt passes on from the segment before makes its loss smaller") {
  const Store store;
  const auto figures = store.compare("fables-rmt/fables-rmt.safetensors",
                                     "[{loss: {tail: 256}}, {loss: {control: reset}}]");
  const std::vector<double>& loss = figures.at("loss");
  const std::vector<double>& reset = figures.at("loss/reset");
  REQUIRE(loss.size() == 2);
  CHECK(loss[0] == reset[0]);
  CHECK(loss[1] < reset[1]);
}
