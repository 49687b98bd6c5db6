// SPDX-License-Identifier: Apache-2.0

// Both keep keys and values without rotation, and every token attends to what is kept when it is
// read. `block_proof` keeps the last token of each of the latest kBlocks blocks, at row position /
// kProofBlock. `counted_proof` keeps tokens whose first key is positive, until kCapacity are kept.
#include "tests/conformance/kept_proof.hpp"

#include <algorithm>

#include "sdk/kernel.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

constexpr int64_t kBlocks = 3, kMostBlocks = 4096, kCapacity = 6;

// `keep_*`: k, v [rows, kv], states of keys and values -> [rows, 3] I64, the range that a row sees.
struct KeepParams {
  int64_t columns;
  int64_t miscount;  // of keep_counted: what it says is live instead, unless 0
};

int prepare_keep(const perdure_node* node, void* params) {
  *static_cast<KeepParams*>(params) = {kernels::columns(node->inputs[0]),
                                       perdure_attribute_int(node, "miscount", 0)};
  return PERDURE_OK;
}

void keep_row(const KeepParams& p, const perdure_call& call, int64_t r, int64_t index) {
  for (int i = 0; i < 2; ++i)
    std::copy_n(kernels::row_of<float>(call.inputs[i], r), p.columns,
                kernels::state_row(kernels::state_at(call, r, call.inputs[i + 2]), index));
}

void see(const perdure_call& call, int64_t r, int64_t first, int64_t end) {
  auto* range = kernels::row_of<int64_t>(call.outputs[0], r);
  range[0] = first, range[1] = end, range[2] = 0;
}

void keep_block(const KeepParams& p, const perdure_call& call, int64_t r) {
  const int64_t position = call.step->rows[r].position;
  const int64_t ended = (position + 1) / kProofBlock;
  if ((position + 1) % kProofBlock == 0) keep_row(p, call, r, position / kProofBlock);
  see(call, r, std::max<int64_t>(0, ended - kBlocks), ended);
}

// All rows of a session, in order, when its first row's turn comes.
void keep_counted(const KeepParams& p, const perdure_call& call, int64_t r) {
  const perdure_session& session = call.step->sessions[call.step->rows[r].session];
  if (r != session.first_row) return;
  const perdure_state_view& keys = session.states[call.inputs[2].state];
  const perdure_state_view& values = session.states[call.inputs[3].state];
  for (int64_t row = r; row < r + session.n_rows; ++row) {
    if (kernels::row_of<float>(call.inputs[0], row)[0] > 0 && *keys.count < kCapacity) {
      keep_row(p, call, row, *keys.count);
      *values.count = ++*keys.count;
    }
    see(call, row, 0, *keys.count);
  }
  if (p.miscount != 0) *keys.count = p.miscount;
}

std::vector<ValueType> range_type(const std::vector<ValueType>&, const Attributes&) {
  return {{.kind = ValueKind::kRows, .dtype = PERDURE_I64, .rows = 0, .columns = 3}};
}

class KeptProof final : public AttentionStrategy {
 public:
  // Wrong on purpose: `miscount` live rows (0: the true number), and with `asks_live` all live rows
  // as the range that a row sees.
  KeptProof(const ModelInfo& model, std::span<const int64_t> layers, StateSpec kept,
            std::string operation, int64_t miscount = 0, bool asks_live = false)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        kept_(std::move(kept)),
        operation_(std::move(operation)),
        miscount_(miscount),
        asks_live_(asks_live) {}

  Traits traits() const override { return {.constant_memory = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"}) {
        states.push_back(kept_);
        states.back().name = layer_name(layer, name);
        states.back().columns = model_.num_key_value_heads * model_.head_size;
      }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const auto project = [&](const char* name) {
      return op::mat_mul(g, x, g.weight(layer_name(layer, name)));
    };
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    Attributes attributes;
    if (miscount_ != 0) attributes.emplace_back("miscount", miscount_);
    Value range = g.apply(
        operation_, {project("attn_k.weight"), project("attn_v.weight"), keys, values}, attributes);
    if (asks_live_) range = op::live_range(g, keys);
    const Value mixed = op::attend(g, {project("attn_q.weight")}, {{keys, values, range}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  ModelInfo model_;
  std::vector<int64_t> layers_;
  StateSpec kept_;
  std::string operation_;
  int64_t miscount_;
  bool asks_live_;
};

class BlockProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "block_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override {
    return {{"declared", OptionType::kBool, true, "Whether it says how many tokens share a row."},
            {"asks_live", OptionType::kBool, false, "Asks for live rows, which nobody counts."},
            {"appended", OptionType::kBool, false, "Keeps the keys of all blocks."}};
  }

  // The row of a block is live before its key is kept: one row more.
  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<KeptProof>(
        model, layers,
        StateSpec{.name = {},
                  .growth = options.flag("appended") ? Growth::kAppended : Growth::kRing,
                  .rows = options.flag("appended") ? kMostBlocks : kBlocks + 1,
                  .tokens_per_row = options.flag("declared") ? kProofBlock : 0},
        "keep_block", 0, options.flag("asks_live"));
  }

  std::vector<Operation> operations() const override {
    return {{.name = "keep_block",
             .kind = OperationKind::kRowWise,
             .result = range_type,
             .writes = {2, 3}}};
  }
  std::span<const perdure_kernel> kernels() const override {
    static constexpr perdure_kernel kKernels[] = {kernels::make_row_kernel<KeepParams, keep_block>(
        "keep_block_scalar", "keep_block", prepare_keep)};
    return kKernels;
  }
};

class CountedProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "counted_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override {
    return {{.name = "miscount",
             .type = OptionType::kInt,
             .default_value = int64_t{0},
             .help = "Live rows that it says there are, unless 0.",
             .min = -1e18,
             .max = 1e18}};
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<KeptProof>(
        model, layers, StateSpec{.name = {}, .growth = Growth::kCounted, .rows = kCapacity},
        "keep_counted", options.integer("miscount"));
  }

  std::vector<Operation> operations() const override {
    return {{.name = "keep_counted",
             .kind = OperationKind::kPerSession,
             .result = range_type,
             .writes = {2, 3}}};
  }
  std::span<const perdure_kernel> kernels() const override {
    static constexpr const char* kAttributes[] = {"miscount", nullptr};
    static constexpr perdure_kernel kKernels[] = {
        kernels::make_row_kernel<KeepParams, keep_counted>("keep_counted_scalar", "keep_counted",
                                                           prepare_keep, kAttributes)};
    return kKernels;
  }
};

const void* block_entry() {
  static const BlockProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

const void* counted_entry() {
  static const CountedProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin block_proof_plugin() { return {"attention", "block_proof", block_entry}; }
StaticPlugin counted_proof_plugin() { return {"attention", "counted_proof", counted_entry}; }

}  // namespace perdure::testing
