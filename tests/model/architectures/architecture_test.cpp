// SPDX-License-Identifier: Apache-2.0

#include "core/model/architectures/architecture.hpp"

#include <doctest/doctest.h>

#include "core/api/operations.hpp"
#include "core/model/builder.hpp"

using namespace perdure;

namespace {

// Writes down what is asked of a graph, one line a node.
class Recorder final : public GraphBuilder {
 public:
  explicit Recorder(bool own_classifier) : own_classifier_(own_classifier) {}

  Value weight(std::string_view name) override { return named(std::string(name)); }
  bool has_weight(std::string_view name) const override {
    return name != "memory" && !name.ends_with(".bias") &&
           (name != "output.weight" || own_classifier_);
  }
  Value weight_rows(Value weight, int64_t, int64_t) override { return weight; }
  Value weight_columns(Value weight, int64_t, int64_t) override { return weight; }
  Value constant(std::string_view name, int64_t, int64_t, std::vector<float>) override {
    return named(std::string(name));
  }
  Value state(std::string_view name) override { return named("state " + std::string(name)); }
  Value apply(std::string_view operation, const std::vector<Value>& inputs, Attributes) override {
    std::string line(operation);
    for (const Value v : inputs) line += " " + names_[static_cast<size_t>(v.id)];
    lines.push_back(line);
    return named("%" + std::to_string(lines.size()));
  }
  std::vector<Value> apply_all(std::string_view operation, const std::vector<Value>& inputs,
                               Attributes attributes) override {
    return {apply(operation, inputs, std::move(attributes))};
  }
  const ValueType& type(Value) const override { return type_; }
  void output(std::string_view name, Value value) override {
    lines.push_back(std::string(name) + " = " + names_[static_cast<size_t>(value.id)]);
  }

  std::vector<std::string> lines;

 private:
  Value named(std::string name) {
    names_.push_back(std::move(name));
    return {static_cast<int32_t>(names_.size()) - 1};
  }

  bool own_classifier_;
  std::vector<std::string> names_;
  ValueType type_;
};

std::vector<std::string> llama_of_one_layer(bool own_classifier, std::vector<std::string> sources) {
  ModelSpec spec;
  spec.info.num_hidden_layers = 1;
  Recorder recorder(own_classifier);
  build_step(recorder, spec,
             {.mix = [](GraphBuilder& g, int64_t, Value x) { return g.apply("mix", {x}); },
              .sources = std::move(sources)});
  return recorder.lines;
}

}  // namespace

TEST_CASE(
    "a llama layer is mixing and feed-forward around the residual stream, and logits come from "
    "selected rows") {
  CHECK(llama_of_one_layer(true, {}) == std::vector<std::string>{
                                            "row_input token_embd.weight",
                                            "rms_norm %1 blk.0.attn_norm.weight",
                                            "mix %2",
                                            "add %1 %3",
                                            "rms_norm %4 blk.0.ffn_norm.weight",
                                            "mat_mul %5 blk.0.ffn_gate.weight",
                                            "silu %6",
                                            "mat_mul %5 blk.0.ffn_up.weight",
                                            "mul %7 %8",
                                            "mat_mul %9 blk.0.ffn_down.weight",
                                            "add %4 %10",
                                            "select_outputs %11",
                                            "rms_norm %12 output_norm.weight",
                                            "mat_mul %13 output.weight",
                                            "logits = %14",
                                        });
}

TEST_CASE("without a classifier of its own the token embedding is the classifier") {
  CHECK(llama_of_one_layer(false, {}).at(13) == "mat_mul %13 token_embd.weight");
}

TEST_CASE("sources of extra rows are weights where the model has them, states otherwise") {
  CHECK(llama_of_one_layer(true, {"memory", "mem_init"}).at(0) ==
        "row_input token_embd.weight state memory mem_init");
}

TEST_CASE("an unknown architecture is refused by name, and the known ones are listed") {
  ModelSpec spec;
  spec.architecture = "mamba";
  Recorder recorder(true);
  CHECK_THROWS_WITH_AS(build_step(recorder, spec, {}),
                       doctest::Contains("the architecture 'mamba' is unknown; known: llama, "),
                       Error);
}
