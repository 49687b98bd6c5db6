// SPDX-License-Identifier: Apache-2.0

// Folders of CEPE: what is read, and what is refused by name.
#include <doctest/doctest.h>

#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using namespace perdure::testing;

namespace {

std::string cepe_golden(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/cepe/" + name;
}

std::string config_of(const std::string& name) {
  const Bytes bytes = read_bytes(cepe_golden(name) + "/config.json");
  return std::string(as_text(bytes));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

// The sentence with which a folder with this configuration and zeros of these shapes is refused.
std::string refusal(const std::string& config, const Shapes& shapes) {
  const TemporaryFolder folder;
  write_zeros(folder / "model.safetensors", shapes);
  write_text(folder / "config.json", config);
  return error_of([&] { Model::open(folder.path().string()); });
}

Shapes shapes(const std::string& name) {
  return shapes_of(cepe_golden(name) + "/model.safetensors");
}

// Refused with `sentence` once `from` is `to` in the configuration of `cepe_base`.
void refuses(const std::string& from, const std::string& to, const std::string& sentence) {
  const std::string found =
      refusal(replaced(config_of("cepe_base"), from, to), shapes("cepe_base"));
  CHECK_MESSAGE(contains(found, sentence), found);
}

}  // namespace

TEST_CASE("a folder of CEPE is a llama with an encoder and cross-attention") {
  const Model model = Model::open(cepe_golden("cepe_gqa_partial"));
  const ModelSpec& spec = model.spec();
  CHECK(spec.architecture == "llama");
  CHECK(spec.info.rope_theta == 5000.0);
  CHECK(spec.strategy_options.at("rope_scaling").value == "linear");
  CHECK(spec.info.size("cross_attention.layers") == 2);
  CHECK(spec.info.size("encoder.hidden_size") == 32);
  CHECK(spec.info.size("encoder.num_key_value_heads") == 2);
  CHECK(spec.info.size("encoder.is_model") == 0);
  CHECK(spec.info.real("encoder.rms_norm_eps") == doctest::Approx(1e-6));
  CHECK(model.find("blk.0.cross_attn_q.weight") == nullptr);
  REQUIRE(model.find("blk.2.cross_attn_k.weight") != nullptr);
  CHECK(model.find("blk.2.cross_attn_k.weight")->columns == 32);
  CHECK(model.find("enc.blk.1.ffn_down.weight") != nullptr);
  CHECK(model.find("enc.output_norm.weight") != nullptr);
  CHECK(
      Model::open(cepe_golden("cepe_with_query")).spec().strategy_options.at("encode_mode").value ==
      "with_query-3");
  const Model self = Model::open(cepe_golden("cepe_self_encoder"));
  CHECK(self.spec().info.size("encoder.is_model") == 1);
  CHECK(self.spec().info.size("encoder.hidden_size") == 40);
  CHECK(self.find("enc.token_embd.weight") == nullptr);
}

TEST_CASE("CEPE's encoder alone and its class for RePlug are read") {
  const Model encoder = Model::open(cepe_golden("mlm_encoder"));
  CHECK(encoder.spec().architecture == "llama_mlm");
  CHECK(encoder.find("mlm_dense.bias") != nullptr);
  CHECK(encoder.find("mlm_norm.weight") != nullptr);
  CHECK(encoder.find("output.bias") != nullptr);
  CHECK(encoder.find("output.weight") == nullptr);
  CHECK(Model::open(cepe_golden("replug")).spec().architecture == "llama");
}

TEST_CASE("the encoder's table may have more rows than its configuration says") {
  Shapes larger = shapes("cepe_base");
  larger["encoder.embed_tokens.weight"] = {62, 32};
  const TemporaryFolder folder;
  write_zeros(folder / "model.safetensors", larger);
  write_text(folder / "config.json", config_of("cepe_base"));
  const Model model = Model::open(folder.path().string());
  CHECK(model.spec().info.vocab_size == 61);
  CHECK(model.spec().info.size("encoder.vocab_size") == 62);
  larger["encoder.embed_tokens.weight"] = {62, 31};
  CHECK(contains(refusal(config_of("cepe_base"), larger),
                 "'encoder.embed_tokens.weight' has the shape"));
  larger["encoder.embed_tokens.weight"] = {62 * 32};
  CHECK(contains(refusal(config_of("cepe_base"), larger),
                 "'encoder.embed_tokens.weight' has the shape"));
}

TEST_CASE("configurations that contradict themselves or the tensors are refused in one sentence") {
  refuses("\"is_decoder\": true", "\"is_decoder\": false", "key 'is_decoder' is false");
  refuses("\"is_decoder\": false", "\"is_decoder\": true",
          "config.json: encoder_config: key 'is_decoder' is true");
  refuses("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true",
          "key 'tie_word_embeddings' must be false");
  for (const char* layers : {"0", "4", "-1", "99999999999"})
    refuses("\"num_cross_attn_layers\": 3", std::string("\"num_cross_attn_layers\": ") + layers,
            "key 'num_cross_attn_layers' is");
  refuses("\"num_cross_attn_layers\": 3", "\"num_cross_attn_layers\": 2",
          "'model.layers.0.cross_attn.k_proj.weight' has no meaning");
  refuses("\"num_cross_attn_hidden_states\": 1", "\"num_cross_attn_hidden_states\": 0",
          "key 'num_cross_attn_hidden_states' is 0 but must be 1");
  refuses("\"encoder_hidden_size\": 32", "\"encoder_hidden_size\": 33",
          "key 'encoder_hidden_size' is 33 but the encoder has 32");
  refuses("\"encoder_config\": {", "\"encoder_confi\": {", "key 'encoder_config' must be a map");
  refuses("\"encoder_is_model\": false", "\"encoder_is_model\": true",
          "key 'encoder_hidden_size' is 32 but the encoder has 40");
  refuses("\"do_cross_attention\": true", "\"do_cross_attention\": false", "has no meaning");
  refuses("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
          "the tensor 'encoder.layers.2.input_layernorm.weight' is missing");
  refuses("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 99999999",
          "encoder_config: num_hidden_layers is more than 4096");
  refuses("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 0",
          "encoder_config: key 'max_position_embeddings' is 0");
  refuses("\"hidden_act\": \"silu\",\n  \"is_decoder\"",
          "\"rope_scaling\": {\"type\": \"linear\", "
          "\"factor\": 2.0},\n  \"is_decoder\"",
          "encoder_config: key 'rope_scaling' is set");
}

TEST_CASE("several hidden states need an encoder that is deep enough") {
  Shapes fewer = shapes("cepe_multi_hidden");
  std::erase_if(fewer, [](const auto& named) {
    return named.first.starts_with("encoder.layers.1.") ||
           named.first.starts_with("encoder.layers.2.");
  });
  std::string config = config_of("cepe_multi_hidden");
  const size_t at = config.rfind("\"num_hidden_layers\": 3");
  config.replace(at, 22, "\"num_hidden_layers\": 1");
  CHECK(contains(refusal(config, fewer),
                 "3 layers with cross-attention need as many hidden states and the encoder has 2"));
}

TEST_CASE("tensors that are missing or too many are named as the file names them") {
  for (const char* name : {"encoder.layers.1.self_attn.q_proj.weight", "encoder.norm.weight",
                           "model.layers.2.cross_attn.layernorm.weight", "lm_head.weight",
                           "encoder.embed_tokens.weight"}) {
    Shapes without = shapes("cepe_base");
    without.erase(name);
    const std::string found = refusal(config_of("cepe_base"), without);
    CHECK_MESSAGE(contains(found, std::string("'") + name + "' is missing"), found);
  }
  for (const char* name : {"encoder.layers.2.input_layernorm.weight", "encoder.lm_head.weight",
                           "model.layers.1.cross_attn.q_proj.bias", "lm_dense.weight"}) {
    Shapes more = shapes("cepe_base");
    more[name] = {3};
    const std::string found = refusal(config_of("cepe_base"), more);
    CHECK_MESSAGE(contains(found, std::string("'") + name + "' has no meaning"), found);
  }
  Shapes wrong = shapes("cepe_base");
  wrong["model.layers.0.cross_attn.k_proj.weight"] = {32, 40};
  CHECK(contains(refusal(config_of("cepe_base"), wrong), "[40, 32] is needed"));
  Shapes masked = shapes("mlm_encoder");
  masked.erase("lm_dense.weight");
  CHECK(contains(refusal(config_of("mlm_encoder"), masked), "'lm_dense.weight' is missing"));
  masked = shapes("mlm_encoder");
  masked["encoder.norm.weight"] = {32};
  CHECK(
      contains(refusal(config_of("mlm_encoder"), masked), "'encoder.norm.weight' has no meaning"));
}
