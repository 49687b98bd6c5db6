// SPDX-License-Identifier: Apache-2.0

// Models of llama's family from one format to another and back.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/model/conversion/gguf_document.hpp"
#include "core/model/conversion/llama_folder_writer.hpp"
#include "core/model/formats/llama2c_writer.hpp"
#include "core/model/templates/chat_template.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

bool always(int64_t) { return true; }

void to_gguf(const std::string& from, const std::string& to, const std::string& tokenizer = "") {
  const Model model = Model::open(from);
  const bool written = write_gguf(gguf_document(model, tokenizer), model, to, {}, always);
  REQUIRE(written);
}

void to_folder(const std::string& from, const std::string& to, const std::string& tokenizer = "") {
  std::vector<std::string> notes;
  REQUIRE(write_llama_folder(Model::open(from), to, {.tokenizer = tokenizer}, always, notes));
}

std::string refusal_of_gguf(const std::string& from) {
  const TemporaryFolder scratch;
  return error_of([&] { to_gguf(from, scratch / "out.gguf"); });
}

// Biases of queries, keys and values, and norms of heads.
GgufFile with_biases(GgufFile file) {
  file.add("blk.0.attn_q.bias", {8});
  file.add("blk.0.attn_k.bias", {4});
  file.add("blk.0.attn_v.bias", {4});
  return file;
}
GgufFile with_norms(GgufFile file) {
  file.add("blk.0.attn_q_norm.weight", {4});
  file.add("blk.0.attn_k_norm.weight", {4});
  return file;
}
GgufFile with_text(GgufFile file, const std::string& key, const std::string& value) {
  file.set_text(key, value);
  return file;
}

// The file goes to a folder of Hugging Face and back, and must be the same model.
void check_there_and_back(const GgufFile& file) {
  const TemporaryFolder scratch;
  write_text(scratch / "a.gguf", file.text());
  to_folder(scratch / "a.gguf", scratch / "folder");
  to_gguf(scratch / "folder", scratch / "b.gguf");
  const Model before = Model::open(scratch / "a.gguf"), after = Model::open(scratch / "b.gguf");
  CHECK(after.weights_hash() == before.weights_hash());
  CHECK(after.spec().info.rotation_order == before.spec().info.rotation_order);
  CHECK(after.spec().strategy_options.size() == before.spec().strategy_options.size());
  for (const auto& [name, option] : before.spec().strategy_options) {
    CAPTURE(name);
    REQUIRE(after.spec().strategy_options.contains(name));
    CHECK(after.spec().strategy_options.at(name).value == option.value);
  }
}

}  // namespace

TEST_CASE("llama2.c's file becomes GGUF with the same weights, and the same file again") {
  const TemporaryFolder scratch;
  for (const char* name : {"models/llama.v0.bin", "models/llama_unshared.v0.bin"}) {
    const std::string original = golden(name);
    to_gguf(original, scratch / "m.gguf");
    const Model model = Model::open(scratch / "m.gguf");
    CHECK(model.weights_hash() == Model::open(original).weights_hash());
    REQUIRE(write_llama2c(model, Llama2cKind::kV0, 0, scratch / "m.bin"));
    CHECK(Model::open(scratch / "m.bin").weights_hash() == model.weights_hash());
  }
}

TEST_CASE("a folder of Hugging Face has its rows in the other order, and llama2.c's in the first") {
  const TemporaryFolder scratch;
  const std::string original = golden("models/llama.v0.bin");
  to_folder(original, scratch / "folder");
  const Model folder = Model::open(scratch / "folder");
  CHECK(folder.spec().info.rotation_order == RotationOrder::kHalves);
  CHECK(folder.weights_hash() != Model::open(original).weights_hash());
  REQUIRE(write_llama2c(folder, Llama2cKind::kV0, 0, scratch / "m.bin"));
  CHECK(Model::open(scratch / "m.bin").weights_hash() == Model::open(original).weights_hash());
}

TEST_CASE("llama, qwen2 and qwen3 go from GGUF to a folder and back unchanged") {
  check_there_and_back(small_gguf());
  check_there_and_back(with_biases(small_gguf("qwen2")));
  check_there_and_back(with_norms(small_gguf("qwen3")));
}

TEST_CASE("scalings of the rotation and a window go along") {
  GgufFile linear = with_text(small_gguf(), "llama.rope.scaling.type", "linear");
  linear.set_f32("llama.rope.scaling.factor", 4);
  check_there_and_back(linear);
  GgufFile yarn = with_text(small_gguf(), "llama.rope.scaling.type", "yarn");
  yarn.set_f32("llama.rope.scaling.factor", 8);
  yarn.set_u32("llama.rope.scaling.original_context_length", 32);
  yarn.set_f32("llama.rope.scaling.yarn_beta_fast", 24);
  check_there_and_back(yarn);
  GgufFile windowed = small_gguf();
  windowed.set_u32("llama.attention.sliding_window", 48);
  check_there_and_back(windowed);
}

TEST_CASE("Llama 3's scaling becomes divisors of frequencies and is read back as itself") {
  const TemporaryFolder scratch;
  to_folder(golden("models/llama.v0.bin"), scratch / "folder");
  const std::string config = scratch / "folder/config.json";
  std::string text(as_text(read_bytes(config)));
  text.insert(1, R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,)"
                 R"("high_freq_factor":4.0,"original_max_position_embeddings":8192},)");
  write_text(config, text);
  to_gguf(scratch / "folder", scratch / "m.gguf");
  const auto options = Model::open(scratch / "m.gguf").spec().strategy_options;
  CHECK(options.at("rope_scaling").value == "llama3");
  CHECK(options.at("factor").value == "8");
}

TEST_CASE("a passage of YaRN without whole bounds goes into a folder and not into GGUF") {
  const TemporaryFolder scratch;
  to_folder(golden("models/llama.v0.bin"), scratch / "folder");
  const std::string config = scratch / "folder/config.json";
  std::string text(as_text(read_bytes(config)));
  text.insert(1, R"("rope_scaling":{"rope_type":"yarn","factor":4.0,"truncate":false},)");
  write_text(config, text);
  to_folder(scratch / "folder", scratch / "again");
  CHECK(contains(as_text(read_bytes(scratch / "again/config.json")), "\"truncate\":false"));
  CHECK(contains(refusal_of_gguf(scratch / "folder"),
                 "a GGUF file cannot hold the rope_scaling with truncate: false"));
}

TEST_CASE("the chat template beside a tokenizer goes into GGUF with it") {
  const TemporaryFolder scratch;
  to_folder(golden("models/llama.v0.bin"), scratch / "folder");
  const std::string chat = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
  write_text(scratch / "folder/chat_template.jinja", chat);
  std::filesystem::copy_file(golden("models/tok_320.bin"), scratch / "folder/tokenizer.bin");
  to_gguf(scratch / "folder", scratch / "m.gguf", scratch / "folder/tokenizer.bin");
  CHECK(model_chat_template(scratch / "m.gguf").source == chat);
}

TEST_CASE("llama2.c's vocabulary in GGUF gives the same ids") {
  const TemporaryFolder scratch;
  const std::string tokenizer = golden("models/tok_320.bin");
  to_gguf(golden("models/llama.v0.bin"), scratch / "m.gguf", tokenizer);
  const ModelInfo info = Model::open(scratch / "m.gguf").spec().info;
  CHECK(info.bos_id == 1);
  CHECK(info.eos_ids == std::vector<int32_t>{2});
  const auto ours = open_tokenizer(scratch / "m.gguf", info),
             theirs = open_tokenizer(tokenizer, info);
  for (const char* words : {"who is in the sun?", "  two spaces", "\xc3\xa4\xe2\x82\xac\n", "a"}) {
    CHECK(ours->encode(words, true, true) == theirs->encode(words, true, true));
    std::string one, other;
    for (const int32_t id : ours->encode(words, true, false)) {
      one += ours->decode(-1, id);
      other += theirs->decode(-1, id);
    }
    CHECK(one.substr(one.find('>') + 1) == other.substr(other.find('>') + 2));
  }
}

TEST_CASE("GGUF's vocabulary goes along into a folder and comes back") {
  const TemporaryFolder scratch;
  const std::string original = golden_gguf("F32");
  to_folder(original, scratch / "folder", original);
  to_gguf(scratch / "folder", scratch / "m.gguf", scratch / "folder/tokenizer.gguf");
  const Bytes before = read_bytes(original), after = read_bytes(scratch / "m.gguf");
  const Gguf a(before, "a"), b(after, "b");
  for (const auto& [key, value] : a.metadata()) {
    if (!key.starts_with("tokenizer.")) continue;
    CAPTURE(key);
    REQUIRE(b.find(key) != nullptr);
    CHECK(as_text(b.find(key)->bytes) == as_text(value.bytes));
  }
  CHECK(Model::open(scratch / "m.gguf").weights_hash() == Model::open(original).weights_hash());
}

TEST_CASE("what a format cannot hold is refused in one sentence") {
  CHECK(contains(refusal_of_gguf(golden("models/memA.safetensors")),
                 "a GGUF file cannot hold the weight blk.0.mem_"));
  CHECK(contains(refusal_of_gguf(std::string(PERDURE_SOURCE_DIR) +
                                 "/tests/golden/rwkv/rand_v6/model.safetensors"),
                 "only models of llama's family can be converted"));
  const TemporaryFolder scratch;
  const GgufFile norms = with_norms(small_gguf("qwen3"));
  write_text(scratch / "m.gguf", norms.text());
  CHECK(contains(error_of([&] {
                   write_llama2c(Model::open(scratch / "m.gguf"), Llama2cKind::kV0, 0,
                                 scratch / "m.bin");
                 }),
                 "cannot hold the weight blk.0.attn_k_norm.weight of the model; write a GGUF file "
                 "or a Hugging Face folder instead"));
  to_gguf(scratch / "m.gguf", scratch / "again.gguf");
  to_folder(scratch / "m.gguf", scratch / "folder");
  GgufFile scaled = with_text(small_gguf(), "llama.rope.scaling.type", "linear");
  scaled.set_f32("llama.rope.scaling.factor", 4);
  scaled.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  write_text(scratch / "s.gguf", scaled.text());
  CHECK(contains(error_of([&] {
                   write_llama2c(Model::open(scratch / "s.gguf"), Llama2cKind::kV0, 0,
                                 scratch / "m.bin");
                 }),
                 "cannot hold the factor"));
  CHECK_FALSE(std::filesystem::exists(scratch / "m.bin"));
}

TEST_CASE("norms of keys that a model's options ask for go into no other format") {
  const TemporaryFolder scratch;
  std::filesystem::copy_file(golden("models/att.safetensors"), scratch / "m.safetensors");
  std::string options(as_text(read_bytes(golden("models/att.json"))));
  const size_t first = options.find("\"dim\"");
  REQUIRE(first != options.npos);
  write_text(scratch / "m.json", options.insert(first, "\"key_norm\": true, "));
  CHECK(contains(refusal_of_gguf(scratch / "m.safetensors"), "cannot hold the key_norm"));
  CHECK(contains(error_of([&] {
                   write_llama2c(Model::open(scratch / "m.safetensors"), Llama2cKind::kV0, 0,
                                 scratch / "m.bin");
                 }),
                 "cannot hold the key_norm"));
}

TEST_CASE("a folder that is not empty is never replaced, and a stopped one leaves nothing") {
  const TemporaryFolder scratch;
  std::filesystem::create_directory(scratch / "mine");
  write_text(scratch / "mine/notes", "mine");
  const Model model = Model::open(golden("models/llama.v0.bin"));
  std::vector<std::string> notes;
  CHECK(contains(error_of([&] { write_llama_folder(model, scratch / "mine", {}, always, notes); }),
                 "a folder is never replaced"));
  CHECK_FALSE(write_llama_folder(model, scratch / "new", {}, [](int64_t) { return false; }, notes));
  size_t entries = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(scratch.path()))
    ++entries;
  CHECK(entries == 1);
}
