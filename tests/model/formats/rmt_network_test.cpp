// SPDX-License-Identifier: Apache-2.0

// Networks of recurrent-memory-transformer-pytorch in safetensors: what is read, and what is
// refused by name.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "core/model/formats/weight_values.hpp"
#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using namespace perdure::testing;

namespace {

const std::string kGolden = std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rmt/";
// Rotated, three streams.
const std::string kModel = kGolden + "rotary_noxl/model.safetensors";
const std::string kSizes =
    R"("dim": 32, "num_tokens": 67, "depth": 2, "num_memory_tokens": 4, "seq_len": 12,
       "dim_head": 16, "heads": 2, "num_residual_streams": 3)";
const std::string kRotary = R"(, "abs_pos_emb": false, "rotary_pos_emb": true)";

std::string options_of(const std::string& arguments) {
  return R"({"constructor": {)" + arguments + "}}";
}

// The sentence with which a file of zeros of these shapes is refused.
std::string refusal(const Shapes& shapes, const std::string& json,
                    const char* json_name = "model.json") {
  const TemporaryFolder folder;
  write_zeros(folder / "model.safetensors", shapes);
  write_text(folder / json_name, json);
  return error_of([&] { Model::open(folder / "model.safetensors"); });
}

std::string refusal_of(const std::string& arguments) {
  return refusal(shapes_of(kModel), options_of(arguments));
}

std::vector<float> values_of(const Model& model, const std::string& name) {
  REQUIRE(model.find(name) != nullptr);
  return weight_values(*model.find(name));
}

}  // namespace

TEST_CASE("a network of recurrent memory is read with the sizes of its constructor") {
  const Model model = Model::open(kGolden + "rotary_xl_short/model.safetensors");
  const ModelInfo& info = model.spec().info;
  CHECK(model.spec().architecture == "rmt");
  CHECK(info.hidden_size == 32);
  CHECK(info.head_size == 16);
  CHECK(info.num_key_value_heads == 0);
  CHECK(info.train_length == 12);
  CHECK(info.size("rmt.num_memory_tokens") == 4);
  CHECK(info.size("rmt.xl_mem_len") == 7);
  CHECK(info.size("rmt.num_residual_streams") == 2);
  CHECK(info.size("rmt.mixed_streams") == 1);
  CHECK(model.spec().intermediate_size == 85);
  CHECK(model.find("blk.0.value_mix.weight") == nullptr);
  CHECK(model.find("blk.1.value_mix.weight")->rows == 2);
  CHECK(Model::open(kGolden + "defaults_xl_hc017/model.safetensors")
            .spec()
            .info.size("rmt.mixed_streams") == 0);
}

TEST_CASE("the parts of a network of recurrent memory come from their rows of its tensors") {
  const std::string path = kGolden + "rotary_xl_short/model.safetensors";
  const Model model = Model::open(path);
  const SafetensorsFile file(path);
  const auto tensor = [&](const std::string& name) {
    std::vector<float> values(file.find(name)->bytes.size() / sizeof(float));
    std::memcpy(values.data(), file.find(name)->bytes.data(), file.find(name)->bytes.size());
    return values;
  };
  const auto kv = tensor("layers.1.0.branch.to_kv.weight");
  CHECK(values_of(model, "blk.1.attn_v.weight") ==
        std::vector<float>(kv.begin() + 32 * 32, kv.end()));
  const auto inner = tensor("layers.1.1.branch.1.weight");
  CHECK(values_of(model, "blk.1.ffn_gate.weight") ==
        std::vector<float>(inner.begin() + 85 * 32, inner.end()));
  const auto alpha = tensor("layers.0.1.dynamic_alpha_fn");  // [32, 3]
  const auto dynamic = values_of(model, "blk.0.ffn_streams.dynamic");
  REQUIRE(dynamic.size() == 4 * 32);
  CHECK(dynamic[2 * 32 + 5] == alpha[5 * 3 + 2]);
  CHECK(dynamic[3 * 32 + 5] == tensor("layers.0.1.dynamic_beta_fn")[5]);
  // Places 9999 .. 9999 + 7 + 12 and 0.
  const auto angles = values_of(model, "key_angles");
  REQUIRE(angles.size() == 21 * 16);
  const float angle = 10002.0f * tensor("rotary_pos_emb.inv_freq")[1];
  CHECK(angles[3 * 16 + 2] == std::cos(angle));
  CHECK(angles[3 * 16 + 3] == std::sin(angle));
  CHECK(angles[20 * 16] == 1.0f);
  CHECK(angles[20 * 16 + 1] == 0.0f);
}

TEST_CASE("a network of recurrent memory is the same behind the names of its wrapper") {
  Shapes wrapped;
  for (const auto& [name, shape] : shapes_of(kModel)) wrapped["transformer." + name] = shape;
  const std::string options = options_of(kSizes + kRotary);
  CHECK(refusal(wrapped, options).empty());
  CHECK(refusal(shapes_of(kModel), options).empty());
  CHECK(refusal(shapes_of(kModel), options, "config.json").empty());
  CHECK(contains(refusal(shapes_of(kModel), options, "other.json"), "config.json"));
}

TEST_CASE("a network of recurrent memory may leave out the frequencies of its rotation") {
  Shapes shapes = shapes_of(kModel);
  shapes.erase("rotary_pos_emb.inv_freq");
  CHECK(refusal(shapes, options_of(kSizes + kRotary)).empty());
}

TEST_CASE("a network of recurrent memory without a tensor, or with another shape, is refused") {
  const Shapes all = shapes_of(kModel);
  const std::string options = options_of(kSizes + kRotary);
  for (const auto& [name, shape] : all) {
    CAPTURE(name);
    Shapes some = all;
    some.erase(name);
    if (name != "rotary_pos_emb.inv_freq" && name != "read_memory_emb")
      CHECK(contains(refusal(some, options), "'" + name + "' is missing"));
    some[name] = shape;
    some[name].push_back(2);
    CHECK(contains(refusal(some, options), name));
  }
  Shapes more = all;
  more["layers.0.0.branch.learned_value_residual_mix.0.weight"] = {2, 32};
  CHECK(contains(refusal(more, options), "learned_value_residual_mix"));
}

TEST_CASE("arguments that a network of recurrent memory cannot have are refused by name") {
  const auto refused = [](const std::string& more, const char* why) {
    CAPTURE(more);
    CHECK(contains(refusal_of(kSizes + more), why));
  };
  refused(R"(, "abs_pos_emb": false)", "abs_pos_emb");
  refused(kRotary + R"(, "memory_not_causal": false)", "'constructor.memory_not_causal'");
  refused(kRotary + R"(, "xl_mem_len": 13)", "'constructor.xl_mem_len' is more than seq_len");
  refused(kRotary + R"(, "xl_mem_len": 0)", "'constructor.xl_mem_len'");
  refused(kRotary + R"(, "token_shift": true)", "versions below 0.6");
  refused(kRotary + R"(, "seq_length": 3)", "'constructor.seq_length' is not an argument");
  refused(kRotary + R"(, "causal": 1)", "'constructor.causal' must be true or false");
  refused(kRotary + R"(, "ff_mult": "4")", "'constructor.ff_mult'");
  refused(kRotary + R"(, "ff_mult": 1e300)", "'constructor.ff_mult'");
  CHECK(contains(refusal_of(R"("dim": 32)"), "'constructor.num_tokens' is missing"));
  CHECK(contains(refusal(shapes_of(kModel), "{}"), "'constructor'"));
  CHECK(contains(refusal(shapes_of(kModel), "[]"), "'constructor'"));
  CHECK(contains(refusal(shapes_of(kModel), R"({"constructor": {)" + kSizes + kRotary +
                                                R"(}, "residual_streams_flavor": "both"})"),
                 "'residual_streams_flavor'"));
}

TEST_CASE("sizes beyond any RAM are refused before anything is reserved for them") {
  const auto sizes = [](const char* tokens, const char* streams) {
    return std::string(R"("dim": 32, "num_tokens": 67, "depth": 2, "num_memory_tokens": 4,
                          "dim_head": 16, "heads": 2, "seq_len": )") +
           tokens + R"(, "num_residual_streams": )" + streams + kRotary;
  };
  CHECK(contains(refusal_of(sizes("65537", "3")), "seq_len is more than 65536"));
  CHECK(contains(refusal_of(sizes("2147483648", "3")), "'constructor.seq_len'"));
  CHECK(contains(refusal_of(sizes("12", "65")), "num_residual_streams is more than 64"));
  // A head that the file has, but whose angles would be 2 GiB.
  Shapes wide = shapes_of(kModel);
  for (auto& [name, shape] : wide) {
    if (contains(name, "inv_freq")) shape = {2048};
    if (contains(name, "null_kv")) shape = {2, 2, 4096};
    if (contains(name, "to_q")) shape = {8192, 32};
    if (contains(name, "to_kv")) shape = {16384, 32};
    if (contains(name, "to_out")) shape = {32, 8192};
  }
  const std::string arguments =
      R"("dim": 32, "num_tokens": 67, "depth": 2, "num_memory_tokens": 4, "seq_len": 65536,
         "dim_head": 4096, "heads": 2, "num_residual_streams": 3)" +
      kRotary;
  CHECK(contains(refusal(wide, options_of(arguments)), "angles"));
}
