// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/safetensors_model.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/weight_values.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

Model open_golden(const std::string& name) {
  return Model::open(golden("models/" + name + ".safetensors"));
}

// Names of layer `layer`'s weights, without their prefix.
std::string names_of_layer(const Model& model, int layer) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  std::string names;
  for (const auto& [name, weight] : model.weights())
    if (name.starts_with(prefix)) names += (names.empty() ? "" : " ") + name.substr(prefix.size());
  return names;
}

// A model, memS if none is named, with its options changed by text.
std::string refusal_with(const std::string& from, const std::string& to,
                         const std::string& model = "memS") {
  const Bytes weights = read_bytes(golden("models/" + model + ".safetensors"));
  std::string options(as_text(read_bytes(golden("models/" + model + ".json"))));
  const size_t at = options.find(from);
  REQUIRE(at != std::string::npos);
  options.replace(at, from.size(), to);
  return error_of([&] { read_safetensors_model(weights, options, "m.safetensors"); });
}

const std::string kPlain =
    "attn_k.weight attn_norm.weight attn_output.weight attn_q.weight attn_v.weight ffn_down.weight "
    "ffn_gate.weight "
    "ffn_norm.weight ffn_up.weight";

}  // namespace

TEST_CASE("options decide which weights of a layer are used") {
  CHECK(names_of_layer(open_golden("att"), 0) == kPlain);
  CHECK(names_of_layer(open_golden("pt_mem_plain"), 0) == kPlain + " mem_init");
  CHECK(names_of_layer(open_golden("pt_mem_wm"), 1) ==
        kPlain + " mem_init mem_norm.weight mem_wm.weight");
  CHECK(
      names_of_layer(open_golden("memS"), 1) ==
      kPlain +
          " mem_ffn_down.weight mem_ffn_gate.weight mem_ffn_norm.weight mem_ffn_up.weight mem_init "
          "mem_norm.weight");
  CHECK(contains(names_of_layer(open_golden("pt_mem_noreuse"), 0),
                 "mem_init mem_k.weight mem_norm.weight mem_v"));
  CHECK(names_of_layer(open_golden("pt_lstm"), 0) ==
        "attn_norm.weight attn_output.weight ffn_down.weight ffn_gate.weight ffn_norm.weight "
        "ffn_up.weight lstm_c "
        "lstm_h lstm_hf.weight lstm_hg.weight lstm_hi.weight lstm_ho.weight lstm_if.weight "
        "lstm_ig.weight "
        "lstm_ii.weight lstm_io.weight lstm_reduce");
}

TEST_CASE("an untrained initial memory that the file leaves out is zero, within bounds") {
  std::string weights(as_text(read_bytes(golden("models/memS.safetensors"))));
  for (size_t at = 0; (at = weights.find("origin_mem", at)) != std::string::npos;)
    weights.replace(at, 10, "other_name");
  std::string options(as_text(read_bytes(golden("models/memS.json"))));
  const auto replace = [&](const std::string& from, const std::string& to) {
    options.replace(options.find(from), from.size(), to);
  };
  const auto read = [&] {
    return read_safetensors_model(std::as_bytes(std::span(weights)), options, "m.safetensors");
  };
  CHECK(contains(error_of(read), "'layers.0.attention.origin_mem' is missing"));
  replace("\"train_orimem\": true", "\"train_orimem\": false");
  const Model model = read();
  const Weight* memory = model.find("blk.1.mem_init");
  REQUIRE(memory != nullptr);
  CHECK(memory->rows == 8);
  CHECK(weight_values(*memory) == std::vector<float>(8 * 32, 0.0f));
  replace("\"memseqlen\": 8", "\"memseqlen\": 900000000");
  CHECK(contains(error_of(read), "m.json: a memseqlen of 900000000 needs an origin_mem"));
}

TEST_CASE("in a hybrid only the layers that its options name have a memory") {
  const Model hybrid = open_golden("pt_hybrid_memlayer1");
  CHECK(names_of_layer(hybrid, 0) == kPlain);
  CHECK(hybrid.find("blk.1.mem_init") != nullptr);
  CHECK(hybrid.spec().llama2rnn_args.at("extend_method") == "memlayer1_interpolation");
}

TEST_CASE("sizes come from the options, which are kept word for word") {
  const Model model = open_golden("memS");
  const ModelInfo& info = model.spec().info;
  CHECK(model.spec().format == "safetensors");
  CHECK(info.hidden_size == 32);
  CHECK(info.num_hidden_layers == 2);
  CHECK(info.head_size == 16);
  CHECK(info.vocab_size == 40);
  CHECK(info.train_length == 32);
  CHECK(info.mem_len == 8);
  CHECK(info.rope_theta == 10000.0);
  CHECK(model.spec().llama2rnn_args.at("reuse_kv") == "true");
  CHECK(model.spec().llama2rnn_args.at("memseqlen") == "8");
  CHECK(model.find("blk.1.mem_init")->rows == 8);
  CHECK(open_golden("att").spec().info.mem_len == 0);
  CHECK(open_golden("pt_lstm").find("blk.0.lstm_reduce")->columns == 8);
}

TEST_CASE("options that are absent have llama2Rnn's defaults") {
  const Model model = open_golden("big");
  CHECK(model.spec().info.train_length == 2048);
  CHECK(contains(refusal_with("\"hidden_dim\": 32,", ""), "[256, 32] is needed"));
  CHECK(contains(refusal_with("\"memseqlen\": 8,", ""), "[128, 32] is needed"));
}

TEST_CASE("a missing or misshapen tensor is named with its shapes") {
  CHECK(refusal_with("\"n_layers\": 2", "\"n_layers\": 3") ==
        "m.safetensors: the tensor 'layers.2.attention_norm.weight' is missing");
  CHECK(refusal_with("\"vocab_size\": 40", "\"vocab_size\": 41") ==
        "m.safetensors: the tensor 'tok_embeddings.weight' has the shape [40, 32] but [41, 32] is "
        "needed");
  CHECK(contains(refusal_with("\"memseqlen\": 8", "\"memseqlen\": 4"),
                 "'layers.0.attention.origin_mem' has the shape [1, 8, 32] but [4, 32] is needed"));
  CHECK(contains(refusal_with("\"reuse_kv\": true", "\"reuse_kv\": false"),
                 "'layers.0.attention.wkm.weight'"));
  CHECK(contains(refusal_with("\"n_heads\": 2", "\"n_heads\": 4", "att_concatpe"),
                 "[32, 48] but [32, 32] is needed"));
}

TEST_CASE("projections may take the cosines and sines of a place beside their input") {
  const Model model = open_golden("att_concatpe");
  CHECK(names_of_layer(model, 0) == kPlain);
  for (const char* name : {"blk.0.attn_q.weight", "blk.5.attn_k.weight", "blk.5.attn_v.weight"})
    CHECK(model.find(name)->columns == 32 + 16);
  CHECK(model.find("blk.0.attn_output.weight")->columns == 32);
}

TEST_CASE("options that are missing, ill-typed or contradict each other are named by key") {
  CHECK(refusal_with("\"dim\": 32,", "") == "m.json: the key 'args.dim' is missing");
  CHECK(contains(refusal_with("\"dim\": 32", "\"dim\": \"x\""),
                 "'args.dim' is x but must be an integer"));
  CHECK(contains(refusal_with("\"dim\": 32", "\"dim\": 0"), "'args.dim' is 0"));
  CHECK(contains(refusal_with("\"dim\": 32", "\"dim\": 99999999999"), "'args.dim' is 99999999999"));
  CHECK(contains(refusal_with("\"dim\": 32", "\"dim\": [32]"), "'args.dim' does not fit"));
  CHECK(
      contains(refusal_with("\"dim\": 32", "\"dim\": 32, \"dim\": 32"), "'args.dim' occurs twice"));
  CHECK(contains(refusal_with("\"n_heads\": 2", "\"n_heads\": 3"),
                 "'args.n_heads' does not divide dim"));
  CHECK(contains(refusal_with("\"n_heads\": 2", "\"n_heads\": 32"), "odd"));
  CHECK(contains(refusal_with("\"n_kv_heads\": 2", "\"n_kv_heads\": 4"),
                 "'args.n_kv_heads' does not divide"));
  CHECK(contains(refusal_with("\"n_layers\": 2", "\"n_layers\": 5000"),
                 "'args.n_layers' is more than 4096"));
  CHECK(contains(refusal_with("\"reuse_kv\": true", "\"reuse_kv\": 3"), "'args.reuse_kv' is 3"));
  CHECK(contains(refusal_with("\"memory_attention\"", "\"mamba\""),
                 "'args.attention_type' is 'mamba'"));
  CHECK(contains(refusal_with("\"extend_method\": \"\"", "\"theta\": -1"), "'args.theta' is -1"));
  CHECK(contains(refusal_with("\"args\"", "\"arguments\""),
                 "the key 'args' with the model's options is missing"));
  CHECK(contains(refusal_with("}", ""), "m.json: byte offset "));
}

TEST_CASE(
    "half precision weights stay as they are, norms become F32, an initial memory must be F32") {
  const testing::TemporaryFolder scratch;
  const SafetensorsFile source(golden("models/memS.safetensors"));
  const auto write_as_bf16 = [&](const std::string& keep_part) {
    std::vector<SafetensorsWriter::Declared> declared;
    for (const auto& [name, t] : source.tensors())
      declared.push_back({name, contains(name, keep_part) ? "F32" : "BF16", t.shape});
    SafetensorsWriter writer(scratch / "m.safetensors", declared);
    for (const auto& [name, t] : source.tensors()) {
      if (contains(name, keep_part)) {
        writer.write(t.bytes);
        continue;
      }
      for (size_t i = 2; i < t.bytes.size(); i += 4)
        writer.write(t.bytes.subspan(i, 2));  // the upper halves
    }
    writer.close();
    write_text(scratch / "m.json", as_text(read_bytes(golden("models/memS.json"))));
  };
  write_as_bf16("origin_mem");
  const Model model = Model::open(scratch / "m.safetensors"), exact = open_golden("memS");
  CHECK(model.find("blk.0.attn_q.weight")->dtype == PERDURE_BF16);
  CHECK(model.find("blk.0.mem_norm.weight")->dtype == PERDURE_F32);
  for (const auto& [name, weight] : model.weights()) {
    const std::vector<float> values = weight_values(weight),
                             expected = weight_values(*exact.find(name));
    for (size_t i = 0; i < values.size(); ++i)
      REQUIRE(std::fabs(values[i] - expected[i]) <= std::fabs(expected[i]) / 128);
  }
  write_as_bf16("nothing");
  CHECK(contains(error_of([&] { Model::open(scratch / "m.safetensors"); }),
                 "origin_mem' is an initial state"));
}

TEST_CASE("the options beside a safetensors model must be there and small") {
  const testing::TemporaryFolder scratch;
  write_text(scratch / "m.safetensors", as_text(read_bytes(golden("models/memS.safetensors"))));
  CHECK(contains(error_of([&] { Model::open(scratch / "m.safetensors"); }), "m.json"));
  write_text(scratch / "m.json", std::string(size_t{2} << 20, ' '));
  CHECK(contains(error_of([&] { Model::open(scratch / "m.safetensors"); }),
                 "m.json: byte offset 262144"));
}
