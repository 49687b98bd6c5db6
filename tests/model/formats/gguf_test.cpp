// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/gguf.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "core/model/formats/gguf_model.hpp"
#include "core/model/formats/weight_values.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

std::string refusal_of(std::span<const std::byte> bytes) {
  return error_of(
      [&] {
        const Gguf file(bytes, "m.gguf");
        read_gguf_model({&file, 1});
      },
      bytes.size());
}

// The model of a hand-made file, read while `use` runs.
void with_model(const GgufFile& made, const std::function<void(const Model&)>& use) {
  const Bytes bytes = made.bytes();
  const Gguf file(bytes, "m.gguf");
  use(read_gguf_model({&file, 1}));
}

std::string option(const GgufFile& made, const std::string& name) {
  std::string value;
  with_model(made, [&](const Model& model) {
    const auto& options = model.spec().strategy_options;
    const auto found = options.find(name);
    if (found != options.end()) value = found->second.value;
  });
  return value;
}

constexpr uint64_t kHuge = uint64_t{1} << 63;

// A hand-made malformed file: what is wrong with it, and a part of the sentence that says so.
struct Malformed {
  const char* what;
  void (*spoil)(GgufFile& file);
  const char* sentence;
};

constexpr Malformed kMalformed[] = {
    {"other magic", [](GgufFile& f) { f.magic = "GGML"; }, "byte offset 0: the file does not"},
    {"version 1", [](GgufFile& f) { f.version = 1; }, "byte offset 4: GGUF version 1 is unknown"},
    {"version 4", [](GgufFile& f) { f.version = 4; }, "byte offset 4: GGUF version 4 is unknown"},
    {"big-endian", [](GgufFile& f) { f.version = 3u << 24; },
     "byte offset 4: the file is of a big"},
    {"more tensors than int64 holds", [](GgufFile& f) { f.n_tensors = kHuge; },
     "byte offset 8: the file claims 9223372036854775808 tensors"},
    {"more tensors than any model has", [](GgufFile& f) { f.n_tensors = 65537; },
     "byte offset 8: the file claims 65537 tensors"},
    {"more tensors than the file has", [](GgufFile& f) { f.n_tensors = 65536; }, "byte offset"},
    {"all counts are ones", [](GgufFile& f) { f.n_keys = ~uint64_t{0}; },
     "byte offset 16: the file claims 18446744073709551615 keys"},
    {"more keys than the file has", [](GgufFile& f) { f.n_keys = 65536; }, "byte offset"},
    {"fewer keys than the file has", [](GgufFile& f) { f.n_keys = 1; }, "byte offset"},
    {"a key without letters", [](GgufFile& f) { f.keys.push_back({"", 4, raw(1u)}); },
     "a key has 0 bytes"},
    {"a key of 65536 bytes",
     [](GgufFile& f) { f.keys.push_back({std::string(65536, 'k'), 4, raw(1u)}); },
     "a key has 65536 bytes"},
    {"a key twice", [](GgufFile& f) { f.keys.push_back(f.keys[0]); },
     "the key 'general.architecture' occurs twice in the file"},
    {"a value of no known type", [](GgufFile& f) { f.keys.push_back({"k", 13, raw(1u)}); },
     "the value of 'k' has the type 13"},
    {"a text longer than the file",
     [](GgufFile& f) { f.keys.push_back({"k", 8, raw<uint64_t>(1 << 20)}); },
     "the file ends inside the value of 'k'"},
    {"a text whose end wraps", [](GgufFile& f) { f.keys.push_back({"k", 8, raw(~uint64_t{7})}); },
     "the file ends inside the value of 'k'"},
    {"an array whose size wraps",
     [](GgufFile& f) {
       f.set("k", GgufType::kArray, raw_array(GgufType::kU64, (uint64_t{1} << 61) + 1, ""));
     },
     "the value of 'k' claims 2305843009213693953 elements"},
    {"an array of more texts than bytes",
     [](GgufFile& f) {
       f.set("k", GgufType::kArray, raw_array(GgufType::kText, uint64_t{1} << 60, ""));
     },
     "the value of 'k' claims 1152921504606846976 elements"},
    {"an array of a text beyond the file",
     [](GgufFile& f) {
       f.set("k", GgufType::kArray, raw_array(GgufType::kText, 1, raw<uint64_t>(1 << 20)));
     },
     "the file ends inside the value of 'k'"},
    {"an array of arrays",
     [](GgufFile& f) { f.set("k", GgufType::kArray, raw_array(GgufType::kArray, 1, "")); },
     "the value of 'k' is an array of arrays"},
    {"an array of no known type",
     [](GgufFile& f) { f.set("k", GgufType::kArray, raw_array(GgufType{77}, 1, "")); },
     "an element of the value of 'k' has the type 77"},
    {"a flag that is neither", [](GgufFile& f) { f.set("k", GgufType::kBool, "\2"); },
     "the value of 'k' is a flag of 2"},
    {"a flag in an array that is neither",
     [](GgufFile& f) {
       f.set("k", GgufType::kArray, raw_array(GgufType::kBool, 2, std::string("\1\377", 2)));
     },
     "the value of 'k' is a flag of 255"},
    {"a control character in a key", [](GgufFile& f) { f.keys.push_back({"a\nb", 99, ""}); },
     "the value of 'a\\x0ab' has the type 99"},
    {"alignment 0", [](GgufFile& f) { f.set_u32("general.alignment", 0); },
     "'general.alignment' is 0"},
    {"alignment 48", [](GgufFile& f) { f.set_u32("general.alignment", 48); },
     "'general.alignment' is 48"},
    {"alignment 2^31", [](GgufFile& f) { f.set_u32("general.alignment", 1u << 31); },
     "'general.alignment' is 2147483648"},
    {"an alignment in letters", [](GgufFile& f) { f.set_text("general.alignment", "32"); },
     "the key 'general.alignment' must be a whole number"},
    {"a tensor without a name", [](GgufFile& f) { f.tensors[0].name = ""; },
     "a tensor's name has 0 bytes"},
    {"a tensor twice", [](GgufFile& f) { f.tensors.push_back(f.tensors[1]); },
     "the tensor 'output_norm.weight' occurs twice in the file"},
    {"a tensor without dimensions", [](GgufFile& f) { f.tensors[0].shape = {}; },
     "the tensor 'token_embd.weight' has 0 dimensions"},
    {"a tensor of five dimensions", [](GgufFile& f) { f.tensors[0].shape = {8, 6, 1, 1, 1}; },
     "the tensor 'token_embd.weight' has 5 dimensions"},
    {"a dimension of 0", [](GgufFile& f) { f.tensors[0].shape = {8, 0}; },
     "the tensor 'token_embd.weight' has a dimension of 0"},
    {"a negative dimension", [](GgufFile& f) { f.tensors[0].shape = {8, ~uint64_t{0}}; },
     "the tensor 'token_embd.weight' has a dimension of 18446744073709551615"},
    {"a product of dimensions that wraps to 0",
     [](GgufFile& f) { f.tensors[0].shape = {uint64_t{1} << 32, uint64_t{1} << 32}; },
     "the tensor 'token_embd.weight' is larger than the file"},
    {"bytes that wrap to few", [](GgufFile& f) { f.tensors[0].shape = {(uint64_t{1} << 62) + 2}; },
     "the tensor 'token_embd.weight' is larger than the file"},
    {"four dimensions that wrap together",
     [](GgufFile& f) { f.tensors[0].shape = {65536, 65536, 65536, 65537}; },
     "the tensor 'token_embd.weight' is larger than the file"},
    {"more values than the file has bytes", [](GgufFile& f) { f.tensors[0].shape = {8, 600}; },
     "the tensor 'token_embd.weight' is larger than the file"},
    {"a type of no name", [](GgufFile& f) { f.tensors[0].type = 99; },
     "the tensor 'token_embd.weight' has the type 99"},
    {"a type that was removed", [](GgufFile& f) { f.tensors[0].type = 4; },
     "the tensor 'token_embd.weight' has the type 4, which is unknown"},
    {"a type that is not supported", [](GgufFile& f) { f.tensors[0].type = 10; },
     "the tensor 'token_embd.weight' has the type Q2_K, which is not supported"},
    {"rows of half a block", [](GgufFile& f) { f.tensors[0].type = 8; },
     "the tensor 'token_embd.weight' has rows of 8 values, which is not a whole number of blocks "
     "of 32"},
    {"an offset near 2^64", [](GgufFile& f) { f.tensors[0].offset = ~uint64_t{31}; },
     "beyond the end of the file"},
    {"an offset between the units", [](GgufFile& f) { f.tensors[1].offset = 196; },
     "the tensor 'output_norm.weight' lies at 196, which is not a multiple of the alignment 32"},
    {"tensors in one place", [](GgufFile& f) { f.tensors[3].offset = f.tensors[4].offset = 320; },
     "overlaps the tensor before it"},
    {"tensors over each other", [](GgufFile& f) { f.tensors[1].offset = 160; },
     "the tensor 'output_norm.weight' overlaps the tensor before it"},
    {"data that is not there", [](GgufFile& f) { f.tensors.back().data.clear(); },
     "but the file ends at"},
    {"no architecture", [](GgufFile& f) { f.erase("general.architecture"); },
     "the key 'general.architecture' is missing"},
    {"an architecture that is a number", [](GgufFile& f) { f.set_u32("general.architecture", 1); },
     "the key 'general.architecture' must be a text"},
    {"another architecture", [](GgufFile& f) { f.set_text("general.architecture", "mamba"); },
     "the key 'general.architecture' is 'mamba'"},
    {"no number of layers", [](GgufFile& f) { f.erase("llama.block_count"); },
     "the key 'llama.block_count' is missing"},
    {"a negative number of layers",
     [](GgufFile& f) { f.set("llama.block_count", GgufType::kI32, raw(-1)); },
     "the key 'llama.block_count' is -1"},
    {"layers without end",
     [](GgufFile& f) { f.set("llama.block_count", GgufType::kU64, raw(uint64_t{1} << 40)); },
     "the key 'llama.block_count' is 1099511627776"},
    {"more layers than any model has",
     [](GgufFile& f) { f.set_u32("llama.block_count", 1u << 30); },
     "num_hidden_layers is more than 4096"},
    {"a size that is a real number", [](GgufFile& f) { f.set_f32("llama.embedding_length", 8.0f); },
     "the key 'llama.embedding_length' must be a whole number"},
    {"a real number that is a text", [](GgufFile& f) { f.set_text("llama.rope.freq_base", "1e4"); },
     "the key 'llama.rope.freq_base' must be a number"},
    {"a size that is an array of texts",
     [](GgufFile& f) { f.set_texts("llama.embedding_length", {"8"}); },
     "the key 'llama.embedding_length' must hold whole numbers"},
    {"a size above int64",
     [](GgufFile& f) { f.set("llama.embedding_length", GgufType::kU64, raw(kHuge)); },
     "the key 'llama.embedding_length' must be a whole number below 2^63"},
    {"another width than the tensors'",
     [](GgufFile& f) { f.set_u32("llama.embedding_length", 16); },
     "the tensor 'token_embd.weight' has the shape [8, 6] but [16, 6] is needed"},
    {"no heads", [](GgufFile& f) { f.set_u32("llama.attention.head_count", 0); },
     "the key 'llama.attention.head_count' is 0"},
    {"heads that do not fit", [](GgufFile& f) { f.set_u32("llama.attention.head_count", 3); },
     "num_attention_heads is 3, which does not divide hidden_size = 8"},
    {"more heads of keys than of queries",
     [](GgufFile& f) { f.set_u32("llama.attention.head_count_kv", 4); },
     "num_key_value_heads is 4, which does not divide num_attention_heads = 2"},
    {"heads that differ from layer to layer",
     [](GgufFile& f) {
       f.set("llama.attention.head_count_kv", GgufType::kArray,
             raw_array(GgufType::kU32, 2, raw(1u) + raw(2u)));
     },
     "the key 'llama.attention.head_count_kv' differs from layer to layer"},
    {"heads of odd size", [](GgufFile& f) { f.set_u32("llama.rope.dimension_count", 3); },
     "head_dim makes heads of 4 values of which 3 rotate"},
    {"more values that rotate than there are",
     [](GgufFile& f) { f.set_u32("llama.rope.dimension_count", 8); },
     "head_dim makes heads of 4 values of which 8 rotate"},
    {"heads as large as int32",
     [](GgufFile& f) { f.set_u32("llama.attention.key_length", 1u << 31); },
     "the tensor 'blk.0.attn_q.weight' has the shape [8, 8]"},
    {"an eps that is no number",
     [](GgufFile& f) {
       f.set("llama.attention.layer_norm_rms_epsilon", GgufType::kF32, raw(0x7fc00000u));
     },
     "the key 'llama.attention.layer_norm_rms_epsilon' is not a finite number"},
    {"no eps", [](GgufFile& f) { f.erase("llama.attention.layer_norm_rms_epsilon"); },
     "the key 'llama.attention.layer_norm_rms_epsilon' is missing"},
    {"an infinite base of the rotation",
     [](GgufFile& f) { f.set("llama.rope.freq_base", GgufType::kF32, raw(0x7f800000u)); },
     "the key 'llama.rope.freq_base' is not a finite number"},
    {"a base of 0", [](GgufFile& f) { f.set_f32("llama.rope.freq_base", 0.0f); },
     "the key 'llama.rope.freq_base' must be a number above 0"},
    {"experts", [](GgufFile& f) { f.set_u32("llama.expert_count", 8); },
     "the key 'llama.expert_count' is not supported"},
    {"a scaling of no known name",
     [](GgufFile& f) { f.set_text("llama.rope.scaling.type", "spiral"); },
     "the key 'llama.rope.scaling.type' is 'spiral'"},
    {"longrope without its factors",
     [](GgufFile& f) { f.set_text("llama.rope.scaling.type", "longrope"); },
     "'llama.rope.scaling.type' is 'longrope', which needs the tensors"},
    {"a negative factor", [](GgufFile& f) { f.set_f32("llama.rope.scaling.factor", -2.0f); },
     "the key 'llama.rope.scaling.factor' is negative"},
    {"a negative window",
     [](GgufFile& f) { f.set("llama.attention.sliding_window", GgufType::kI32, raw(-5)); },
     "the key 'llama.attention.sliding_window' is negative"},
    {"a tensor that is missing", [](GgufFile& f) { f.tensor("blk.0.ffn_up.weight").name = "x"; },
     "the tensor 'blk.0.ffn_up.weight' is missing"},
    {"no embedding", [](GgufFile& f) { f.tensor("token_embd.weight").name = "x"; },
     "the tensor 'token_embd.weight' is missing"},
    {"a tensor of no meaning", [](GgufFile& f) { f.add("blk.0.attn_sinks.weight", {2}); },
     "the tensor 'blk.0.attn_sinks.weight' has no meaning in a model of llama"},
    {"a matrix on its side", [](GgufFile& f) { f.tensor("blk.0.ffn_up.weight").shape = {12, 8}; },
     "the tensor 'blk.0.ffn_up.weight' has the shape [12, 8] but [8, 12] is needed"},
    {"a bias of another size", [](GgufFile& f) { f.add("blk.0.attn_q.bias", {4}); },
     "the tensor 'blk.0.attn_q.bias' has the shape [4] but [8] is needed"},
    {"factors of another size", [](GgufFile& f) { f.add("rope_freqs.weight", {4}); },
     "the tensor 'rope_freqs.weight' has the shape [4] but [2] is needed"},
    {"fewer tokens than rows",
     [](GgufFile& f) { f.set_texts("tokenizer.ggml.tokens", {"a", "b"}); },
     "the key 'tokenizer.ggml.tokens' has 2 tokens, but token_embd.weight 6 rows"},
    {"a BOS beyond the vocabulary",
     [](GgufFile& f) {
       f.set_text("tokenizer.ggml.model", "llama");
       f.set_u32("tokenizer.ggml.bos_token_id", 6);
     },
     "the key 'tokenizer.ggml.bos_token_id' is 6, which is not a token of a vocabulary of 6"},
    {"an EOS below -1",
     [](GgufFile& f) {
       f.set_text("tokenizer.ggml.model", "llama");
       f.set("tokenizer.ggml.eos_token_id", GgufType::kI32, raw(-2));
     },
     "the key 'tokenizer.ggml.eos_token_id' is -2"},
};

}  // namespace

TEST_CASE("each malformed GGUF file is refused within a second by one sentence that says where") {
  for (const Malformed& malformed : kMalformed) {
    CAPTURE(malformed.what);
    GgufFile file = small_gguf();
    malformed.spoil(file);
    const Bytes bytes = file.bytes();
    const std::string sentence = refusal_of(bytes);
    CHECK_MESSAGE(contains(sentence, malformed.sentence), sentence);
    CHECK(sentence.starts_with("m.gguf: "));
  }
}

TEST_CASE("a GGUF file that ends anywhere is refused") {
  const Bytes bytes = small_gguf().bytes();
  for (size_t n = 0; n < bytes.size(); ++n) {
    CAPTURE(n);
    CHECK(contains(refusal_of(std::span(bytes).first(n)), "m.gguf: byte offset "));
  }
  CHECK(refusal_of(bytes).empty());
}

TEST_CASE("a hostile GGUF file costs little memory beside itself") {
  GgufFile file = small_gguf();
  for (int i = 0; i < 60000; ++i) file.keys.push_back({"k" + std::to_string(i), 0, "x"});
  file.set("many", GgufType::kArray,
           raw_array(GgufType::kText, 1 << 20, std::string(size_t{8} << 20, '\0')));
  const Bytes bytes = file.bytes();
  CHECK(heap_peak_of([&] { refusal_of(bytes); }) < bytes.size() + (size_t{64} << 20));
}

TEST_CASE("a GGUF model's matrices lie in the file, its sizes are those of the keys") {
  const Bytes bytes = small_gguf().bytes();
  const Gguf file(bytes, "m.gguf");
  const Model model = read_gguf_model({&file, 1});
  const ModelInfo& info = model.spec().info;
  CHECK(model.spec().format == "GGUF");
  CHECK(info.hidden_size == 8);
  CHECK(info.head_size == 4);
  CHECK(info.vocab_size == 6);
  CHECK(info.train_length == 64);
  CHECK(info.rotation_order == RotationOrder::kAdjacentPairs);
  CHECK(model.find("output.weight") == nullptr);
  const auto* data = static_cast<const std::byte*>(model.find("blk.0.ffn_down.weight")->data);
  CHECK(data >= bytes.data());
  CHECK(data < bytes.data() + bytes.size());
}

TEST_CASE("qwen2's biases and qwen3's norms of heads are weights; both rotate by halves") {
  GgufFile file = small_gguf("qwen2");
  for (const char* name : {"attn_q", "attn_k", "attn_v"})
    file.add(std::string("blk.0.") + name + ".bias", {name[5] == 'q' ? 8u : 4u});
  with_model(file, [](const Model& model) {
    CHECK(model.spec().info.rotation_order == RotationOrder::kHalves);
    CHECK(model.find("blk.0.attn_q.bias")->columns == 8);
    CHECK(model.find("blk.0.attn_v.bias")->columns == 4);
  });
  file = small_gguf("qwen3");
  file.set_u32("qwen3.attention.key_length", 6);
  file.set_u32("qwen3.attention.value_length", 6);
  file.tensor("blk.0.attn_q.weight") = {"blk.0.attn_q.weight", {8, 12}, 0, std::string(384, '\0')};
  file.tensor("blk.0.attn_k.weight") = {"blk.0.attn_k.weight", {8, 6}, 0, std::string(192, '\0')};
  file.tensor("blk.0.attn_v.weight") = {"blk.0.attn_v.weight", {8, 6}, 0, std::string(192, '\0')};
  file.tensor("blk.0.attn_output.weight") = {
      "blk.0.attn_output.weight", {12, 8}, 0, std::string(384, '\0')};
  file.add("blk.0.attn_q_norm.weight", {6});
  file.add("blk.0.attn_k_norm.weight", {6});
  with_model(file, [](const Model& model) {
    CHECK(model.spec().info.head_size == 6);
    const std::vector<float> norm = weight_values(*model.find("blk.0.attn_q_norm.weight"));
    REQUIRE(norm.size() == 12);
    for (size_t i = 0; i < 6; ++i) CHECK(norm[i] == norm[i + 6]);
    CHECK(model.find("blk.0.attn_k_norm.weight")->columns == 6);
  });
}

TEST_CASE("norms and biases of 16 bits become F32") {
  GgufFile file = small_gguf();
  file.tensor("output_norm.weight").type = 1;
  file.tensor("output_norm.weight").data =
      std::string("\0\x3c\0\x3c\0\x3c\0\x3c\0\x40\0\x40\0\x40\0\x40", 16);
  with_model(file, [](const Model& model) {
    const Weight& norm = *model.find("output_norm.weight");
    CHECK(norm.dtype == PERDURE_F32);
    CHECK(weight_values(norm) == std::vector<float>{1, 1, 1, 1, 2, 2, 2, 2});
  });
}

TEST_CASE("an alignment of the file's own is heeded") {
  GgufFile file = small_gguf();
  file.set_u32("general.alignment", 256);
  file.alignment = 256;
  with_model(file, [](const Model& model) {
    with_model(small_gguf(), [&](const Model& same) {
      CHECK(weight_values(*model.find("blk.0.ffn_up.weight")) ==
            weight_values(*same.find("blk.0.ffn_up.weight")));
    });
  });
}

TEST_CASE("scalings of the rotation and windows of GGUF become the strategies' options") {
  GgufFile file = small_gguf();
  CHECK(option(file, "rope_scaling").empty());
  file.set_f32("llama.rope.scaling.factor", 4.0f);
  CHECK(option(file, "rope_scaling") == "linear");
  CHECK(option(file, "factor") == "4");
  file.set_text("llama.rope.scaling.type", "none");
  CHECK(option(file, "rope_scaling").empty());
  file.set_text("llama.rope.scaling.type", "yarn");
  file.set_u32("llama.rope.scaling.original_context_length", 32);
  CHECK(option(file, "rope_scaling") == "yarn");
  CHECK(option(file, "original_max_position_embeddings") == "32");
  CHECK(option(file, "attention_factor").empty());
  file.set_f32("llama.rope.scaling.yarn_log_multiplier", 0.1f);
  CHECK(contains(refusal_of(file.bytes()), "'llama.rope.scaling.yarn_log_multiplier' is not 0"));
  file = small_gguf();
  file.set_u32("llama.attention.sliding_window", 16);
  CHECK(option(file, "window") == "16");
}

TEST_CASE(
    "divisors of the frequencies in a tensor are llama3's where they are, longrope's where not") {
  GgufFile file = small_gguf();
  file.set_f32("llama.rope.freq_base", 500000.0f);
  const auto set_factors = [&](const std::string& name, float a, float b) {
    file.tensors.push_back({name, {2}, 0, raw(a) + raw(b)});
  };
  set_factors("rope_freqs.weight", 1.0f, 1.0f);
  CHECK(option(file, "rope_scaling").empty());
  file.tensors.back().data = raw(1.0f) + raw(3.5f);
  CHECK(option(file, "rope_scaling") == "longrope");
  CHECK(option(file, "long_factor") == "1, 3.5");
  CHECK(option(file, "short_factor") == "1, 3.5");
  CHECK(option(file, "attention_factor") == "1");
  file = small_gguf();
  set_factors("rope_factors_long.weight", 2.0f, 4.0f);
  set_factors("rope_factors_short.weight", 1.0f, 1.5f);
  file.set_f32("llama.rope.scaling.attn_factor", 1.25f);
  file.set_u32("llama.rope.scaling.original_context_length", 32);
  CHECK(option(file, "rope_scaling") == "longrope");
  CHECK(option(file, "long_factor") == "2, 4");
  CHECK(option(file, "short_factor") == "1, 1.5");
  CHECK(option(file, "attention_factor") == "1.25");
  CHECK(option(file, "original_max_position_embeddings") == "32");
}

TEST_CASE("Llama 3's factor tensor is the scaling llama3, which every strategy has") {
  GgufFile file = small_gguf();
  file.set_f32("llama.rope.freq_base", 500000.0f);
  // Heads of 8 values: four frequencies.
  file.set_u32("llama.attention.head_count", 1);
  file.tensor("blk.0.attn_k.weight") = {"blk.0.attn_k.weight", {8, 8}, 0, std::string(256, '\0')};
  file.tensor("blk.0.attn_v.weight") = {"blk.0.attn_v.weight", {8, 8}, 0, std::string(256, '\0')};
  std::string factors;
  for (int i = 0; i < 4; ++i) {
    const double wave = 2 * 3.14159265358979323846 * std::pow(500000.0, i / 4.0);
    const double kept = std::min(1.0, std::max(0.0, (8192 / wave - 1) / 3));
    factors += raw(static_cast<float>(1 / ((1 - kept) / 32 + kept)));
  }
  file.tensors.push_back({"rope_freqs.weight", {4}, 0, factors});
  CHECK(option(file, "rope_scaling") == "llama3");
  CHECK(option(file, "factor") == "32");
  CHECK(option(file, "original_max_position_embeddings") == "8192");
}

TEST_CASE("a model in several GGUF files is that in one") {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder.path() / name).string(); };
  GgufFile whole = small_gguf(), first = whole, second;
  second.tensors.assign(first.tensors.begin() + 5, first.tensors.end());
  first.tensors.resize(5);
  for (GgufFile* part : {&first, &second}) {
    part->set("split.count", GgufType::kU16, raw<uint16_t>(2));
    part->set("split.no", GgufType::kU16, raw<uint16_t>(part == &second));
    part->set("split.tensors.count", GgufType::kI32, raw<int32_t>(11));
  }
  write_text(path("m.gguf"), whole.text());
  write_text(path("m-00001-of-00002.gguf"), first.text());
  write_text(path("m-00002-of-00002.gguf"), second.text());
  const Model one = Model::open(path("m.gguf"));
  const Model two = Model::open(path("m-00001-of-00002.gguf"));
  CHECK(two.files().size() == 2);
  CHECK(one.weights_hash() == two.weights_hash());

  const auto refusal = [&](const std::string& name) {
    return error_of([&] { Model::open(path(name)); });
  };
  CHECK(contains(refusal("m-00002-of-00002.gguf"), "m-00001-of-00002.gguf"));
  first.set("split.tensors.count", GgufType::kI32, raw<int32_t>(12));
  write_text(path("m-00001-of-00002.gguf"), first.text());
  CHECK(contains(refusal("m-00001-of-00002.gguf"),
                 "'split.tensors.count' is 12, but the files have 11"));
  write_text(path("other.gguf"), first.text());
  CHECK(contains(refusal("other.gguf"), "are named NAME-00001-of-0000N.gguf"));
  write_text(path("m-00002-of-00002.gguf"), first.text());
  CHECK(contains(refusal("m-00001-of-00002.gguf"), "'split.no' is not 1"));
  std::filesystem::remove(path("m-00002-of-00002.gguf"));
  CHECK(contains(refusal("m-00001-of-00002.gguf"), "cannot read"));
}

TEST_CASE("files of every type of weights open") {
  for (const char* type :
       {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"}) {
    CAPTURE(type);
    const Model model = Model::open(golden_gguf(type));
    CHECK(model.spec().info.vocab_size == 300);
    CHECK(model.find("blk.0.attn_q.weight")->rows == 256);
  }
}
