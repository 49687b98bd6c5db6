// SPDX-License-Identifier: Apache-2.0

// A recurrent model in the program: all that is said of sessions, memories and comparisons holds
// for it as for any other, and what it cannot be is refused in one sentence.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "core/base/json/json.hpp"
#include "core/base/json/json_write.hpp"
#include "core/eval/results.hpp"
#include "core/model/formats/safetensors.hpp"
#include "tests/apps/program.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const std::string kModels = PERDURE_SOURCE_DIR "/models/";
const std::string kRwkv = kModels + "fables-rwkv/fables-rwkv.safetensors";

Words set(const std::string& setting) { return {"--set", setting}; }

Words with_model(const std::string& path) {
  return set("model.path=" + path) +
         set("model.tokenizer=" + kModels + "fables-rwkv/tokenizer.bin") +
         set("threads={backend: serial, count: 1}") + set("sampling.temperature=0");
}

const Words kModel = with_model(kRwkv);

// A small tokenizer.json of the form of 20B_tokenizer.json, for 65 of 89 ids.
std::string neox_json() {
  std::string tokens = R"("<|endoftext|>": 0, "<|padding|>": 1)";
  int id = 2;
  const auto add = [&](const std::string& token) {
    tokens += ", \"" + token + "\": " + std::to_string(id++);
  };
  for (char c = 'a'; c <= 'z'; ++c) add({c});
  for (char c = 'A'; c <= 'Z'; ++c) add({c});
  for (const char* token : {".", "|", "<", ">", "\\u0120", "th", "the", "nd", "\\u0120e"})
    add(token);
  const std::string level = R"({"type": "ByteLevel", "add_prefix_space": false})";
  return R"({"added_tokens": [
      {"id": 0, "content": "<|endoftext|>", "special": true},
      {"id": 1, "content": "<|padding|>", "special": true},
      {"id": 63, "content": "   ", "special": false, "normalized": true},
      {"id": 64, "content": "  ", "special": false, "normalized": true}],
    "normalizer": {"type": "NFC"}, "pre_tokenizer": )" +
         level + ", \"post_processor\": " + level + ", \"decoder\": " + level +
         R"(, "model": {"type": "BPE", "vocab": {)" + tokens +
         R"(}, "merges": ["t h", "th e", "n d", "\u0120 e"]}})";
}

// A store, and what is written into it.
struct Store {
  TemporaryFolder folder;
  Words words = set("store.path=" + (folder / "store"));

  Outcome generate(const Words& more, const Words& model = kModel) const {
    return run_perdure(Words{"generate"} + model + words + more);
  }
  Outcome memory(const Words& more) const { return run_perdure(Words{"memory"} + more + words); }
  Json inspect(const std::string& name) const {
    return Json::parse(memory({"inspect", name, "--json"}).out, "out");
  }
  // A state file for the model. What all rows of a head have in common its norm takes away again,
  // so they differ: one of them is `value`, the others 0.
  std::string state(const std::string& name, float value, int64_t n_layers = 4) const {
    std::vector<SafetensorsWriter::Declared> declared;
    for (int64_t layer = 0; layer < n_layers; ++layer)
      declared.push_back(
          {"blocks." + std::to_string(layer) + ".att.time_state", "F32", {4, 32, 32}});
    std::vector<float> values(static_cast<size_t>(n_layers) * 4 * 32 * 32);
    for (size_t i = 0; i < values.size(); i += 32 * 32) std::fill_n(values.data() + i, 32, value);
    SafetensorsWriter writer(folder / name, declared);
    writer.write(std::as_bytes(std::span(values)));
    writer.close();
    return folder / name;
  }
};

bool is_one_sentence(const std::string& text) {
  return text.starts_with("perdure: ") && text.find('\n') == text.size() - 1;
}

}  // namespace

TEST_CASE("a recurrent model writes, and continues in another process as in one") {
  const Store store;
  const std::string prompt = "Once upon a time";
  const Outcome whole = store.generate({"-p", prompt, "-n", "24"});
  CHECK(whole.status == 0);
  CHECK(whole.out.starts_with(prompt));
  const Outcome first = store.generate({"--session", "s", "-p", prompt, "-n", "9"});
  const Outcome second = store.generate({"--session", "s", "-n", "15"});
  CHECK(first.out + second.out == whole.out);
}

TEST_CASE("the memory of a recurrent model has the same size after any text") {
  const Store store;
  std::string text;
  for (int i = 0; i < 300; ++i) text += "The fox and the crow. ";
  store.generate({"--session", "short", "-p", "The", "-n", "1"});
  store.generate({"--session", "long", "-p", text, "-n", "1"});
  const Json few = store.inspect("short"), many = store.inspect("long");
  CHECK(many.at("position").integer() > 1000);
  const auto sizes = [](const Json& memory) {
    std::vector<std::string> all;
    for (const Json& tensor : memory.at("tensors").list()) all.push_back(json_text(tensor));
    return all;
  };
  CHECK(sizes(few) == sizes(many));
}

TEST_CASE("memories of a recurrent model are listed, inspected and verified") {
  const Store store;
  store.generate({"--session", "s", "-p", "The", "-n", "1"});
  const Json list = Json::parse(store.memory({"list", "--json"}).out, "out");
  CHECK(list.list().size() == 1);
  CHECK(store.memory({"verify"}).out == "s generation 1: ok\n");
  const std::string text = store.memory({"inspect", "s"}).out;
  for (const char* part : {"blk.3.wkv", "blk.0.att_x", "strategy: rwkv version 1",
                           "rwkv.version: 7", "rwkv.group_norm_eps"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("a recurrent model chats, and remembers in another process") {
  const Store store;
  const auto say = [&](const std::string& line) {
    return run_perdure(Words{"chat"} + kModel + store.words, {.input = line});
  };
  CHECK(say("Who was in the wood?\n").status == 0);
  const int64_t read = store.inspect("default").at("position").integer();
  const Outcome second = say("And then?\n");
  CHECK(second.status == 0);
  CHECK(second.err.find("session 'default' continues at token " + std::to_string(read)) !=
        std::string::npos);
  CHECK(store.inspect("default").at("position").integer() > read);
}

TEST_CASE("a recurrent model and its twins with attention stand in one table") {
  const Store store;
  write_all(store.folder / "compare.yaml", "model: {path: " + kModels +
                                               "fables/fables.bin, tokenizer: " + kModels +
                                               "fables/tokenizer.bin}\n" +
                                               R"(threads: {backend: serial, count: 1}
compare:
  entries:
    plain: {attention: {strategy: full}}
    rwkv: {model: {path: )" + kRwkv + R"(}, attention: {strategy: rwkv}}
    tuned: {model: {path: )" + kRwkv + ", initial_state: " +
                                               store.state("s.safetensors", 20.0f) +
                                               R"(}, attention: {strategy: rwkv}}
  baseline: plain
  lengths: [16, 64]
  measures: [{loss: {tail: 8}}, ram]
  samples: 4
  text: [)" + kModels + "fables/held_out.txt]\n");
  const Outcome outcome = run_perdure(
      {"compare", "-c", store.folder / "compare.yaml", "--out", store.folder / "out", "-q"});
  CHECK(outcome.status == 0);
  const Comparison c =
      parse_comparison(read_all(store.folder / "out/results.json"), "results.json");
  REQUIRE(c.entries.size() == 3);
  CHECK(!c.entries[0].constant_memory);
  CHECK(c.entries[1].constant_memory);
  CHECK(c.entries[1].weights_hash == c.entries[2].weights_hash);
  std::map<std::pair<int64_t, std::string>, std::vector<double>> means;
  const auto add_means_of = [&](const Comparison& results) {
    for (const ComparedCell& cell : results.cells) {
      CHECK(cell.state == ComparedCell::State::kDone);
      means[{cell.entry, results.measures[static_cast<size_t>(cell.measure)].name}].push_back(
          cell.figure.value);
    }
  };
  add_means_of(c);
  add_means_of(parse_comparison(read_all(store.folder / "out/measured.json"), "measured.json"));
  const auto& state_bytes = means[{1, "state_bytes"}];
  REQUIRE(state_bytes.size() == 2);
  CHECK(state_bytes[0] == state_bytes[1]);
  CHECK(means[{0, "state_bytes"}][0] < means[{0, "state_bytes"}][1]);
  CHECK(means[{1, "loss"}] != means[{2, "loss"}]);
}

TEST_CASE("a state file is what sessions begin with, and memories belong to it") {
  const Store store;
  const std::string one = store.state("one.safetensors", 20.0f);
  const std::string two = store.state("two.safetensors", -20.0f);
  const Words tuned = kModel + set("model.initial_state=" + one);
  const std::string plain = store.generate({"-p", "The", "-n", "8"}).out;
  const Outcome begun = store.generate({"--session", "s", "-p", "The", "-n", "4"}, tuned);
  CHECK(begun.status == 0);
  CHECK(begun.out != plain.substr(0, begun.out.size()));
  const std::string whole = store.generate({"-p", "The", "-n", "8"}, tuned).out;
  CHECK(begun.out + store.generate({"--session", "s", "-n", "4"}, tuned).out == whole);
  for (const Words& other : {kModel, kModel + set("model.initial_state=" + two)}) {
    const Outcome outcome = store.generate({"--session", "s", "-n", "1"}, other);
    CHECK(outcome.status == 1);
    CHECK(is_one_sentence(outcome.err));
    CHECK(outcome.err.find("initial state") != std::string::npos);
  }
  const Outcome config = run_perdure(Words{"config"} + tuned);
  CHECK(config.out.find("\n  initial_state: " + one + "\n") != std::string::npos);
}

TEST_CASE("a state file that does not fit is refused with its path") {
  const Store store;
  const auto refusal_with = [&](const std::string& path, const Words& model = kModel) {
    return store.generate({"-p", "x", "-n", "1"}, model + set("model.initial_state=" + path));
  };
  const std::string deep = store.state("deep.safetensors", 1.0f, 5);
  const Outcome deeper = refusal_with(deep);
  CHECK(deeper.status == 1);
  CHECK(deeper.err.starts_with("perdure: " + deep + ": the tensor 'blocks.4.att.time_state'"));
  CHECK(is_one_sentence(deeper.err));
  const Outcome llama = refusal_with(deep, with_model(kModels + "fables/fables.bin"));
  CHECK(llama.status == 2);
  CHECK(llama.err ==
        "perdure: model.initial_state is for RWKV models of versions 5 to 7; sessions of a 'llama' "
        "begin with nothing that a file could give\n");
}

TEST_CASE("a model of RWKV 4 reads and writes by a tokenizer.json of GPT-NeoX's form beside it") {
  const TemporaryFolder folder;
  const std::string model = folder / "model.safetensors";
  std::filesystem::copy_file(PERDURE_SOURCE_DIR "/tests/golden/rwkv/rand_v4/model.safetensors",
                             model);
  write_all(folder / "tokenizer.json", neox_json());
  const auto ids = [&](const std::string& text) {
    return run_perdure(Words{"tokenize", text} + set("model.path=" + model)).out;
  };
  CHECK(ids("the end") == "60 62 61\n");
  CHECK(ids("a   a") == "2 63 2\n");  // runs of spaces are tokens of their own
  CHECK(ids("<|endoftext|>") == "56 55 6 61 16 7 21 6 25 21 55 57\n");  // in a text it is text
  const auto generated = [&](const std::string& prompt) {
    return run_perdure(Words{"generate", model, "-p", prompt, "-n", "12", "--temp", "0"});
  };
  const Outcome outcome = generated("the end");
  CHECK(outcome.status == 0);
  CHECK(outcome.out.starts_with("the end"));
  CHECK(outcome.out.size() > 8);
  CHECK(generated("the end").out == outcome.out);
}

TEST_CASE("attention on a recurrent model and rwkv on a llama are refused in one sentence") {
  const Store store;
  for (const char* strategy :
       {"full", "sliding_window", "memory", "chunk_lstm", "microrwkv", "recurrent_memory"}) {
    CAPTURE(strategy);
    const Outcome outcome = store.generate(
        {"-p", "x", "-n", "1", "--set", "attention={strategy: " + std::string(strategy) + "}"});
    CHECK(outcome.status == 2);
    CHECK(is_one_sentence(outcome.err));
    MESSAGE(outcome.err);
  }
  const Outcome llama = store.generate({"-p", "x", "-n", "1", "--set", "attention.strategy=rwkv"},
                                       with_model(kModels + "fables/fables.bin"));
  CHECK(llama.status == 2);
  CHECK(llama.err ==
        "perdure: attention.strategy: rwkv needs an RWKV model, and this one is a 'llama', whose "
        "layers have no recurrence\n");
}
