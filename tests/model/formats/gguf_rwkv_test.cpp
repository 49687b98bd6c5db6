// SPDX-License-Identifier: Apache-2.0

// GGUF files of rwkv6 and rwkv7, made of the golden checkpoints as llama.cpp's converter makes
// them.
#include "core/model/formats/gguf_rwkv.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/model/formats/gguf_writer.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

std::string checkpoint(const char* version) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/rand_v" + version +
         "/model.safetensors";
}

using Values = std::vector<float>;

Values values_of(const SafetensorsTensor& tensor) {
  REQUIRE(tensor.dtype == "F32");
  Values values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

// `n` matrices [rows, columns], each transposed.
Values transposed(const Values& values, size_t n, size_t rows, size_t columns) {
  Values turned;
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < columns; ++c)
      for (size_t r = 0; r < rows; ++r) turned.push_back(values[(i * rows + r) * columns + c]);
  return turned;
}

const std::pair<const char*, const char*> kNames[] = {
    {"ln1", "attn_norm"},
    {"ln2", "attn_norm_2"},
    {"att.ln_x", "time_mix_ln"},
    {"att.receptance", "time_mix_receptance"},
    {"att.key", "time_mix_key"},
    {"att.value", "time_mix_value"},
    {"att.gate", "time_mix_gate"},
    {"att.output", "time_mix_output"},
    {"att.time_maa_w1", "time_mix_w1"},
    {"att.time_maa_w2", "time_mix_w2"},
    {"att.time_decay_w1", "time_mix_decay_w1"},
    {"att.time_decay_w2", "time_mix_decay_w2"},
    {"att.time_decay", "time_mix_decay"},
    {"att.time_faaaa", "time_mix_first"},
    {"att.time_maa_x", "time_mix_lerp_x"},
    {"ffn.time_maa_k", "channel_mix_lerp_k"},
    {"ffn.time_maa_r", "channel_mix_lerp_r"},
    {"ffn.x_k", "channel_mix_lerp_k"},
    {"ffn.key", "channel_mix_key"},
    {"ffn.value", "channel_mix_value"},
    {"ffn.receptance", "channel_mix_receptance"},
};

// A file in the making.
struct Made {
  GgufKeys keys;
  std::vector<GgufDeclared> declared;
  std::vector<Values> data;

  void add(const std::string& name, std::vector<int64_t> shape, Values values) {
    declared.push_back({name, PERDURE_F32, std::move(shape)});
    data.push_back(std::move(values));
  }
  void write(const std::string& path) {
    GgufWriter writer(path, keys, declared, {});
    for (const Values& values : data) writer.write(std::as_bytes(std::span(values)));
    writer.verify();
    writer.commit();
  }
  Values& values(const std::string& name) {
    for (size_t i = 0; i < declared.size(); ++i)
      if (declared[i].name == name) return data[i];
    throw Error("the test has no tensor " + name);
  }
};

std::string own_name(const std::string& inside) {
  std::string stem = inside, end = ".weight";
  for (const char* known : {".weight", ".bias"})
    if (inside.ends_with(known)) {
      stem.resize(stem.size() - std::string_view(known).size());
      end = known;
    }
  for (const auto& [theirs, ours] : kNames)
    if (stem == theirs) return ours + end;
  return stem.starts_with("att.") ? "time_mix_" + stem.substr(4) + end : inside;
}

// Matrices with the input first, once or five times.
bool is_low_rank(const std::string& inside) {
  static const std::vector<std::string> kLowRank = {"att.time_maa_w1",
                                                    "att.time_maa_w2",
                                                    "att.time_decay_w1",
                                                    "att.time_decay_w2",
                                                    "att.w1",
                                                    "att.w2",
                                                    "att.a1",
                                                    "att.a2",
                                                    "att.v1",
                                                    "att.v2",
                                                    "att.g1",
                                                    "att.g2"};
  return std::ranges::count(kLowRank, inside) > 0;
}

void add_tensor(Made& made, const std::string& prefix, const std::string& inside,
                const SafetensorsTensor& tensor) {
  Values values = values_of(tensor);
  std::vector<int64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
  if (is_low_rank(inside)) {
    const size_t n = shape.size() == 3 ? static_cast<size_t>(shape[2]) : 1;
    values = transposed(values, n, static_cast<size_t>(shape[1]), static_cast<size_t>(shape[0]));
    std::swap(shape[0], shape[1]);
  } else {
    while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
  }
  if (inside == "att.r_k") shape = {std::ssize(values)};
  made.add(prefix + own_name(inside), std::move(shape), std::move(values));
}

Made made_of(const char* version, const std::string& architecture,
             const std::vector<std::string>& shifts) {
  const SafetensorsFile file(checkpoint(version));
  const Model model = Model::open(checkpoint(version));
  const ModelInfo& info = model.spec().info;
  Made made;
  made.keys.set_text("general.architecture", architecture);
  const auto set = [&](const char* key, int64_t value) {
    made.keys.set_whole(architecture + "." + key, static_cast<uint32_t>(value));
  };
  set("context_length", 512);
  set("embedding_length", info.hidden_size);
  set("block_count", info.num_hidden_layers);
  set("feed_forward_length", model.spec().intermediate_size);
  set("wkv.head_size", info.head_size);
  set("attention.head_count", 0);
  made.keys.set_real(architecture + ".attention.layer_norm_epsilon", 1e-5f);
  const std::pair<const char*, const char*> outside[] = {
      {"emb.weight", "token_embd.weight"},
      {"blocks.0.ln0.weight", "token_embd_norm.weight"},
      {"blocks.0.ln0.bias", "token_embd_norm.bias"},
      {"ln_out.weight", "output_norm.weight"},
      {"ln_out.bias", "output_norm.bias"},
      {"head.weight", "output.weight"}};
  for (const auto& [theirs, ours] : outside) {
    const SafetensorsTensor& tensor = *file.find(theirs);
    made.add(ours, {tensor.shape.rbegin(), tensor.shape.rend()}, values_of(tensor));
  }
  for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) {
    const std::string from = "blocks." + std::to_string(layer) + ".",
                      to = "blk." + std::to_string(layer) + ".";
    Values fused;
    for (const std::string& shift : shifts) {
      const Values values = values_of(*file.find(from + shift));
      fused.insert(fused.end(), values.begin(), values.end());
    }
    made.add(to + "time_mix_lerp_fused.weight", {info.hidden_size, 1, 1, std::ssize(shifts)},
             std::move(fused));
    for (const auto& [name, tensor] : file.tensors()) {
      if (!name.starts_with(from) || name.starts_with(from + "ln0")) continue;
      const std::string inside = name.substr(from.size());
      if (std::ranges::count(shifts, inside) == 0) add_tensor(made, to, inside, tensor);
    }
  }
  return made;
}

const std::vector<std::string> kShifts6 = {"att.time_maa_w", "att.time_maa_k", "att.time_maa_v",
                                           "att.time_maa_r", "att.time_maa_g"};
const std::vector<std::string> kShifts7 = {"att.x_r", "att.x_w", "att.x_k",
                                           "att.x_v", "att.x_a", "att.x_g"};

std::string refusal_of(Made& made) {
  const TemporaryFolder scratch;
  made.write(scratch / "m.gguf");
  return error_of([&] { Model::open(scratch / "m.gguf"); });
}

}  // namespace

TEST_CASE("rwkv6 and rwkv7 of GGUF are the models of their checkpoints, weight for weight") {
  const TemporaryFolder scratch;
  made_of("6", "rwkv6", kShifts6).write(scratch / "6.gguf");
  made_of("7", "rwkv7", kShifts7).write(scratch / "7.gguf");
  for (const char* version : {"6", "7"}) {
    CAPTURE(version);
    const Model ours = Model::open(scratch / (std::string(version) + ".gguf"));
    const Model theirs = Model::open(checkpoint(version));
    CHECK(ours.spec().architecture == "rwkv");
    CHECK(ours.spec().info.size("rwkv.version") == std::stoi(version));
    CHECK(ours.spec().info.num_attention_heads == theirs.spec().info.num_attention_heads);
    CHECK(ours.weights_hash() == theirs.weights_hash());
  }
}

TEST_CASE("what a file has halved every few layers is what it was again") {
  const TemporaryFolder scratch;
  Made made = made_of("6", "rwkv6", kShifts6);
  const Model theirs = Model::open(checkpoint("6"));
  made.keys.set_whole("rwkv6.rescale_every_n_layers", 1);
  for (int64_t layer = 1; layer < theirs.spec().info.num_hidden_layers; ++layer)
    for (const char* part : {"time_mix_output.weight", "channel_mix_value.weight"})
      for (float& value : made.values("blk." + std::to_string(layer) + "." + part))
        value = std::ldexp(value, -static_cast<int>(layer));
  made.write(scratch / "m.gguf");
  CHECK(Model::open(scratch / "m.gguf").weights_hash() == theirs.weights_hash());
}

TEST_CASE("a file of RWKV that contradicts itself is refused by key or tensor") {
  Made eps = made_of("6", "rwkv6", kShifts6);
  eps.keys.set_real("rwkv6.attention.layer_norm_epsilon", 1e-6f);
  CHECK(contains(refusal_of(eps), "'rwkv6.attention.layer_norm_epsilon' must be 1e-5"));
  Made heads = made_of("7", "rwkv7", kShifts7);
  heads.keys.set_whole("rwkv7.wkv.head_size", 7);
  CHECK(contains(refusal_of(heads), "'rwkv7.wkv.head_size' does not divide"));
  Made layers = made_of("7", "rwkv7", kShifts7);
  layers.keys.set_whole("rwkv7.block_count", 77);
  CHECK(contains(refusal_of(layers), "'rwkv7.block_count' is 77"));
  Made other = made_of("7", "rwkv7", kShifts7);
  other.add("blk.0.attn_q.weight", {4}, Values(4));
  CHECK(contains(refusal_of(other), "'blk.0.attn_q.weight' has no meaning in a model of RWKV"));
  Made fused = made_of("6", "rwkv6", kShifts6);
  fused.values("blk.0.time_mix_lerp_fused.weight").resize(16);
  for (GgufDeclared& declared : fused.declared)
    if (declared.name == "blk.0.time_mix_lerp_fused.weight") declared.shape = {16};
  CHECK(contains(refusal_of(fused), "must hold five rows"));
  Made absent = made_of("6", "rwkv6", kShifts6);
  absent.keys.erase("rwkv6.wkv.head_size");
  CHECK(contains(refusal_of(absent), "'rwkv6.wkv.head_size' is missing"));
}
