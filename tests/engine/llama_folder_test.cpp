// SPDX-License-Identifier: Apache-2.0

// A Hugging Face folder made of the golden GGUF model: the other order of rotated rows, the same
// numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

std::string golden_gguf() {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/gguf/small-F32.gguf";
}

std::string huggingface_name(const std::string& name) {
  const std::pair<const char*, const char*> names[] = {
      {"token_embd", "model.embed_tokens"},
      {"output_norm", "model.norm"},
      {"blk.0.attn_norm", "model.layers.0.input_layernorm"},
      {"blk.0.ffn_norm", "model.layers.0.post_attention_layernorm"},
      {"blk.0.attn_q", "model.layers.0.self_attn.q_proj"},
      {"blk.0.attn_k", "model.layers.0.self_attn.k_proj"},
      {"blk.0.attn_v", "model.layers.0.self_attn.v_proj"},
      {"blk.0.attn_output", "model.layers.0.self_attn.o_proj"},
      {"blk.0.ffn_gate", "model.layers.0.mlp.gate_proj"},
      {"blk.0.ffn_up", "model.layers.0.mlp.up_proj"},
      {"blk.0.ffn_down", "model.layers.0.mlp.down_proj"}};
  for (const auto& [ours, theirs] : names)
    if (name == std::string(ours) + ".weight") return std::string(theirs) + ".weight";
  return name;
}

// Rows of queries and keys in the order in which halves of a head turn together.
std::vector<std::byte> data_of(const std::string& name, const Weight& weight, int64_t head_size) {
  const auto row_bytes = static_cast<size_t>(weight.columns) * 4;
  const auto* rows = static_cast<const std::byte*>(weight.data);
  std::vector<std::byte> data(row_bytes * static_cast<size_t>(weight.rows));
  const bool turns = name.ends_with("attn_q.weight") || name.ends_with("attn_k.weight");
  for (int64_t r = 0; r < weight.rows; ++r) {
    const int64_t in_head = r % head_size, half = head_size / 2;
    const int64_t from = turns ? r - in_head + 2 * (in_head % half) + in_head / half : r;
    std::memcpy(data.data() + static_cast<size_t>(r) * row_bytes,
                rows + static_cast<size_t>(from) * row_bytes, row_bytes);
  }
  return data;
}

// Every `count`-th weight from `first` on.
void write_shard(const Model& model, const std::string& path, size_t first, size_t count) {
  std::vector<SafetensorsWriter::Declared> declared;
  std::vector<std::byte> data;
  size_t i = 0;
  for (const auto& [name, weight] : model.weights()) {
    if (i++ % count != first) continue;
    const std::vector<int64_t> shape =
        weight.rows == 1 ? std::vector{weight.columns} : std::vector{weight.rows, weight.columns};
    declared.push_back({huggingface_name(name), "F32", shape});
    const auto more = data_of(name, weight, model.spec().info.head_size);
    data.insert(data.end(), more.begin(), more.end());
  }
  SafetensorsWriter writer(path, declared);
  writer.write(data);
  writer.close();
}

const std::string kConfig = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4,
  "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 512,
  "rms_norm_eps": 9.999999974752427e-07, "rope_theta": 500000.0, "hidden_act": "silu",
  "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": [2, 7], "rope_scaling": null})";

struct Folder {
  TemporaryFolder folder;

  explicit Folder(size_t n_shards = 1) {
    const Model model = Model::open(golden_gguf());
    if (n_shards == 1) write_shard(model, folder / "model.safetensors", 0, 1);
    for (size_t i = 0; i < n_shards && n_shards > 1; ++i)
      write_shard(model,
                  folder / ("model-0000" + std::to_string(i + 1) + "-of-0000" +
                            std::to_string(n_shards) + ".safetensors"),
                  i, n_shards);
    configure("", "");
  }
  // The configuration with `from` replaced by `to`.
  void configure(const std::string& from, const std::string& to) const {
    std::string text = kConfig;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(folder / "config.json") << text;
  }
  std::string path() const { return folder.path().string(); }
  std::string refusal(const std::string& from, const std::string& to) const {
    configure(from, to);
    try {
      Model::open(path());
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

std::vector<float> logits(const std::string& path, const std::string& attention) {
  Engine engine(golden_settings("llama.v0.bin", {"model.path=" + path, "attention=" + attention}),
                linked_plugins());
  Session session = engine.new_session();
  return all_logits(engine, session, random_tokens(30, engine.spec().info.vocab_size, 3));
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("a Hugging Face folder of llama gives what the GGUF file of its weights gives") {
  const std::vector<float> golden = logits(golden_gguf(), "{strategy: full}");
  CHECK(difference(logits(Folder(1).path(), "{strategy: full}"), golden) < 2e-5);
  CHECK(difference(logits(Folder(3).path(), "{strategy: full}"), golden) < 2e-5);
}

TEST_CASE("keys that turn anew as a text grows do so in both orders of rotated rows") {
  const Folder folder;
  std::string factors = "1";
  for (int i = 1; i < 32; ++i) factors += ", " + std::to_string(1 + i);
  const std::string longrope =
      "{strategy: full, max_length: 600, rope_scaling: {type: longrope, "
      "original_max_position_embeddings: 8, short_factor: [" +
      factors + "], long_factor: [3, " + factors.substr(3) + "]}}";
  for (const std::string& attention :
       {std::string("{strategy: full, max_length: 600, train_length: 4, rope_scaling: dynamic}"),
        longrope, std::string("{strategy: sliding_window, window: 6, positions: reindexed}")}) {
    CAPTURE(attention);
    const std::vector<float> pairs = logits(golden_gguf(), attention);
    CHECK(difference(logits(folder.path(), attention), pairs) < 2e-5);
    CHECK(difference(logits(golden_gguf(), "{strategy: full}"), pairs) > 1e-3);
  }
  folder.configure("\"rope_scaling\": null",
                   R"("rope_scaling": {"type": "su", "original_max_position_embeddings": 8,
                      "short_factor": [)" +
                       factors + R"(], "long_factor": [3, )" + factors.substr(3) + "]}");
  CHECK(logits(folder.path(), "{strategy: full, max_length: 600}") ==
        logits(folder.path(), longrope));
}

TEST_CASE("what a folder's config.json says becomes sizes, tokens and options") {
  const Folder folder;
  const Model model = Model::open(folder.path());
  CHECK(model.spec().info.rotation_order == RotationOrder::kHalves);
  CHECK(model.spec().info.bos_id == 1);
  CHECK(model.spec().info.eos_ids == std::vector<int32_t>{2, 7});
  CHECK(model.spec().strategy_options.empty());
  folder.configure("\"rope_scaling\": null",
                   R"("rope_scaling": {"rope_type": "yarn", "factor": 4.0})");
  CHECK(logits(folder.path(), "{strategy: full}") ==
        logits(folder.path(), "{strategy: full, rope_scaling: yarn, factor: 4}"));
  CHECK(logits(folder.path(), "{strategy: full}") !=
        logits(folder.path(), "{strategy: full, rope_scaling: none}"));
  folder.configure("\"rope_scaling\": null",
                   R"("sliding_window": 8, "rope_scaling": {"type": "default"})");
  CHECK(Model::open(folder.path()).spec().strategy_options.empty());
  std::string mistral = kConfig;
  mistral.replace(mistral.find("LlamaFor"), 8, "MistralFor");
  mistral.replace(mistral.find("\"rope_scaling\": null"), 20, "\"sliding_window\": 8");
  std::ofstream(folder.folder / "config.json") << mistral;
  CHECK(Model::open(folder.path()).spec().strategy_options.at("window").value == "8");
  CHECK(logits(folder.path(), "{strategy: full}") ==
        logits(folder.path(), "{strategy: full, window: 8}"));
}

TEST_CASE("a folder that does not hold together is refused by key or tensor") {
  const Folder folder;
  CHECK(contains(folder.refusal("LlamaFor", "GemmaFor"), "key 'architectures' is 'GemmaFor"));
  CHECK(contains(folder.refusal("\"hidden_size\": 256,", ""), "key 'hidden_size' is missing"));
  CHECK(contains(folder.refusal("\"hidden_size\": 256", "\"hidden_size\": -1"),
                 "key 'hidden_size' is -1"));
  CHECK(contains(folder.refusal("\"hidden_size\": 256", "\"hidden_size\": 128"),
                 "has the shape [300, 256] but [300, 128] is needed"));
  CHECK(contains(folder.refusal("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2"),
                 "the tensor 'model.layers.1.input_layernorm.weight' is missing"));
  CHECK(contains(folder.refusal("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"),
                 "the tensor 'lm_head.weight' is missing"));
  CHECK(contains(folder.refusal("\"rope_scaling\": null", R"("rope_scaling": {"type": "ntk"})"),
                 "key 'rope_scaling' has the type 'ntk'"));
  CHECK(contains(
      folder.refusal("\"rope_scaling\": null", R"("rope_scaling": {"type": "yarn", "spin": 2})"),
      "key 'rope_scaling' says 'spin'"));
  CHECK(contains(folder.refusal("\"rope_scaling\": null", R"("quantization_config": {"bits": 4})"),
                 "key 'quantization_config' is not supported"));
  CHECK(contains(folder.refusal("\"silu\"", "\"gelu\""), "key 'hidden_act' must be silu"));
}
