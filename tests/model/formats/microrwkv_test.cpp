// SPDX-License-Identifier: Apache-2.0

// MicroRWKV's safetensors: what is refused, by name.
#include <doctest/doctest.h>

#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using namespace perdure::testing;

namespace {

const std::string kModel =
    std::string(PERDURE_SOURCE_DIR) + "/tests/golden/microrwkv/bias_crop/model.safetensors";

Shapes shapes() { return shapes_of(kModel); }

// The sentence with which a file of zeros of these shapes is refused.
std::string refusal(const Shapes& shapes) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  write_zeros(path, shapes);
  const std::string sentence = error_of([&] { Model::open(path); });
  CHECK((sentence.empty() || contains(sentence, path)));
  return sentence;
}

}  // namespace

TEST_CASE("a MicroRWKV file tells its sizes by its tensors") {
  const Model model = Model::open(kModel);
  CHECK(model.spec().architecture == "microrwkv");
  CHECK(model.spec().info.hidden_size == 32);
  CHECK(model.spec().info.num_hidden_layers == 3);
  CHECK(model.spec().info.num_attention_heads == 2);
  CHECK(model.spec().info.train_length == 48);
  CHECK(model.spec().info.size("num_experts") == 3);  // those that are active
  CHECK(model.find("blk.0.ffn_gate.weight")->rows == 6);
  CHECK(refusal(shapes()).empty());
}

TEST_CASE("a MicroRWKV file without one of its tensors is refused by the tensor's name") {
  const Shapes all = shapes();
  for (const auto& [name, shape] : all) {
    const bool always = name.find("moe.") != name.npos || name.find("ln_x.") != name.npos;
    if (name.ends_with(".bias") && !always) continue;  // a model may be without them
    CAPTURE(name);
    Shapes some = all;
    some.erase(name);
    CHECK(refusal(some).find(name) != std::string::npos);
  }
}

TEST_CASE("a MicroRWKV file whose shapes contradict each other is refused by the tensor's name") {
  const Shapes all = shapes();
  for (const auto& [name, shape] : all) {
    CAPTURE(name);
    Shapes other = all;
    other[name].front() += name.find("wpe") == std::string::npos ? 1 : 0;
    other[name].back() += 1;
    CHECK_FALSE(refusal(other).empty());
  }
}

TEST_CASE("a tensor that no MicroRWKV has is refused by its name") {
  for (const char* name :
       {"transformer.h.0.tmix.time_decay_w1", "transformer.h.1.moe.experts.7.bias"}) {
    Shapes more = shapes();
    more[name] = {2};
    CHECK(refusal(more).find("the tensor '" + std::string(name) + "' is in no MicroRWKV") !=
          std::string::npos);
  }
}
