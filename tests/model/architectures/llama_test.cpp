// SPDX-License-Identifier: Apache-2.0

// What the llama entry makes of metadata.
#include <doctest/doctest.h>

#include "core/model/architectures/architecture.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

Metadata small_llama() {
  Metadata m("m.gguf");
  for (const char* name : {"hidden_size", "intermediate_size", "num_attention_heads",
                           "num_hidden_layers", "vocab_size", "max_position_embeddings"})
    m.set(name, int64_t{8});
  return m;
}

ModelInfo info_with(const std::string& name, Metadata::Value value) {
  Metadata m = small_llama();
  m.set("num_attention_heads", int64_t{2});
  m.set(name, std::move(value));
  return read_spec("llama", m, "a test").info;
}

std::string refusal_of(const std::string& name, Metadata::Value value) {
  return error_of([&] { info_with(name, std::move(value)); });
}

}  // namespace

TEST_CASE("what metadata leaves out is as llama2.c has it") {
  const ModelInfo info = info_with("num_hidden_layers", int64_t{3});
  CHECK(info.architecture == "llama");
  CHECK(info.num_hidden_layers == 3);
  CHECK(info.num_key_value_heads == 2);
  CHECK(info.head_size == 4);
  CHECK(info.size_of_values() == 4);
  CHECK(info.rotated_size() == 4);
  CHECK(info.scale_of_scores() == 0.5);
  CHECK(info.classifier_rows() == 8);
  CHECK(info.rotation_order == RotationOrder::kAdjacentPairs);
  CHECK(info.bos_id == 1);
  CHECK(info.eos_ids == std::vector{2});
}

TEST_CASE("heads may have a size that the width does not tell, and turn by a part of it") {
  CHECK(info_with("head_dim", int64_t{6}).query_columns() == 12);
  CHECK(info_with("rotary_dim", int64_t{2}).rotated_size() == 2);
  CHECK(info_with("rotation_order", std::string("halves")).rotation_order ==
        RotationOrder::kHalves);
  CHECK(contains(refusal_of("rotary_dim", int64_t{6}), "heads of 4 values of which 6 rotate"));
  CHECK(contains(refusal_of("rotary_dim", int64_t{3}), "even part"));
}

TEST_CASE("special tokens come from the model: none, one or several") {
  CHECK(info_with("bos_token_id", std::vector<int64_t>{}).bos_id == -1);
  CHECK(info_with("bos_token_id", int64_t{7}).bos_id == 7);
  CHECK(info_with("eos_token_id", std::vector<int64_t>{5, 6}).eos_ids == std::vector{5, 6});
  CHECK(contains(refusal_of("eos_token_id", int64_t{-1}), "eos_token_id is -1"));
}

TEST_CASE("metadata that cannot be is one sentence with the file and the name") {
  CHECK(refusal_of("hidden_size", int64_t{0}) == "m.gguf: hidden_size is 0 but must be at least 1");
  CHECK(refusal_of("hidden_size", std::string("8")) ==
        "m.gguf: hidden_size must be a whole number");
  CHECK(contains(refusal_of("num_attention_heads", int64_t{3}), "does not divide hidden_size = 8"));
  CHECK(contains(refusal_of("num_key_value_heads", int64_t{3}), "does not divide num_attention"));
  CHECK(contains(refusal_of("num_hidden_layers", int64_t{5000}), "is more than 4096"));
  CHECK(contains(refusal_of("rms_norm_eps", 0.0), "must be a number above 0"));
  CHECK(contains(refusal_of("padded_vocab_size", int64_t{7}), "less than vocab_size"));
  CHECK(error_of([] { read_spec("llama", Metadata("m.gguf"), ""); }) ==
        "m.gguf: hidden_size is missing");
}

TEST_CASE("an architecture is found by every name that files have for it") {
  CHECK(find_architecture("Qwen3ForCausalLM").names.front() == "llama");
}

TEST_CASE("a number that an architecture does not say is asked for by name") {
  ModelInfo info;
  info.architecture = "rwkv";
  info.sizes["version"] = 6;
  CHECK(info.size("version") == 6);
  CHECK(info.size("chunk", 16) == 16);
  CHECK(info.real("group_norm_eps", 0.5) == 0.5);
  CHECK(error_of([&] { info.real("group_norm_eps"); }) ==
        "a model of the architecture 'rwkv' does not say 'group_norm_eps'");
}
