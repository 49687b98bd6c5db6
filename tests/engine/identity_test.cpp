// SPDX-License-Identifier: Apache-2.0

// Which engines a saved session belongs to: those that compute the same, however it is written.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/engine/snapshot.hpp"
#include "tests/engine/saved_sessions.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

std::string tokenizer_setting() { return "model.tokenizer=" + golden_model("tok_96.bin"); }

// The reason why `engine` refuses a memory of memA with default options; empty if it does not.
std::string refusal_of_default_memory(Engine& engine) {
  Engine home = make_engine({tokenizer_setting()});
  const Bytes memory = advanced(home, kSavedAt).snapshot();
  Session session = engine.new_session();
  return refusal(session, memory);
}

std::string copy_of(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to);
  return to;
}

}  // namespace

TEST_CASE(
    "a memory is refused by whatever computes other numbers, and the sentence names the "
    "difference") {
  struct Candidate {
    Overrides overrides;
    const char* named;
    const char* model = kModel;
  };
  const Candidate candidates[] = {
      {{"attention.strategy=full"}, "strategy"},
      {{"attention={strategy: memory, update: never}"}, "update"},
      {{"attention={strategy: memory, update: token}"}, "update"},
      {{"attention={strategy: memory, mem_len: 4, initial: zero}"}, "mem_len"},
      {{"attention={strategy: memory, initial: zero}"}, "initial"},
      {{"attention={strategy: memory, layers: {'1': {strategy: full}}}"}, "layers"},
      {{"attention.strategy=memory"}, "weights", "memA.safetensors"},
  };
  for (const Candidate& candidate : candidates) {
    CAPTURE(candidate.overrides[0]);
    Overrides overrides = candidate.overrides;
    overrides.push_back(tokenizer_setting());
    Engine engine = make_engine(overrides, candidate.model);
    const std::string message = refusal_of_default_memory(engine);
    CHECK(message.find("another model or configuration") != std::string::npos);
    CHECK(message.find(candidate.named) != std::string::npos);
  }
}

TEST_CASE("a memory is refused by a model that differs in a single weight") {
  Model model = Model::open(golden_model(kModel));
  const Weight& norm = *model.find("output_norm.weight");
  std::vector<float> values(static_cast<size_t>(norm.size()));
  std::memcpy(values.data(), norm.data, values.size() * sizeof(float));
  values.back() = std::nextafter(values.back(), 10.0f);
  model.replace("output_norm.weight", norm.rows, norm.columns, values);
  Engine engine(golden_settings(kModel, {tokenizer_setting()}), linked_plugins(), std::move(model));
  CHECK(refusal_of_default_memory(engine).find("weights") != std::string::npos);
}

TEST_CASE(
    "a memory is refused by a model whose weights are equal but are read with other head sizes") {
  const TemporaryFolder folder;
  copy_of(golden_model("memA.safetensors"), folder / "memA.safetensors");
  std::ifstream original(golden_model("memA.json"));
  std::string json((std::istreambuf_iterator<char>(original)), std::istreambuf_iterator<char>());
  for (const char* key : {"\"n_heads\": 4", "\"n_kv_heads\": 4"}) {
    const size_t at = json.find(key);
    REQUIRE(at != std::string::npos);
    json[at + std::strlen(key) - 1] = '2';
  }
  std::ofstream(folder / "memA.json") << json;
  Engine four = make_engine({}, "memA.safetensors");
  Engine two = make_engine({"model.path=" + folder / "memA.safetensors"});
  Session session = two.new_session();
  CHECK(refusal(session, advanced(four, kSavedAt).snapshot()).find("heads") != std::string::npos);
}

TEST_CASE("a memory is refused beside another tokenizer") {
  const TemporaryFolder folder;
  const std::string other = copy_of(golden_model("tok_96.bin"), folder / "tok.bin");
  std::fstream(other, std::ios::in | std::ios::out | std::ios::binary).seekp(4).put('\x01');
  for (const std::string& setting : {std::string("model.tokenizer="), "model.tokenizer=" + other}) {
    Engine engine = make_engine({setting});
    CHECK(refusal_of_default_memory(engine).find("tokenizer") != std::string::npos);
  }
}

TEST_CASE("threads, kernels, paths, step sizes and sampling do not keep a memory out") {
  const TemporaryFolder folder;
  const std::string moved = copy_of(golden_model(kModel), folder / "moved.bin");
  const Overrides candidates[] = {{"threads.backend=tbb", "threads.count=2"},
                                  {"kernels.prefer=[simd]"},
                                  {"kernels.activations=f32"},
                                  {"model.path=" + moved},
                                  {"step.max_rows=3"},
                                  {"sampling.temperature=0.1"},
                                  {"store.session=other"},
                                  {"chat.system=Be brief."}};
  for (Overrides overrides : candidates) {
    CAPTURE(overrides[0]);
    overrides.push_back(tokenizer_setting());
    Engine engine = make_engine(overrides);
    CHECK(refusal_of_default_memory(engine) == "");
  }
}

TEST_CASE("a session fits any wording of the same configuration, and continues bit for bit") {
  struct Candidate {
    const char* one;
    const char* other;
  };
  // memA was trained at 64 tokens with 8 rows of memory.
  const Candidate candidates[] = {
      {"{strategy: memory}", "{strategy: memory, mem_len: 8}"},
      {"{strategy: memory}", "{strategy: memory, rope_theta: 10000}"},
      {"{strategy: memory, mem_len: 8}", "{strategy: memory, rope_theta: 10000, train_length: 64}"},
      {"{strategy: memory}", "{strategy: memory, train_length: 65}"},  // acts on nothing here
      {"{strategy: memory, ema: 0.5}", "{strategy: memory, ema: 0.5, ema_every: 8}"},
      {"{strategy: full, log_n: true}", "{strategy: full, log_n: true, train_length: 64}"},
      {"{strategy: full, rope_scaling: linear, factor: 2}",
       "{strategy: full, rope_scaling: linear, eval_length: 128}"},
      {"{strategy: full, rope_scaling: yarn, factor: 4}",
       "{strategy: full, rope_scaling: yarn, factor: 4, beta_fast: 32, mscale: 1}"},
      {"{strategy: memory, layers: {'1': {strategy: full}}}",
       "{strategy: memory, mem_len: 8, layers: {'1': {strategy: full, rope_theta: 1e4}}}"},
  };
  for (const Candidate& candidate : candidates) {
    CAPTURE(candidate.other);
    Engine one = make_engine({std::string("attention=") + candidate.one});
    Engine other = make_engine({std::string("attention=") + candidate.other});
    CHECK(one.identity() != other.identity());
    const auto tokens = random_tokens(30, one.spec().info.vocab_size, 7);
    for (auto [from, to] : {std::pair(&one, &other), std::pair(&other, &one)}) {
      Session home = advanced(*from, kSavedAt);
      Session session = to->new_session();
      CHECK(refusal(session, home.snapshot()) == "");
      CHECK(all_logits(*to, session, tokens) == all_logits(*from, home, tokens));
    }
  }
}

TEST_CASE("a memory is refused where an option gives other numbers, however near") {
  const char* const others[] = {
      "{strategy: full, rope_scaling: linear, factor: 2.0000002}",
      "{strategy: full, rope_scaling: linear, eval_length: 129}",
      "{strategy: full, rope_scaling: ntk, factor: 2}",
      "{strategy: full, rope_scaling: linear, factor: 2, rope_theta: 10001}",
      "{strategy: full, rope_scaling: linear, factor: 2, key_norm: true}",
      "{strategy: full, rope_scaling: linear, factor: 2, log_n: true}",
      "{strategy: full, rope_scaling: linear, factor: 2, window: 40}",
      "{strategy: sliding_window, rope_scaling: linear, factor: 2, window: 40}",
  };
  Engine home = make_engine({"attention={strategy: full, rope_scaling: linear, factor: 2}"});
  const Bytes memory = advanced(home, kSavedAt).snapshot();
  for (const char* words : others) {
    CAPTURE(words);
    Engine engine = make_engine({std::string("attention=") + words});
    Session session = engine.new_session();
    CHECK(refusal(session, memory).find("another model or configuration") != std::string::npos);
  }
}

TEST_CASE("an identity that no configuration has is refused, whatever it says") {
  Engine engine = make_engine();
  Session session = engine.new_session();
  const SnapshotContents good = decode_snapshot(advanced(engine, kSavedAt).snapshot());
  const std::string& own = good.identity;
  const size_t group = own.find("layers ");
  const std::string layers = own.substr(group, own.find(" strategy") - group);  // "layers 0,1"
  const auto with = [&](const std::string& from, const std::string& to) {
    SnapshotContents contents = good;
    const size_t at = own.find(from);
    REQUIRE(at != std::string::npos);
    contents.identity.replace(at, from.size(), to);
    return refusal(session, encode_snapshot(contents));
  };
  const std::string refused = "another model or configuration";
  for (const char* value : {"8", "0"})
    CHECK(with(" mem_len: 0", " mem_len: " + std::string(value)) == "");
  for (const char* value : {"-8", "9", "8 ", "x", "", "99999999999999999999", "8\n\n", "8: 8"})
    CHECK(with(" mem_len: 0", " mem_len: " + std::string(value)).find(refused) !=
          std::string::npos);
  const std::string lines[] = {"layers ",
                               "layers",
                               layers,
                               layers + " ",
                               layers + " x",
                               ": ",
                               layers + " strategy: memory version 1",
                               layers + " nothing: 1",
                               "layers 0 mem_len: 0",
                               "layers 7 strategy: full version 1"};
  for (const std::string& line : lines) {
    CAPTURE(line);
    for (const std::string& before :
         {layers + " strategy", layers + " mem_len", std::string("state: f32")})
      CHECK(with(before, line + "\n" + before).find(refused) != std::string::npos);
  }
  CHECK(with("memory version 1", "memory version 2").find(refused) != std::string::npos);
  CHECK(with("memory version 1", "full version 1").find(refused) != std::string::npos);
}

TEST_CASE("the identity of a llama2Rnn model is the one that stands in memories of the first day") {
  Engine engine(golden_settings(kModel), linked_plugins());
  std::string lines = engine.identity();
  lines = lines.substr(0, lines.find("layers "));
  CHECK(lines ==
        "weights: 29fe295a394da607b60fbfe31b3a5770"
        "\narchitecture: llama\nheads: 4\nkey-value heads: 4\nrope theta: 10000\n"
        "norm eps: 1.0000000000000001e-05\ntrain length: 64\ntokenizer: none\n");
}
