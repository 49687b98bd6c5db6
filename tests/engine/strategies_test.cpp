// SPDX-License-Identifier: Apache-2.0

// What a model is run by where the user says nothing: as it was trained.
#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/engine/engine_impl.hpp"
#include "core/model/templates/chat_template.hpp"
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

// A key of GGUF's metadata: a text, or an F32.
std::string gguf_text_key(const std::string& name, const std::string& value) {
  const auto text = [](const std::string& t) {
    const uint64_t size = t.size();
    return std::string(reinterpret_cast<const char*>(&size), sizeof size) + t;
  };
  return text(name) + std::string("\x08\0\0\0", 4) + text(value);
}
std::string gguf_real_key(const std::string& name, float value) {
  return gguf_text_key(name, "").substr(0, 8 + name.size()) + std::string("\x06\0\0\0", 4) +
         std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

const std::string& golden_gguf() {
  static const std::string path =
      std::string(PERDURE_SOURCE_DIR) + "/tests/golden/gguf/small-F32.gguf";
  return path;
}

// The golden GGUF model with its rotation scaled in two keys more. The data stays aligned.
std::string scaled_copy(const TemporaryFolder& folder) {
  std::stringstream file;
  file << std::ifstream(golden_gguf(), std::ios::binary).rdbuf();
  std::string bytes = file.str();
  std::string keys = gguf_text_key("llama.rope.scaling.type", "linear") +
                     gguf_real_key("llama.rope.scaling.factor", 4.0f);
  const size_t unit = 32, padding = unit + unit - (keys.size() + 20 + 3) % unit;
  keys += gguf_text_key("pad", std::string(padding, ' '));
  bytes[16] = static_cast<char>(bytes[16] + 3);  // the number of keys
  bytes.insert(24, keys);
  const std::string copy = folder / "scaled.gguf";
  std::ofstream(copy, std::ios::binary) << bytes;
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

TEST_CASE("a model's scaling of the rotation acts with its parameters, or gives way with them") {
  const TemporaryFolder folder;
  const std::string scaled = "model.path=" + scaled_copy(folder);
  const auto with = [](const std::string& path, const std::string& attention) {
    return logits("llama.v0.bin", {path, "attention=" + attention});
  };
  const auto plain = [&](const std::string& attention) {
    return with("model.path=" + golden_gguf(), attention);
  };
  CHECK(with(scaled, "{strategy: full}") ==
        plain("{strategy: full, rope_scaling: linear, factor: 4}"));
  CHECK(with(scaled, "{strategy: full, factor: 2}") ==
        plain("{strategy: full, rope_scaling: linear, factor: 2}"));
  CHECK(with(scaled, "{strategy: full, rope_scaling: linear}") == with(scaled, "{strategy: full}"));
  CHECK(with(scaled, "{strategy: full, rope_scaling: none}") == plain("{strategy: full}"));
}

TEST_CASE("options that change no number are no part of a memory's identity") {
  const auto identity = [](const std::vector<std::string>& overrides) {
    return Engine(golden_settings("llama.v0.bin", overrides), linked_plugins()).identity();
  };
  const std::string plain = identity({});
  CHECK(identity({"attention.eval_length=100"}) == plain);
  CHECK(identity({"attention.max_length=1000"}) == plain);
  CHECK(identity({"attention={strategy: full, factor: auto, distances: exact, near: -1}"}) ==
        plain);
  // Options that older memories do not know leave no line where they do nothing.
  CHECK(plain.find("beta_fast") == std::string::npos);
  CHECK(plain.find("distances") == std::string::npos);
  CHECK(identity({"attention.distances=clamped"}).find("distances: clamped") != std::string::npos);
  CHECK(identity({"attention={rope_scaling: linear, eval_length: 100}"}) !=
        identity({"attention={rope_scaling: linear, eval_length: 200}"}));
}

TEST_CASE("a model trained with places beside its input is run so, and no other") {
  CHECK_THROWS_WITH_AS(logits("llama.v0.bin", {"attention.concat_pe=true"}),
                       doctest::Contains("attention.concat_pe needs a model"), UsageError);
  CHECK_THROWS_WITH_AS(logits("att_concatpe.safetensors", {}),
                       doctest::Contains("set attention.concat_pe: true"), UsageError);
  CHECK(logits("att_concatpe.safetensors", {"attention.concat_pe=true"}).size() == 30 * 16);
}

TEST_CASE("tables of rotations do not count as weights that a token reads") {
  const auto bytes = [](const char* attention) {
    return Engine(golden_settings("llama.v0.bin", {std::string("attention=") + attention}),
                  linked_plugins())
        .weight_bytes_per_token();
  };
  CHECK(bytes("{rope_scaling: dynamic}") == bytes("{}"));
  CHECK(bytes("{positions: reindexed, strategy: sliding_window}") == bytes("{}"));
}

TEST_CASE("the identity states the type of all states, or of each where they differ") {
  const StateSpec k{.name = "k", .columns = 32, .rows = 1},
      v{.name = "v", .columns = 32, .rows = 1};
  StateSpec halved = k;
  halved.type = PERDURE_Q8_0;
  CHECK(types_text({}) == "f32");
  CHECK(types_text(std::array{k, v}) == "f32");
  CHECK(types_text(std::array{halved}) == "q8_0");
  CHECK(types_text(std::array{halved, v}) == "k q8_0, v f32");
}

TEST_CASE("chat.template takes every template that there is, and no other") {
  std::string all;
  for (const std::string_view name : chat_template_names()) {
    CHECK(load_settings("", {"chat.template=" + std::string(name)}).chat.chat_template == name);
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  CHECK_THROWS_WITH_AS(load_settings("", {"chat.template=nobodys"}), doctest::Contains(all.c_str()),
                       UsageError);
}
