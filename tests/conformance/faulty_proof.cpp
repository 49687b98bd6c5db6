// SPDX-License-Identifier: Apache-2.0

#include "tests/conformance/faulty_proof.hpp"

#include <limits>

#include "core/api/plugin.h"
#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

constexpr int64_t kWindow = 6;

class FaultyProof final : public AttentionStrategy {
 public:
  FaultyProof(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        fault_(options.text("fault")),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override { return {.constant_memory = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.num_key_value_heads * model_.head_size,
                          .growth = Growth::kRing,
                          .rows = kWindow});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, keys, place);
    op::state_write(g, spoiled(g, v), values, place);
    const Value mixed = op::attend(g, {q}, {{keys, values, range(g, place)}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  Value range(GraphBuilder& g, Value place) const {
    if (fault_ == "looks_ahead") return op::window_range(g, op::map_index(g, place, 1), kWindow);
    if (fault_ == "lost_rows") return op::window_range(g, place);
    if (fault_ == "before_start") return op::window_range(g, place, kWindow, -1);
    if (fault_ == "unwritten")
      return op::window_range(g, op::map_index(g, place, kWindow + 255), 2);
    return op::window_range(g, place, kWindow);
  }

  Value spoiled(GraphBuilder& g, Value v) const {
    if (fault_ != "not_a_number") return v;
    const auto n = static_cast<size_t>(g.type(v).columns);
    const std::vector<float> infinite(n, std::numeric_limits<float>::infinity());
    const auto columns = static_cast<int64_t>(n);
    const Value added = op::add_row(g, v, g.constant("infinite", 1, columns, infinite));
    return op::mul_row(g, added, g.constant("zero", 1, columns, std::vector<float>(n)));
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  std::string fault_;
  RotaryProjections projections_;
};

class FaultyProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "faulty_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override {
    return {{.name = "fault",
             .type = OptionType::kText,
             .default_value = std::string(kFaults[0]),
             .help = "What is wrong with it.",
             .choices = {std::begin(kFaults), std::end(kFaults)}}};
  }
  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<FaultyProof>(model, options, layers);
  }
};

const void* entry() {
  static const FaultyProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin faulty_proof_plugin() { return {"attention", "faulty_proof", entry}; }

}  // namespace perdure::testing
