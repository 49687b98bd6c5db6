// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_config.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <map>

#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

// What a llama's config.json of these further members says.
ModelSpec spec_with(const std::string& members) {
  const TemporaryFolder folder;
  std::ofstream(folder / "config.json") << R"({"hidden_size": 64, "intermediate_size": 64,
    "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 300,
    "max_position_embeddings": 512, )" << members
                                        << "}";
  return llama_spec(HuggingFaceConfig(folder.path().string()), "LlamaForCausalLM");
}

using Texts = std::map<std::string, std::string>;

Texts scaling(const std::string& map) {
  Texts texts;
  const ModelSpec spec = spec_with("\"rope_scaling\": " + map);
  for (const auto& [name, option] : spec.strategy_options) texts[name] = option.value;
  return texts;
}

// The sentence, behind the path of config.json.
std::string refusal(const std::string& members) {
  const std::string error = error_of([&] { spec_with(members); });
  const size_t at = error.find("config.json: ");
  return at == error.npos ? "no config.json in: " + error : error.substr(at + 13);
}

}  // namespace

TEST_CASE("a scaling in config.json is read as transformers reads it") {
  CHECK(scaling(R"({"type": "yarn", "rope_type": "yarn", "factor": 4.0, "truncate": true})") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4"}});
  CHECK(scaling(R"({"type": "yarn", "factor": 4, "truncate": false})") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4"}, {"truncate", "false"}});
  CHECK(scaling(R"({"type": "su", "short_factor": [1, 2.5], "long_factor": [1, 4]})") ==
        Texts{{"rope_scaling", "longrope"}, {"short_factor", "1, 2.5"}, {"long_factor", "1, 4"}});
  const ModelSpec phi = spec_with(
      R"("original_max_position_embeddings": 128, "rope_scaling": {"type": "longrope",
         "short_factor": [1], "long_factor": [2]})");
  CHECK(phi.strategy_options.at("original_max_position_embeddings").value == "128");
  // Equal ones cancel each other out; either alone leaves YaRN's own temperature.
  const std::string yarn = R"({"type": "yarn", "factor": 40)";
  CHECK(scaling(yarn + R"(, "mscale": 1.0, "mscale_all_dim": 1.0})") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "40"}, {"attention_factor", "1"}});
  CHECK(scaling(yarn + R"(, "mscale_all_dim": 0.7})") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "40"}});
  CHECK(scaling(yarn + R"(, "mscale": 0.7})") == Texts{{"rope_scaling", "yarn"}, {"factor", "40"}});
  CHECK(scaling(R"({"rope_type": "default", "finetuned": true})").empty());
}

TEST_CASE("the base of the rotation may stand in several places, with one value") {
  const auto theta = [](const std::string& members) { return spec_with(members).info.rope_theta; };
  CHECK(theta("\"bos_token_id\": 1") == 10000.0);
  CHECK(theta(R"("rope_parameters": {"rope_type": "default", "rope_theta": 5e5})") == 5e5);
  CHECK(theta(R"("rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2,
                 "rope_theta": 500000}, "rope_parameters": null)") == 5e5);
  CHECK(refusal(R"("rope_theta": 10000.0, "rope_parameters": {"rope_theta": 5e5})") ==
        "key 'rope_theta' and key 'rope_parameters.rope_theta' have different values");
}

TEST_CASE(
    "a scaling in config.json that contradicts itself or changes numbers otherwise is named") {
  CHECK(refusal(R"("rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 4})") ==
        "rope_scaling gives two types, 'linear' and 'yarn'; type and rope_type must be the same");
  CHECK(contains(refusal(R"("rope_scaling": {"type": "linear", "factor": 4},
                            "rope_parameters": {"rope_type": "linear", "factor": 2})"),
                 "rope_scaling says 'factor' twice, with different values"));
  CHECK(refusal("\"rope_scaling\": []") == "key 'rope_scaling' must be a map");
  CHECK(refusal(R"("rope_scaling": {"type": {"a": 1}})") ==
        "rope_scaling.type must be a single value or a list of them");
  CHECK(refusal("\"eos_token_id\": [1, \"a\"]").starts_with("key 'eos_token_id' "));
}

TEST_CASE("a config.json or a shard that is a pointer of Git LFS is named as what it is") {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0";
  const TemporaryFolder folder;
  write_text(folder / "config.json", pointer);
  CHECK(contains(error_of([&] { Model::open(folder.path().string()); }),
                 "config.json: this is a Git LFS pointer"));
  write_text(folder / "model.safetensors", pointer);
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "model.safetensors"); }),
                 "model.safetensors: this is a Git LFS pointer"));
}

TEST_CASE("a scaling that fills a config.json of 256 KiB takes bounded memory") {
  std::string factors = "1";
  while (factors.size() < (size_t{1} << 18) - 1000) factors += ",1";
  const size_t peak = heap_peak_of([&] {
    const ModelSpec spec =
        spec_with(R"("rope_scaling": {"type": "su", "long_factor": [)" + factors + "]}");
    CHECK(spec.strategy_options.at("long_factor").value.starts_with("1, 1, "));
  });
  CHECK(peak < size_t{64} << 20);
}
