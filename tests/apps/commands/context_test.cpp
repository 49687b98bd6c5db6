// SPDX-License-Identifier: Apache-2.0

// Contexts in generate, chat and logits: from files, from standard input, from a configuration, and
// what a session keeps of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "core/model/formats/safetensors.hpp"
#include "tests/apps/program.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const std::string kGolden = PERDURE_SOURCE_DIR "/tests/golden/cepe/";
const std::string kTokenizer = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/tok_320.bin";

// A model like the golden one `cepe_base`, of random weights, for a tokenizer of 320 pieces.
class ContextModel {
 public:
  explicit ContextModel(const std::string& encode_mode = "context_only") {
    std::string config = read_all(kGolden + "cepe_base/config.json");
    const auto replace = [&](const std::string& from, const std::string& to) {
      for (size_t at = config.find(from); at != config.npos; at = config.find(from, at + to.size()))
        config.replace(at, from.size(), to);
    };
    replace("\"vocab_size\": 61", "\"vocab_size\": 320");
    replace("context_only", encode_mode);
    write_all(folder_ / "config.json", config);
    write_weights();
    write_all(folder_ / "sun.txt", "the sun is in the sky and the sky is blue. one more thing");
    write_all(folder_ / "hen.txt", "a hen and a fox had a talk in the garden of the old king");
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  Words words() const {
    Words words;
    for (const std::string& setting :
         {"model.path=" + folder_.path().string(), "model.tokenizer=" + kTokenizer,
          "store.path=" + path("store"), std::string("kernels.prefer=[scalar]"),
          std::string("threads={backend: serial, count: 1}"), std::string("attention.chunk=7"),
          std::string("sampling.temperature=1")}) {
      words.push_back("--set");
      words.push_back(setting);
    }
    return words;
  }

 private:
  void write_weights() const {
    const SafetensorsFile golden(kGolden + "cepe_base/model.safetensors");
    std::vector<SafetensorsWriter::Declared> declared;
    for (const auto& [name, tensor] : golden.tensors()) {
      std::vector<int64_t> shape = tensor.shape;
      if (shape[0] == 61) shape[0] = 320;
      declared.push_back({name, "F32", shape});
    }
    SafetensorsWriter writer(path("model.safetensors"), declared);
    std::mt19937 random(7);
    for (const auto& tensor : declared) {
      size_t n = 1;
      for (const int64_t size : tensor.shape) n *= static_cast<size_t>(size);
      std::vector<float> values(n);
      for (float& value : values) value = static_cast<float>(random() % 2001) / 2000.0f - 0.5f;
      writer.write(std::as_bytes(std::span(values)));
    }
    writer.close();
  }

  TemporaryFolder folder_;
};

Outcome generate(const ContextModel& model, const Words& more, const std::string& input = "") {
  return run_perdure(Words{"generate", "-p", "the sun", "-n", "12"} + model.words() + more,
                     {.input = input});
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a context changes what is written, wherever it comes from") {
  const ContextModel model;
  const Outcome without = generate(model, {}),
                with = generate(model, {"--context", model.path("sun.txt")});
  CHECK(without.status == 0);
  CHECK(with.status == 0);
  CHECK(with.out != without.out);
  CHECK(contains(with.err, "chunks of contexts; the session has"));
  CHECK(generate(model, {"--context", "-"}, read_all(model.path("sun.txt"))).out == with.out);
  CHECK(generate(model, {"--set", "attention.contexts=[" + model.path("sun.txt") + "]"}).out ==
        with.out);
  const Outcome two =
      generate(model, {"--context", model.path("sun.txt"), "--context", model.path("hen.txt")});
  CHECK(two.status == 0);
  CHECK(two.out != with.out);
}

TEST_CASE("contexts that cannot be read are refused in one sentence") {
  const ContextModel model;
  const auto refused = [&](const Words& words, int status, const std::string& sentence) {
    const Outcome outcome = generate(model, words);
    CHECK(outcome.status == status);
    CHECK_MESSAGE(contains(outcome.err, sentence), outcome.err);
  };
  refused({"--set", "attention={strategy: full}", "--context", model.path("sun.txt")}, 2,
          "attention.strategy: full reads no contexts");
  refused({"--context", model.path("none.txt")}, 1, "none.txt");
  write_all(model.path("empty.txt"), "");
  refused({"--context", model.path("empty.txt")}, 1, "empty.txt is empty");
  refused({"--context", "-", "--context", "-"}, 2, "standard input, which can be read once");
  refused({"--set", "attention.max_contexts=8", "--context", model.path("sun.txt")}, 1,
          "more than a session can hold, which is 8 tokens");
  CHECK(run_perdure(Words{"generate", "-f", "-", "--context", "-"} + model.words()).status == 2);
  CHECK(run_perdure(Words{"chat", "--context", "-"} + model.words()).status == 2);
}

TEST_CASE("a stored session keeps its contexts and does not read a file twice") {
  const ContextModel model;
  const Words session = {"--session", "one"};
  const Outcome first = generate(model, session + Words{"--context", model.path("sun.txt")});
  CHECK(first.status == 0);
  const Outcome second = run_perdure(Words{"generate", "-p", " and", "-n", "6"} + model.words() +
                                     session + Words{"--context", model.path("sun.txt")});
  CHECK(second.status == 0);
  CHECK(contains(second.err, "the session has " + model.path("sun.txt") + " among its contexts"));
  const Outcome third = run_perdure(Words{"generate", "-p", " and", "-n", "6"} + model.words() +
                                    Words{"--session", "one", "--context", model.path("hen.txt")});
  CHECK(contains(third.err, "chunks of contexts"));
}

TEST_CASE("contexts are saved at intervals while they are read") {
  const ContextModel model;
  const auto generations = [&](const std::string& name, const Words& more) {
    const Outcome outcome = generate(model, Words{"--session", name, "--context",
                                                  model.path("sun.txt"), "--set", "store.keep=99"} +
                                                more);
    CHECK(outcome.status == 0);
    const Outcome log = run_perdure(Words{"memory", "log", name, "--json"} + model.words());
    return std::ranges::count(log.out, '{');
  };
  CHECK(generations("often", {"--set", "store.save_every_tokens=7"}) >=
        generations("once", {}) + 2);
}

TEST_CASE("a session with contexts is saved whenever it has read on, and only then") {
  const ContextModel model;
  const Words kept{"--session", "s", "--set", "store.keep=99", "--ignore-eos"};
  const auto generations = [&] {
    const Outcome log = run_perdure(Words{"memory", "log", "s", "--json"} + model.words());
    return std::ranges::count(log.out, '{');
  };
  REQUIRE(generate(model, kept + Words{"--context", model.path("sun.txt")}).status == 0);
  const auto before = generations();
  // As many tokens as the context has are among these.
  constexpr int kRuns = 40;
  for (int n = 1; n <= kRuns; ++n) {
    CAPTURE(n);
    CHECK(run_perdure(Words{"generate", "-p", "a", "-n", std::to_string(n)} + model.words() + kept)
              .status == 0);
    CHECK(generations() == before + n);
  }
  const Outcome opened =
      run_perdure(Words{"chat", "-q", "--session", "s"} + model.words(), {.input = "/quit\n"});
  CHECK(opened.status == 0);
  CHECK(generations() == before + kRuns);
}

TEST_CASE("a model that reads the text's first tokens behind contexts gets them from the prompt") {
  const ContextModel model("with_query_no_hid-3");
  const Outcome with = generate(model, {"--context", model.path("sun.txt")});
  CHECK(with.status == 0);
  CHECK(with.out != generate(model, {}).out);
  const Outcome without = run_perdure(Words{"generate", "-n", "3"} + model.words() +
                                      Words{"--context", model.path("sun.txt")});
  CHECK(without.status == 2);
  CHECK(contains(without.err, "the first 3 tokens of the text behind them"));
}

TEST_CASE("a chat takes contexts between turns and forgets chunks by their number") {
  const ContextModel model;
  const auto say = [&](const std::string& lines, const Words& more = {}) {
    return run_perdure(Words{"chat", "-n", "4"} + model.words() + more, {.input = lines});
  };
  const std::string add = "/context " + model.path("sun.txt") + "\n";
  const Outcome talk = say("hello\n" + add + "hello\n/memory\n/forget 0\n/forget 99\n/forget x\n" +
                           add + "/memory\n");
  CHECK(talk.status == 0);
  CHECK(contains(talk.out, "contexts: "));
  CHECK(contains(talk.err, "chunk 0 is out"));
  CHECK(contains(talk.err, "none with number 99"));
  CHECK(contains(talk.err, "which chunk? /forget N"));
  // What was forgotten, and nothing else, is read again.
  CHECK(contains(talk.err, "read 1 chunks of contexts"));
  // They are there when the chat goes on.
  const Outcome again = say("/memory\n", {"--context", model.path("sun.txt")});
  CHECK(contains(again.err, "among its contexts"));
  CHECK(contains(again.out, "contexts: "));
  const Outcome refused =
      say("", {"--set", "attention={strategy: full}", "--context", model.path("sun.txt")});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "attention.strategy: full reads no contexts"));
}

TEST_CASE("logits takes contexts as token ids, and an encoder's logits are of the whole text") {
  const TemporaryFolder folder;
  write_all(folder / "tokens", "30 55 31 23 10 52 24 7 10 28 54");
  write_all(folder / "context", "60 25 34 33 58 34 29 11 59 23 48 35 38 7 59 36 53 53 43 53 59");
  const auto logits = [&](const std::string& model, const Words& more) {
    const Outcome outcome =
        run_perdure(Words{"logits", "--tokens", folder / "tokens", "--out",
                          folder / "out.safetensors", "--force", "--set",
                          "model.path=" + kGolden + model, "--set", "kernels.prefer=[scalar]"} +
                    more);
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    const SafetensorsFile file(folder / "out.safetensors");
    const auto bytes = file.find("logits")->bytes;
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  };
  // The golden case's first text and contexts.
  const auto found =
      logits("cepe_base", {"--context", folder / "context", "--set", "attention.chunk=7"});
  const SafetensorsFile golden(kGolden + "cepe_base/io.safetensors");
  const auto bytes = golden.find("ctx.logits")->bytes;
  REQUIRE(found.size() * sizeof(float) * 2 == bytes.size());
  for (size_t i = 0; i < found.size(); ++i) {
    float expected = 0;
    std::memcpy(&expected, bytes.data() + i * sizeof expected, sizeof expected);
    REQUIRE(found[i] == doctest::Approx(expected).epsilon(1e-4));
  }
  const auto whole = logits("mlm_encoder", {});
  const auto tail = logits("mlm_encoder", {"--tail", "2"});
  CHECK(std::equal(tail.begin(), tail.end(), whole.end() - std::ssize(tail)));
  CHECK(run_perdure({"logits", "--tokens", folder / "tokens", "--window", "--out",
                     folder / "other.safetensors", "--set", "model.path=" + kGolden + "cepe_base"})
            .status == 2);
}

TEST_CASE("an ensemble of one passage writes what the passage and the prompt together do") {
  const TemporaryFolder folder;
  write_all(folder / "one.txt", "the sun is in the sky");
  write_all(folder / "two.txt", "a hen and a fox");
  const auto text = [&](const std::string& prompt, const std::string& setting,
                        const Words& more = {}) {
    return run_perdure(Words{"generate", "-p", prompt, "-n", "12", "--json", "--set",
                             "model.path=" PERDURE_SOURCE_DIR
                             "/tests/golden/llama2rnn/models/llama.v0.bin",
                             "--set", "model.tokenizer=" + kTokenizer, "--set",
                             "sampling.temperature=100", "--set", setting} +
                       more);
  };
  const auto written = [](const Outcome& outcome) {
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    const size_t at = outcome.out.find("\"text\":");
    return outcome.out.substr(at, outcome.out.find("\"stop\"", at) - at);
  };
  const std::string one = "ensemble.passages=" + folder / "one.txt";
  const std::string both =
      "ensemble.passages=[" + folder / "one.txt" + "," + folder / "two.txt" + "]";
  const std::string alone = written(text("the sun is in the sky and the hen", "step.max_rows=9"));
  CHECK(written(text(" and the hen", one)) == alone);
  CHECK(written(text(" and the hen", both)) != alone);
  CHECK(written(text(" and the hen", both, {"--set", "ensemble.scores=[1000,0]"})) == alone);
  const Outcome scores = text(" and the hen", both, {"--set", "ensemble.scores=[1]"});
  CHECK(scores.status == 2);
  CHECK(contains(scores.err, "an ensemble of 2 passages was given 1 scores"));
  CHECK(text("", one).status == 2);
  CHECK(text("x", one, {"--session", "s", "--set", "store.path=" + folder / "store"}).status == 2);
}
