// SPDX-License-Identifier: Apache-2.0

// What a model is run by where the user says nothing: as it was trained.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

std::vector<float> logits(const std::string& model, const std::vector<std::string>& overrides) {
  Engine engine(golden_settings(model, overrides), linked_plugins());
  Session session = engine.new_session();
  return all_logits(engine, session, random_tokens(30, engine.spec().info.vocab_size, 3));
}

// A golden model's file with `from` replaced by `to` in the JSON beside it.
std::string changed_copy(const TemporaryFolder& folder, const std::string& name,
                         const std::string& from, const std::string& to) {
  const std::string copy = folder / (name + ".safetensors");
  std::filesystem::copy_file(golden_model(name + ".safetensors"), copy);
  std::stringstream json;
  json << std::ifstream(golden_model(name + ".json")).rdbuf();
  std::string text = json.str();
  text.replace(text.find(from), from.size(), to);
  std::ofstream(folder / (name + ".json")) << text;
  return copy;
}

}  // namespace

TEST_CASE("a model with memory in some layers is run as a hybrid, and the dump says so") {
  const char* model = "pt_hybrid_memlayer1.safetensors";
  CHECK(logits(model, {}) ==
        logits(model, {"attention={strategy: memory, layers: {'0': {strategy: full}}}"}));
  Engine engine(golden_settings(model), linked_plugins());
  const std::string dump = dump_settings(engine.settings(), engine.strategy_options());
  CHECK(dump.find("strategy: memory") != std::string::npos);
  CHECK(dump.find("'0':\n      strategy: full") != std::string::npos);
}

TEST_CASE("models of one kind of layer are run by its strategy") {
  const auto strategy = [](const char* model) {
    const Engine engine(golden_settings(model), linked_plugins());
    CHECK(engine.settings().attention.layers.empty());
    return engine.settings().attention.choice.strategy;
  };
  CHECK(strategy("memA.q80.bin") == "memory");
  CHECK(strategy("llama.v0.bin") == "full");
  CHECK(strategy("pt_lstm.safetensors") == "chunk_lstm");
}

TEST_CASE("a model trained with key norms has them unless the user says otherwise") {
  const TemporaryFolder folder;
  const std::string path =
      changed_copy(folder, "pt_mem_plain", "\"args\": {", "\"args\": {\"key_norm\": true,");
  const auto with = [&](const std::string& option) {
    return logits("pt_mem_plain.safetensors",
                  {"model.path=" + path, "attention.strategy=memory", option});
  };
  CHECK(with("attention.train_length=0") == with("attention.key_norm=true"));
  CHECK(with("attention.train_length=0") != with("attention.key_norm=false"));
}
