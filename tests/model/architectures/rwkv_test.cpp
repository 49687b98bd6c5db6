// SPDX-License-Identifier: Apache-2.0

// What is made of RWKV's tensors: the version, sizes, the weights' one form; and refusals.
#include "core/model/architectures/rwkv.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "core/model/formats/rwkv_safetensors.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/weight_values.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

std::string golden_rwkv(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/" + name + "/model.safetensors";
}

// The tensors of a golden model, to be changed.
struct Changed {
  explicit Changed(const std::string& name) : bytes(read_bytes(golden_rwkv(name))) {
    file.path = "m.safetensors";
    file.format = "a test";
    for (const auto& [tensor_name, tensor] : read_safetensors(bytes, "m"))
      file.tensors[tensor_name] = {tensor.shape, {.data = tensor.bytes.data()}};
  }

  void put(const std::string& name, std::vector<int64_t> shape, std::vector<float> values) {
    owned.push_back(std::move(values));
    file.tensors[name] = {std::move(shape), {.data = owned.back().data()}};
  }
  std::vector<float> values(const std::string& name) const {
    const RwkvTensor& tensor = file.tensors.at(name);
    int64_t n = 1;
    for (const int64_t size : tensor.shape) n *= size;
    Weight weight = tensor.weight;
    weight.rows = 1;
    weight.columns = n;
    return weight_values(weight);
  }
  std::string refusal() const {
    return error_of([&] { rwkv_model(file); });
  }

  Bytes bytes;
  RwkvFile file;
  std::deque<std::vector<float>> owned;
};

std::vector<float> transposed(const std::vector<float>& values, size_t rows) {
  const size_t columns = values.size() / rows;
  std::vector<float> turned(values.size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) turned[c * rows + r] = values[r * columns + c];
  return turned;
}

std::vector<float> weight_of(const Model& model, const std::string& name) {
  const Weight* weight = model.find(name);
  REQUIRE(weight != nullptr);
  return weight_values(*weight);
}

// Whether two models have the same weights up to rounding.
void check_same_weights(const Model& a, const Model& b) {
  REQUIRE(a.weights().size() == b.weights().size());
  for (const auto& [name, weight] : a.weights()) {
    CAPTURE(name);
    const Weight* other = b.find(name);
    REQUIRE(other != nullptr);
    CHECK(weight.rows == other->rows);
    CHECK(weight.columns == other->columns);
    const auto x = weight_values(weight), y = weight_values(*other);
    for (size_t i = 0; i < x.size(); ++i)
      REQUIRE(std::fabs(x[i] - y[i]) <= 1e-6f * std::fabs(x[i]));
  }
}

}  // namespace

TEST_CASE("RWKV's versions are recognised by their tensors") {
  const auto format = [](const char* name) { return Model::open(golden_rwkv(name)).spec().format; };
  CHECK(format("rand_v4") == "safetensors, RWKV 4");
  CHECK(format("rand_v5.0") == "safetensors, RWKV 5.0");
  CHECK(format("rand_v5.1") == "safetensors, RWKV 5.1");
  CHECK(format("rand_v5.2") == "safetensors, RWKV 5.2");
  CHECK(format("rand_v6") == "safetensors, RWKV 6");
  CHECK(format("rand_v7") == "safetensors, RWKV 7");
}

TEST_CASE("sizes of an RWKV model are those of its tensors, its eps is the metadata's") {
  const ModelSpec spec = Model::open(golden_rwkv("rand_v5.2")).spec();
  CHECK(spec.architecture == "rwkv");
  CHECK(spec.info.hidden_size == 48);
  CHECK(spec.info.num_hidden_layers == 2);
  CHECK(spec.info.num_attention_heads == 4);
  CHECK(spec.info.num_key_value_heads == 0);
  CHECK(spec.info.head_size == 12);
  CHECK(spec.info.vocab_size == 67);
  CHECK(spec.intermediate_size == 96);
  CHECK(spec.info.bos_id == -1);
  CHECK(spec.info.eos_ids.empty());  // the tokenizer's
  CHECK(spec.info.real("rwkv.group_norm_eps") == 64e-5);
  CHECK(Model::open(golden_rwkv("tiny_v5.2_5v2-730K")).spec().info.real("rwkv.group_norm_eps") ==
        1e-5);
  CHECK_THROWS_AS(Model::open(golden_rwkv("rand_v4")).spec().info.real("rwkv.group_norm_eps"),
                  Error);
}

TEST_CASE("RWKV's metadata must be a number above zero, or None") {
  const Changed golden("rand_v7");
  const SafetensorsMap tensors = read_safetensors(golden.bytes, "m.safetensors");
  const auto read = [&](const char* eps) {
    return read_rwkv_safetensors(tensors, {{"gn_eps", eps}}, "m.safetensors");
  };
  CHECK(read("0.25").spec().info.real("rwkv.group_norm_eps") == 0.25);
  CHECK(read("None").spec().info.real("rwkv.group_norm_eps") == 64e-5);
  for (const char* wrong : {"0", "-1", "1e-5x", "", "nan", "inf"})
    CHECK(error_of([&] { read(wrong); }) == "m.safetensors: the metadata 'gn_eps' is '" +
                                                std::string(wrong) +
                                                "' but must be a number above 0");
}

TEST_CASE("values that rwkv.cpp's converter changes give the same weights as BlinkDL's") {
  Changed v4("rand_v4"), v50("rand_v5.0"), v52("rand_v5.2"), v6("rand_v6"), v7("rand_v7");
  std::vector<Changed*> all = {&v4, &v50, &v52, &v6, &v7};
  std::vector<Model> originals;
  for (const Changed* one : all) originals.push_back(rwkv_model(one->file));
  const auto change = [](Changed& file, const std::string& name, std::vector<int64_t> shape,
                         float (*function)(float)) {
    std::vector<float> values = file.values(name);
    std::ranges::transform(values, values.begin(), function);
    file.put(name, std::move(shape), std::move(values));
  };
  const auto decayed = [](float x) { return std::exp(-std::exp(x)); };
  const auto turn = [](Changed& file, const std::string& name) {
    const auto shape = file.file.tensors.at(name).shape;
    file.put(name, {shape[1], shape[0]},
             transposed(file.values(name), static_cast<size_t>(shape[0])));
  };
  for (const std::string layer : {"blocks.0.", "blocks.1."}) {
    change(v4, layer + "att.time_decay", {32}, [](float x) { return -std::exp(x); });
    change(v50, layer + "att.time_decay", {3, 1, 1}, decayed);
    change(v50, layer + "att.time_first", {3, 1, 1}, [](float x) { return std::exp(x); });
    change(v52, layer + "att.time_decay", {4, 12, 1}, decayed);
    for (const char* name : {"att.time_maa_w1", "att.time_decay_w1", "att.time_decay_w2"})
      turn(v6, layer + name);
    std::vector<float> parts = v6.values(layer + "att.time_maa_w2"), turned;
    for (int64_t part = 0; part < 5; ++part) {
      const auto first = parts.begin() + part * 8 * 48;
      const auto one = transposed({first, first + 8 * 48}, 8);
      turned.insert(turned.end(), one.begin(), one.end());
    }
    v6.put(layer + "att.time_maa_w2", {5, 48, 8}, turned);
    std::vector<float> shifts;
    for (const char* name : {"r", "w", "k", "v", "a", "g"}) {
      const auto values = v7.values(layer + "att.x_" + name);
      shifts.insert(shifts.end(), values.begin(), values.end());
      v7.file.tensors.erase(layer + "att.x_" + name);
      for (const char* number : {"1", "2"})
        if (const std::string pair = layer + "att." + name + number; v7.file.tensors.contains(pair))
          turn(v7, pair);
    }
    v7.put(layer + "att.x_rwkvag", {6, 1, 48}, shifts);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i]->file.converted = true;
    check_same_weights(originals[i], rwkv_model(all[i]->file));
  }
}

TEST_CASE("one decay per head serves all channels of the head") {
  const auto decay = weight_of(Model::open(golden_rwkv("rand_v5.1")), "blk.1.time_mix_decay");
  const Changed golden("rand_v5.1");
  const auto heads = golden.values("blocks.1.att.time_decay");
  for (size_t i = 0; i < decay.size(); ++i) CHECK(decay[i] == std::exp(-std::exp(heads[i / 16])));
}

TEST_CASE("a tuned state is turned, and all layers have one or none") {
  Changed file("rand_v6");
  std::vector<float> state(3 * 16 * 16);
  for (size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(i);
  file.put("blocks.0.att.time_state", {3, 16, 16}, state);
  CHECK(file.refusal() ==
        "m.safetensors: only 1 of 2 layers have a tensor 'att.time_state'; all must, or none");
  file.put("blocks.1.att.time_state", {3, 16, 16}, state);
  const auto start = weight_of(rwkv_model(file.file), "blk.1.wkv_start");
  CHECK(start[(16 + 3) * 16 + 5] == static_cast<float>((16 + 5) * 16 + 3));
  file.put("blocks.1.att.time_state", {3, 16, 15}, state);
  CHECK(contains(file.refusal(), "'blocks.1.att.time_state' has the shape [3, 16, 15]"));
}

TEST_CASE("an RWKV tensor that is missing is named") {
  for (const char* version :
       {"rand_v4", "rand_v5.0", "rand_v5.1", "rand_v5.2", "rand_v6", "rand_v7"}) {
    const Changed whole(version);
    for (const auto& [name, tensor] : whole.file.tensors) {
      if (name == "blocks.0.att.r_k" || name == "blocks.0.att.time_maa_x" ||
          name == "blocks.0.att.ln_x.weight" || name == "blocks.0.att.gate.weight")
        continue;  // without it the version is another
      Changed file(version);
      file.file.tensors.erase(name);
      CAPTURE(name);
      CHECK(file.refusal() == "m.safetensors: the tensor '" + name + "' is missing");
    }
  }
}

TEST_CASE("RWKV tensors whose shapes contradict each other are named") {
  for (const char* version :
       {"rand_v4", "rand_v5.0", "rand_v5.1", "rand_v5.2", "rand_v6", "rand_v7"}) {
    const Changed whole(version);
    for (const auto& [name, tensor] : whole.file.tensors) {
      CAPTURE(version);
      CAPTURE(name);
      Changed file(version);
      file.file.tensors[name].shape = {7};
      CHECK(contains(file.refusal(), "m.safetensors: the"));
      file.file.tensors[name].shape.clear();
      CHECK(contains(file.refusal(), "m.safetensors: the"));
    }
  }
  Changed file("rand_v7");
  file.file.tensors["blocks.1.ffn.value.weight"].shape = {192, 48};
  CHECK(file.refusal() ==
        "m.safetensors: the tensor 'blocks.1.ffn.value.weight' has the shape [192, 48] but "
        "[48, 192] is needed");
}

TEST_CASE("a quantised RWKV vector is refused by its name and type") {
  Changed file("rand_v4");
  file.file.tensors["blocks.0.ln1.weight"].weight.dtype = PERDURE_Q8_0;
  CHECK(file.refusal() ==
        "m.safetensors: the tensor 'blocks.0.ln1.weight' has the type q8_0; vectors are F32, F16 "
        "or BF16");
}

TEST_CASE("RWKV with no heads, heads of nothing or heads that do not divide the width is refused") {
  Changed file("rand_v7");
  file.file.tensors["blocks.0.att.r_k"].shape = {0, 16};
  CHECK(file.refusal() ==
        "m.safetensors: the tensor 'blocks.0.att.r_k' has the shape [0, 16], which holds nothing");
  file.file.tensors["blocks.0.att.r_k"].shape = {3, 0};
  CHECK(contains(file.refusal(), "which holds nothing"));
  file.file.tensors["blocks.0.att.r_k"].shape = {5, 16};
  CHECK(contains(file.refusal(), "has 5 heads, which do not divide the width 48"));
  file.file.tensors["blocks.0.att.r_k"].shape = {int64_t{1} << 62, 16};
  CHECK(contains(file.refusal(), "too large"));
}

TEST_CASE("heads of one value, as a converter leaves a single head, are refused") {
  Changed file("rand_v6");
  for (const std::string layer : {"0", "1"})
    file.file.tensors["blocks." + layer + ".att.time_faaaa"].shape = {48, 1};
  CHECK(contains(file.refusal(), "has 48 heads of one value"));
}

TEST_CASE("layers with other heads than the first layer's are refused by the tensor's name") {
  const std::pair<const char*, const char*> cases[] = {{"rand_v5.2", "att.time_decay"},
                                                       {"rand_v5.2", "att.time_faaaa"},
                                                       {"rand_v6", "att.time_faaaa"},
                                                       {"rand_v7", "att.r_k"}};
  for (const auto& [version, part] : cases) {
    Changed file(version);
    const std::string name = std::string("blocks.1.") + part;
    file.file.tensors[name].shape = {6, 8};
    CHECK(contains(file.refusal(), "the tensor '" + name + "' has the shape [6, 8] but ["));
  }
}

TEST_CASE("a tensor that the version of block 0 does not have is refused by its name") {
  const auto refusal_with = [](const char* version, const char* name) {
    Changed file(version);
    file.put(name, {48}, std::vector<float>(48));
    return file.refusal();
  };
  CHECK(refusal_with("rand_v5.0", "blocks.1.att.gate.weight") ==
        "m.safetensors: the tensor 'blocks.1.att.gate.weight' is in no RWKV 5.0, as which block 0 "
        "shows the file; what it does is not known here");
  CHECK(contains(refusal_with("rand_v4", "blocks.1.att.r_k"), "is in no RWKV 4"));
  CHECK(contains(refusal_with("rand_v6", "head_q.weight"), "is in no RWKV 6"));
  CHECK(contains(refusal_with("rand_v7", "blocks.0.att.w3"), "is in no RWKV 7"));
  CHECK(refusal_with("rand_v7", "blocks.0.att.v1").empty());  // files have it, and do without it
}

TEST_CASE("RWKV variants that cannot be run are refused by name") {
  const auto refusal_with = [](const char* name) {
    Changed file("rand_v7");
    file.put(name, {1}, {0.0f});
    return file.refusal();
  };
  CHECK(refusal_with("blocks.1.ffn.s_emb.weight") ==
        "m.safetensors: this is RWKV version 7a or 7b (DeepEmbed), as the tensor "
        "'blocks.1.ffn.s_emb.weight' shows; versions 4, 5.0, 5.1, 5.2, 6 and 7 can be run");
  CHECK(contains(refusal_with("blocks.0.att.gate_w1"), "RWKV version 6 x060a, x060b or x060c"));
  CHECK(contains(refusal_with("blocks.0.rosa.emb"), "RWKV version 8 (ROSA)"));
}

TEST_CASE("RWKV layers far beyond any model are refused before their tensors are looked for") {
  Changed file("rand_v4");
  file.put("blocks.999999999.ln1.weight", {1}, {0.0f});
  CHECK(contains(file.refusal(), "num_hidden_layers is more than 4096"));
  file.put("blocks.99999999999999999999.ln1.weight", {1}, {0.0f});
  file.file.tensors.erase("blocks.999999999.ln1.weight");
  CHECK(contains(file.refusal(), "is in no RWKV 4"));  // no layer's name
  file.put("blocks.9223372036854775807.x", {1}, {0.0f});
  CHECK(file.refusal() ==
        "m.safetensors: the layer of 'blocks.9223372036854775807.x' is too large");
}
