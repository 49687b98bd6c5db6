// SPDX-License-Identifier: Apache-2.0

// The check before a comparison, against a strategy that sees later tokens of its step.
#include "core/eval/step_check.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "sdk/kernel.hpp"
#include "sdk/rotary_attention.hpp"
#include "tests/support/damaged_model.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// Attends over all rows of the step, and declares nothing of it.
class Peeking final : public AttentionStrategy {
 public:
  Peeking(const ModelInfo& model, const Options& options)
      : model_(model),
        window_(options.integer("whole_window")),
        restless_(options.flag("restless")),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override { return {.constant_memory = true, .window_length = window_}; }
  std::vector<StateSpec> states() const override { return {}; }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    const Value mixed = op::attend(g, {q}, {{k, v, op::step_range(g)}}, model_.num_attention_heads,
                                   model_.num_key_value_heads);
    const Value y = op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
    return restless_ ? g.apply("count_calls", {y}) : y;
  }

 private:
  ModelInfo model_;
  int64_t window_;
  bool restless_;
  RotaryProjections projections_;
};

// Adds how often it was called: something that is no function of the window.
void count_calls(const int&, const perdure_call& call, int64_t row) {
  static std::atomic<int> n_calls{0};
  const auto* in = kernels::row_of<float>(call.inputs[0], row);
  auto* out = kernels::row_of<float>(call.outputs[0], row);
  for (int64_t i = 0; i < kernels::columns(call.inputs[0]); ++i)
    out[i] = in[i] + 0.01f * static_cast<float>(n_calls);
  ++n_calls;
}

int accept(const perdure_node*, void*) { return PERDURE_OK; }

class PeekingPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "peeking"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override {
    return {{.name = "whole_window", .type = OptionType::kInt, .default_value = int64_t{0}},
            {.name = "restless", .type = OptionType::kBool, .default_value = false}};
  }
  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t>) const override {
    return std::make_unique<Peeking>(model, options);
  }
  std::vector<Operation> operations() const override {
    return {{.name = "count_calls",
             .result = [](const std::vector<ValueType>& in, const Attributes&) { return in; }}};
  }
  std::span<const perdure_kernel> kernels() const override {
    static const perdure_kernel kernel =
        kernels::make_row_kernel<int, count_calls>("count_calls_f32_scalar", "count_calls", accept);
    return {&kernel, 1};
  }
};

const void* entry() {
  static const PeekingPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

std::string refusal(const std::string& model, std::vector<std::string> overrides,
                    bool accesses = false) {
  std::vector<StaticPlugin> plugins(linked_plugins().begin(), linked_plugins().end());
  plugins.push_back({"attention", "peeking", entry});
  Engine engine(golden_settings(model, std::move(overrides)), plugins);
  try {
    accesses ? check_accesses(engine, plugins, 200) : check_steps(engine, 200);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a strategy that sees later tokens of its step is refused, others are not") {
  CHECK(refusal("llama.v0.bin", {"attention.strategy=peeking"}).find("its logits differ by ") !=
        std::string::npos);
  for (const char* strategy :
       {"{strategy: full}", "{strategy: sliding_window, window: 16, sinks: 2}",
        "{strategy: full, rope_scaling: dynamic, factor: 2}"})
    CHECK(refusal("llama.v0.bin", {std::string("attention=") + strategy}) == "");
  for (const char* update : {"segment", "token", "never"})
    CHECK(refusal("memC_zero_unshared.q80.bin",
                  {std::string("attention={strategy: memory, update: ") + update + "}"}) == "");
  CHECK(refusal("llama.v0.bin", {"kernels={prefer: [simd]}"}) == "");
}

TEST_CASE("a model that gives no numbers is refused before it is compared") {
  const TemporaryFolder folder;
  const std::string nan = "model.path=" + model_with_nan(folder, 300);
  CHECK(refusal("llama.v0.bin", {nan}) ==
        "this entry cannot be compared: its logits are not finite at position 0");
  CHECK(refusal("llama.v0.bin", {nan}, true)
            .starts_with("this entry cannot be compared: its logits are not finite at position "));
}

TEST_CASE("whole windows must be finite, and the same however the text before them was read") {
  const std::string window = "attention={strategy: peeking, whole_window: 8}";
  CHECK(refusal("llama.v0.bin", {window}) == "");
  const TemporaryFolder folder;
  CHECK(refusal("llama.v0.bin", {window, "model.path=" + model_with_nan(folder, 300)}) ==
        "this entry cannot be compared: its logits are not finite at position 0");
  const std::string said = refusal("llama.v0.bin", {window, "attention.restless=true"});
  CHECK(said.find("read in long pieces, its logits differ by ") != std::string::npos);
  CHECK(said.find("as if it kept more than its window") != std::string::npos);
}

TEST_CASE("a strategy that reads ahead of its place is refused with node, row and position") {
  const std::string said = refusal("llama.v0.bin", {"attention.strategy=peeking"}, true);
  CHECK(said.starts_with("this entry cannot be compared: node "));
  CHECK(said.find("looks ahead") != std::string::npos);
  CHECK(said.find("position 0") != std::string::npos);
  CHECK(refusal("llama.v0.bin", {"attention.strategy=full"}, true) == "");
  CHECK(refusal("memA.q80.bin", {"attention.strategy=memory"}, true) == "");
}
