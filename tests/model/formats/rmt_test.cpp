// SPDX-License-Identifier: Apache-2.0

// A llama with memory in safetensors: what is read, and what is refused by name.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "core/model/formats/rmt_safetensors.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/weight_values.hpp"
#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using namespace perdure::testing;

namespace {

const std::string kModel =
    std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rmt/hf_wrapper_llama/model.safetensors";
const std::string kConfig =
    R"("hidden_size": 40, "intermediate_size": 56, "num_hidden_layers": 3, "vocab_size": 61,
       "num_attention_heads": 5, "max_position_embeddings": 64, "rms_norm_eps": 1e-05)";
const std::string kRmt = R"("rmt": {"num_mem_tokens": 3, "segment_size": 6})";

Shapes golden_shapes() { return shapes_of(kModel); }

// Of one layer, under llama2.c's names.
Shapes llama2c_shapes() {
  Shapes shapes{{"memory_cell.memory", {2, 8}}};
  const std::string model = "memory_cell.model.", layer = model + "layers.0.";
  shapes[model + "tok_embeddings.weight"] = {11, 8};
  shapes[model + "norm.weight"] = shapes[layer + "attention_norm.weight"] =
      shapes[layer + "ffn_norm.weight"] = {8};
  for (const std::string name : {"wq", "wk", "wv", "wo"})
    shapes[layer + "attention." + name + ".weight"] = {8, 8};
  shapes[layer + "feed_forward.w1.weight"] = shapes[layer + "feed_forward.w3.weight"] = {12, 8};
  shapes[layer + "feed_forward.w2.weight"] = {8, 12};
  return shapes;
}

// The sentence with which a file of zeros of these shapes is refused, `json` being in the file of
// that name beside it.
std::string refusal(const Shapes& shapes, const std::string& json,
                    const char* json_name = "config.json") {
  const TemporaryFolder folder;
  write_zeros(folder / "model.safetensors", shapes);
  std::ofstream(folder / json_name) << json;
  return error_of([&] { Model::open(folder / "model.safetensors"); });
}

std::string object(const std::string& members) { return "{" + members + "}"; }

}  // namespace

TEST_CASE("a llama with memory under Hugging Face's names is read with its memory") {
  const Model model = Model::open(kModel);
  const ModelInfo& info = model.spec().info;
  CHECK(model.spec().architecture == "llama");
  CHECK(info.rotation_order == RotationOrder::kHalves);
  CHECK(info.size("rmt.num_mem_tokens") == 3);
  CHECK(info.size("rmt.segment_size") == 6);
  const SafetensorsFile file(kModel);
  const Weight* memory = model.find("recurrent_memory");
  REQUIRE(memory != nullptr);
  const auto values = weight_values(*memory);
  const auto bytes = std::as_bytes(std::span(values));
  CHECK(std::ranges::equal(bytes, file.find("memory_cell.memory")->bytes));
  CHECK(model.find("blk.2.ffn_down.weight")->columns == 56);
  CHECK(refusal(golden_shapes(), object(kConfig + "," + kRmt)).empty());
}

TEST_CASE("a llama with memory under llama2.c's names is read by the options beside it") {
  const std::string args =
      R"("args": {"dim": 8, "hidden_dim": 12, "n_layers": 1, "n_heads": 2, "vocab_size": 11,
                  "max_seq_len": 6})";
  CHECK(refusal(llama2c_shapes(), object(args + "," + kRmt), "model.json").empty());
  CHECK(contains(refusal(llama2c_shapes(), object(args), "model.json"), "rmt.segment_size"));
  CHECK(contains(refusal(llama2c_shapes(), object(kRmt), "model.json"), "'args'"));
}

TEST_CASE("a memory alone goes with the llama that its options name") {
  const std::string llama =
      std::string(PERDURE_SOURCE_DIR) + "/tests/golden/llama2rnn/models/llama.v0.bin";
  const Shapes memory{{"memory_cell.memory", {2, 64}}};
  const auto options = [](const std::string& model) {
    return R"({"rmt": {"segment_size": 5, "model": ")" + model + R"("}})";
  };
  const TemporaryFolder folder;
  write_zeros(folder / "memory.safetensors", memory);
  std::ofstream(folder / "memory.json") << options(llama);
  const Model model = Model::open(folder / "memory.safetensors");
  CHECK(model.spec().info.size("rmt.num_mem_tokens") == 2);
  CHECK(model.spec().info.size("rmt.segment_size") == 5);
  CHECK(model.find("recurrent_memory")->columns == 64);
  CHECK(model.find("blk.1.ffn_down.weight") != nullptr);
  CHECK(model.files().size() == 2);
  CHECK(model.weights_hash() != Model::open(llama).weights_hash());

  const auto refused = [](const Shapes& shapes, const std::string& json, const char* why) {
    CHECK(contains(refusal(shapes, json, "model.json"), why));
  };
  refused({{"memory_cell.memory", {2, 63}}}, options(llama), "rows of 64 values");
  refused(memory, R"({"rmt": {"segment_size": 5}})", "'rmt.model'");
  refused(memory, options("model.safetensors"), "a memory of its own");
  refused(memory, options("nowhere.bin"), "nowhere.bin");
  refused({{"memory_cell.memory", {2, 64}}, {"memory_cell.other", {1}}}, options(llama),
          "file of its own");
}

TEST_CASE(
    "a llama with memory that lacks a tensor, or has one of another shape, is refused by it") {
  const Shapes all = golden_shapes();
  for (const auto& [name, shape] : all) {
    CAPTURE(name);
    Shapes some = all;
    if (name != "memory_cell.memory" && !contains(name, "lm_head")) {
      some.erase(name);
      CHECK(contains(refusal(some, object(kConfig + "," + kRmt)), name));
    }
    some[name] = {shape[0], shape.back() + 1};
    CHECK(contains(refusal(some, object(kConfig + "," + kRmt)), name));
  }
}

TEST_CASE("a llama with memory and something that would be left out is refused") {
  Shapes shapes = golden_shapes();
  shapes["memory_cell.model.model.layers.0.self_attn.q_norm.weight"] = {8};
  CHECK(contains(refusal(shapes, object(kConfig + "," + kRmt)), "q_norm"));
  for (const std::string name :
       {"output.bias", "lm_head.bias", "memory_cell.other", "model.norm.bias",
        "memory_cell.model.output.bias", "memory_cell.model.blk.0.attn_q.bias"}) {
    CAPTURE(name);
    shapes = golden_shapes();
    shapes[name] = {name.ends_with("q.bias") ? 40 : 61};
    CHECK(contains(refusal(shapes, object(kConfig + "," + kRmt)), "'" + name + "'"));
  }
  for (const std::string key :
       {R"("rope_scaling": {"factor": 2})", R"("hidden_act": "gelu")", R"("model_type": "gpt2")"}) {
    const std::string why = refusal(golden_shapes(), object(kConfig + "," + kRmt + "," + key));
    CHECK(contains(why, key.substr(1, key.find('"', 1) - 1)));
  }
}

TEST_CASE("a segment or a memory that is too long for any model is refused") {
  for (const std::string size : {"0", "16777217", "9223372036854775807", "6.5", "null"}) {
    CAPTURE(size);
    const std::string why =
        refusal(golden_shapes(), object(kConfig + R"(, "rmt": {"segment_size": )" + size + "}"));
    CHECK(contains(why, "config.json: the key 'rmt.segment_size' "));
    CHECK(contains(why, "1 to 16777216"));
  }
  CHECK(contains(refusal(golden_shapes(), object(kConfig + R"(, "rmt": 7)")),
                 "config.json: the key 'rmt.segment_size' is missing"));
  const SafetensorsFile file(kModel);
  SafetensorsMap tensors = file.tensors();
  tensors["memory_cell.memory"].shape = {(1 << 24) + 1, 40};
  const std::string why = error_of([&] { read_rmt_safetensors(tensors, kModel); });
  CHECK(contains(why, std::string("'memory_cell.memory' has the shape [16777217, 40]")));
}

TEST_CASE("keys of config.json that transformers gives no meaning do not change the model") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kModel, folder / "model.safetensors");
  std::ofstream(folder / "config.json")
      << object(kConfig + "," + kRmt + R"(, "memory_length": 5, "padded_vocab_size": 64,
                "score_scale": 2.0, "attn_logit_softcapping": 3.0, "rotary_dim": 2,
                "value_head_dim": 4)");
  const ModelInfo info = Model::open(folder / "model.safetensors").spec().info;
  const ModelInfo same = Model::open(kModel).spec().info;
  CHECK(info.mem_len == same.mem_len);
  CHECK(info.classifier_rows() == 61);
  CHECK(info.scale_of_scores() == same.scale_of_scores());
  CHECK(info.score_soft_cap == same.score_soft_cap);
  CHECK(info.rotated_size() == 8);
  CHECK(info.size_of_values() == 8);
}
