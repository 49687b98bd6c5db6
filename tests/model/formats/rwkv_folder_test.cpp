// SPDX-License-Identifier: Apache-2.0

// Golden models of RWKV under the names of transformers and of flash-linear-attention: what is read
// must be what is read under BlinkDL's.
#include "core/model/formats/rwkv_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/model/formats/safetensors.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

std::string golden_rwkv(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/" + name + "/model.safetensors";
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  if (const size_t at = text.find(from); at != text.npos) text.replace(at, from.size(), to);
}

void replace_end(std::string& text, std::string_view from, std::string_view to) {
  if (text.ends_with(from)) text.replace(text.size() - from.size(), from.size(), to);
}

// As transformers' converters of checkpoints name tensors.
std::string transformers_name(std::string name) {
  if (name == "head.weight") return name;
  replace(name, "emb.", "embeddings.");
  replace(name, "blocks.0.ln0", "blocks.0.pre_ln");
  replace(name, ".att.", ".attention.");
  replace(name, ".ffn.", ".feed_forward.");
  replace_end(name, "time_mix_k", "time_mix_key");
  replace_end(name, "time_mix_v", "time_mix_value");
  replace_end(name, "time_mix_r", "time_mix_receptance");
  replace_end(name, "time_mix_g", "time_mix_gate");
  return "rwkv." + name;
}

// As flash-linear-attention's converter of checkpoints of version 7 does.
std::string fla_name(std::string name) {
  if (name == "head.weight") return "lm_head.weight";
  if (name == "emb.weight") return "model.embeddings.weight";
  replace(name, "ln_out.", "model.norm.");
  replace(name, "blocks.", "model.layers.");
  replace(name, ".ln0.", ".pre_norm.");
  replace(name, ".ln1.", ".attn_norm.");
  replace(name, ".ln2.", ".ffn_norm.");
  if (name.find(".att.") != name.npos) {
    replace(name, ".att.", ".attn.");
    replace(name, "receptance", "r_proj");
    replace(name, "key", "k_proj");
    replace(name, "value", "v_proj");
    replace(name, "output", "o_proj");
    replace(name, "ln_x", "g_norm");
    for (const std::string part : {"w", "v", "a", "g"}) {
      replace_end(name, "." + part + "0", "." + part + "_lora.lora.2.bias");
      replace_end(name, "." + part + "1", "." + part + "_lora.lora.0.weight");
      replace_end(name, "." + part + "2", "." + part + "_lora.lora.2.weight");
    }
  }
  return name;
}

// F32 matrices, rows become columns.
Bytes turned(std::span<const std::byte> bytes, int64_t rows, int64_t columns) {
  Bytes out(bytes.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      std::memcpy(out.data() + 4 * (c * rows + r), bytes.data() + 4 * (r * columns + c), 4);
  return out;
}

struct Tensor {
  SafetensorsWriter::Declared about;
  Bytes bytes;
};

void write_file(const std::string& path, std::span<const Tensor> tensors) {
  std::vector<SafetensorsWriter::Declared> declared;
  for (const Tensor& t : tensors) declared.push_back(t.about);
  SafetensorsWriter writer(path, declared);
  for (const Tensor& t : tensors) writer.write(t.bytes);
  writer.close();
}

using Rename = std::string (*)(std::string);

std::vector<Tensor> renamed(const std::string& golden, Rename rename) {
  std::vector<Tensor> tensors;
  const SafetensorsFile file(golden_rwkv(golden));
  for (const auto& [name, tensor] : file.tensors()) {
    const std::string own = rename(name);
    auto shape = tensor.shape;
    Bytes bytes(tensor.bytes.begin(), tensor.bytes.end());
    if (own.find("_lora.") != own.npos && own.ends_with(".weight")) {
      bytes = turned(tensor.bytes, shape[0], shape[1]);
      std::swap(shape[0], shape[1]);
    } else if (rename == fla_name && shape.size() == 3 && own.find(".x_") == own.npos) {
      shape = {shape[2]};
    }
    // Layer 0 has no use for its share of the first value; the converter drops it.
    if (rename == fla_name && name.starts_with("blocks.0.att.v") && own.find("_lora.") != own.npos)
      continue;
    tensors.push_back({{own, tensor.dtype, shape}, bytes});
  }
  return tensors;
}

const char* const kV7 =
    R"({"model_type": "rwkv7", "architectures": ["RWKV7ForCausalLM"], "norm_eps": 1e-05,
        "hidden_size": 48, "num_hidden_layers": 2, "vocab_size": 89, "attn": null,
        "norm_first": true, "hidden_act": "sqrelu", "head_dim": 16, "tie_word_embeddings": false})";

std::string refusal(const std::string& folder) {
  return error_of([&] { Model::open(folder); });
}

}  // namespace

TEST_CASE("folders of transformers hold the same models as BlinkDL's checkpoints") {
  for (const std::string name : {"rand_v4", "rand_v5.0", "rand_v5.1", "rand_v5.2", "rand_v6"}) {
    CAPTURE(name);
    const testing::TemporaryFolder folder;
    write_file(folder / "model.safetensors", renamed(name, transformers_name));
    write_text(folder / "config.json",
               R"({"model_type": "rwkv6", "layer_norm_epsilon": 1e-05, "tie_word_embeddings": false,
                   "attention_hidden_size": null, "head_size_divisor": 8})");
    const Model model = Model::open(folder.path().string()),
                original = Model::open(golden_rwkv(name));
    CHECK(model.weights_hash() == original.weights_hash());
    CHECK(model.spec().info.sizes == original.spec().info.sizes);
    CHECK(model.spec().info.reals == original.spec().info.reals);
    CHECK(model.spec().format.starts_with("Hugging Face rwkv6"));
    CHECK(model.files().size() == 1);
  }
}

TEST_CASE("folders of flash-linear-attention hold the same models as BlinkDL's checkpoints") {
  const Model original = Model::open(golden_rwkv("rand_v7"));
  const testing::TemporaryFolder folder;
  write_text(folder / "config.json", kV7);
  std::vector<Tensor> tensors = renamed("rand_v7", fla_name);
  const auto half = static_cast<std::ptrdiff_t>(tensors.size() / 2);
  write_file(folder / "model-00001-of-00002.safetensors", std::span(tensors).first(half));
  write_file(folder / "model-00002-of-00002.safetensors", std::span(tensors).subspan(half));
  const Model model = Model::open(folder.path().string());
  CHECK(model.weights_hash() == original.weights_hash());
  CHECK(model.spec().info.sizes == original.spec().info.sizes);
  // 1e-5 for each of the 16 values of a head, as that program has it.
  CHECK(model.spec().info.reals.at("rwkv.group_norm_eps") == doctest::Approx(16e-5));
  CHECK(model.files().size() == 2);
}

TEST_CASE("the first version of flash-linear-attention's names has the shifts in one tensor") {
  std::vector<Tensor> tensors = renamed("rand_v7", fla_name);
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    Tensor joined{{layer + "attn.x_x", "F32", {6, 48}}, {}};
    for (const char* part : {"r", "w", "k", "v", "a", "g"}) {
      const auto one = std::ranges::find(tensors, layer + "attn.x_" + part,
                                         [](const Tensor& t) { return t.about.name; });
      REQUIRE(one != tensors.end());
      joined.bytes.insert(joined.bytes.end(), one->bytes.begin(), one->bytes.end());
      tensors.erase(one);
    }
    tensors.push_back(joined);
  }
  const testing::TemporaryFolder folder;
  write_text(folder / "config.json", kV7);
  write_file(folder / "model.safetensors", tensors);
  CHECK(Model::open(folder.path().string()).weights_hash() ==
        Model::open(golden_rwkv("rand_v7")).weights_hash());
}

TEST_CASE("the eps of the heads' norm follows the divisor that the configuration gives") {
  const testing::TemporaryFolder folder;
  write_file(folder / "model.safetensors", renamed("rand_v6", transformers_name));
  const auto eps_with = [&](const std::string& config) {
    write_text(folder / "config.json", config);
    return Model::open(folder.path().string()).spec().info.reals.at("rwkv.group_norm_eps");
  };
  CHECK(eps_with(R"({"model_type": "rwkv6"})") == doctest::Approx(64e-5));
  CHECK(eps_with(R"({"model_type": "rwkv6", "head_size_divisor": 4})") == doctest::Approx(16e-5));
}

TEST_CASE("tied embeddings are the classifier too") {
  std::vector<Tensor> tensors = renamed("rand_v4", transformers_name);
  std::erase_if(tensors, [](const Tensor& t) { return t.about.name == "head.weight"; });
  const testing::TemporaryFolder folder;
  write_file(folder / "model.safetensors", tensors);
  write_text(folder / "config.json", R"({"model_type": "rwkv", "tie_word_embeddings": true})");
  const Model model = Model::open(folder.path().string());
  CHECK(model.find("output.weight")->data == model.find("token_embd.weight")->data);
  write_text(folder / "config.json", R"({"model_type": "rwkv"})");
  CHECK(contains(refusal(folder.path().string()), "'head.weight' is missing"));
}

TEST_CASE("a configuration that asks for what cannot be run is refused with its key") {
  const testing::TemporaryFolder folder;
  write_file(folder / "model.safetensors", renamed("rand_v7", fla_name));
  const std::pair<const char*, const char*> cases[] = {
      {R"("norm_eps": 1e-6)", "key 'norm_eps' must be 1e-5, as in every RWKV that can be run"},
      {R"("layer_norm_epsilon": 1e-6)", "key 'layer_norm_epsilon' must be 1e-5"},
      {R"("attn": {"layers": [1]})", "key 'attn' gives some layers attention"},
      {R"("norm_first": false)", "key 'norm_first' must be true"},
      {R"("hidden_act": "gelu")", "key 'hidden_act' must be sqrelu"},
      {R"("norm_first": 3)", "key 'norm_first' cannot be read"},
      {R"("hidden_size": 64)", "key 'hidden_size' is 64 but the tensors make it 48"},
      {R"("num_hidden_layers": 3)", "key 'num_hidden_layers' is 3 but the tensors make it 2"},
      {R"("head_dim": 24)", "key 'head_dim' is 24 but the tensors make it 16"},
      {R"("vocab_size": 90)", "key 'vocab_size' is 90 but the tensors make it 89"}};
  for (const auto& [line, sentence] : cases) {
    write_text(folder / "config.json", std::string(R"({"model_type": "rwkv7", )") + line + "}");
    CHECK(contains(refusal(folder.path().string()), (folder / "config.json") + ": " + sentence));
  }
}

TEST_CASE("a folder without weights that can be read is refused") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path().string();
  write_text(folder / "config.json", kV7);
  CHECK(contains(refusal(path), "there is neither model.safetensors nor a first shard"));
  write_text(folder / "pytorch_model-00001-of-00002.bin", "");
  CHECK(contains(refusal(path), "apps/train/train.py convert-rwkv IN.bin OUT.safetensors"));
  write_file(folder / "model-00001-of-00002.safetensors", renamed("rand_v7", fla_name));
  CHECK(contains(refusal(path), "model-00002-of-00002.safetensors"));
  write_file(folder / "model-00002-of-00002.safetensors", renamed("rand_v7", fla_name));
  CHECK(contains(refusal(path), "is there twice"));
}

TEST_CASE("only folders whose configuration says so are RWKV's") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path().string();
  CHECK_FALSE(is_rwkv_folder(path));
  CHECK(contains(refusal(path), "holds no model of a known format"));
  for (const char* text : {"", "{", "{}", R"({"model_type": 7})", R"({"model_type": "llama"})"}) {
    write_text(folder / "config.json", text);
    CHECK_FALSE(is_rwkv_folder(path));
  }
  CHECK(contains(refusal(path), "key 'architectures' is missing"));
  for (const char* type : {"rwkv", "rwkv5", "rwkv6", "rwkv7"}) {
    write_text(folder / "config.json", std::string(R"({"model_type": ")") + type + "\"}");
    CHECK(is_rwkv_folder(path));
  }
}

TEST_CASE("names that are neither transformers' nor flash-linear-attention's stay") {
  for (const char* name : {"emb.weight", "blocks.0.att.key.weight", "ln_out.bias", "rwkv.blocks.x",
                           "model.layers", ""})
    CHECK(blinkdl_name(name) == name);
}
