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
    for (const int64_t layer : layers_)
      for (const char* name : {"note", "sums"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = name == std::string("sums") ? 1 : kv_columns(),
                          .rows = 4});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value note = g.state(layer_name(layer, "note"));
    const Value k = reaching(g, projections_.key(g, layer, x, place), note, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, keys, place);
    op::state_write(g, spoiled(g, v), values, place);
    op::KeyRange seen{keys, values, range(g, place)};
    if (fault_ == "long_step_range" || fault_ == "key_beyond_step")
      seen = {k, v, fault_ == "key_beyond_step" ? op::window_range(g, same(g, 1)) : seen.range};
    const Value angles = reaching_keys(g, seen, place);
    op::AttendOptions options;
    if (fault_ == "weighed_key_before") options.weights = g.state(layer_name(layer, "sums"));
    seen.weigh = options.weights.valid();
    const Value mixed = op::attend(g, {q}, {seen}, model_.num_attention_heads,
                                   model_.num_key_value_heads, angles, options);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  static constexpr int64_t kFar = int64_t{1} << 40;

  int64_t kv_columns() const { return model_.num_key_value_heads * model_.head_size; }

  // The same number in all rows.
  static Value same(GraphBuilder& g, int64_t n) { return op::row_index(g, 1, n); }

  static Value table(GraphBuilder& g, const char* name, int64_t rows, int64_t columns) {
    return g.constant(name, rows, columns, std::vector<float>(static_cast<size_t>(rows * columns)));
  }

  // The key, with something of a row that there is not.
  Value reaching(GraphBuilder& g, Value k, Value note, Value place) const {
    if (fault_ == "write_beyond") op::state_write(g, k, note, same(g, kFar));
    if (fault_ == "write_before") op::state_write(g, k, note, same(g, -5));
    if (fault_ == "read_beyond") return op::add(g, k, op::state_read(g, note, same(g, 4)));
    if (fault_ == "lookup_beyond" || fault_ == "lookup_before") {
      const Value index = same(g, fault_ == "lookup_beyond" ? 3 : -5);
      return op::add(g, k, op::lookup(g, table(g, "table", 3, kv_columns()), index));
    }
    if (fault_ != "set_beyond") return k;
    const Value frequencies = table(g, "frequencies", 2, model_.head_size / 2);
    return op::rope(g, k, op::rope_angles(g, place, frequencies, {}, same(g, 2)));
  }

  // Makes `seen` a stretch of keys that reaches too far; the angles that it needs.
  Value reaching_keys(GraphBuilder& g, op::KeyRange& seen, Value place) const {
    const bool beyond = fault_ == "key_beyond_step";
    if (fault_ == "key_before" || fault_ == "weighed_key_before" || fault_ == "place_beyond" ||
        beyond) {
      seen.list = op::concat(g, {place, same(g, beyond ? kFar : -5)});
      seen.range = op::window_range(g, same(g, fault_ == "place_beyond" ? 2 : 1));
    }
    if (!fault_.starts_with("shift_") && fault_ != "block_beyond") return {};
    seen.rotate = true;
    seen.angle_block = fault_ == "block_beyond" ? 8 : 0;
    seen.range = op::shift_range(g, seen.range, same(g, fault_ == "shift_before" ? -kFar : kFar));
    return table(g, "angles", 64, model_.head_size);
  }

  Value range(GraphBuilder& g, Value place) const {
    if (fault_ == "looks_ahead") return op::window_range(g, op::map_index(g, place, 1), kWindow);
    if (fault_ == "lost_rows") return op::window_range(g, place);
    if (fault_ == "range_before") return op::window_range(g, same(g, 0), 6, -5);
    if (fault_.starts_with("long_")) return op::window_range(g, same(g, 999'999'999));
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
    std::vector<std::string> faults(std::begin(kFaults), std::end(kFaults));
    for (const ReachingFault& fault : kReachingFaults) faults.emplace_back(fault.name);
    return {{.name = "fault",
             .type = OptionType::kText,
             .default_value = std::string(kFaults[0]),
             .help = "What is wrong with it.",
             .choices = faults}};
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
