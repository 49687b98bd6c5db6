// SPDX-License-Identifier: Apache-2.0

// States: session "memory", "read", "written" [R, d]; per layer keys and values [R + S + R, kv] of
// the read rows, the segment's tokens, the write rows. A segment: `begin` makes "read" of "memory";
// the read rows come in from "read"; the write rows come in from the embedding table and leave
// behind the last layer into "written"; `end` makes "memory". A segment may be short: then its
// write rows lie behind the tokens that it has.
#include "tests/conformance/recurrent_proof.hpp"

#include "sdk/kernel.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

constexpr int64_t kR = kProofMemory, kS = kProofSegment;
enum Role : int32_t { kReadRole = 1, kWriteRole = 2 };
constexpr int64_t kAllRoles = 1 << PERDURE_ROLE_TOKEN | 1 << kReadRole | 1 << kWriteRole;

struct PlaceParams {
  int64_t tokens, written;
  bool behind;  // the write rows come behind the segment's tokens
};

int prepare(const perdure_node* node, void* params) {
  *static_cast<PlaceParams*>(params) = {perdure_attribute_int(node, "tokens", 0),
                                        perdure_attribute_int(node, "written", 0),
                                        perdure_attribute_int(node, "behind", 0) != 0};
  return PERDURE_OK;
}

void place_row(const PlaceParams& p, const perdure_call& call, int64_t r) {
  const perdure_row& row = call.step->rows[r];
  auto* place = kernels::row_of<int64_t>(call.outputs[0], r);
  if (row.role == PERDURE_ROLE_TOKEN) *place = p.tokens + row.segment_index;
  if (row.role == kReadRole) *place = row.index;
  if (row.role == kWriteRole) *place = p.written + (p.behind ? row.segment_tokens : 0) + row.index;
}

constexpr const char* kAttributes[] = {"tokens", "written", "behind", nullptr};

constexpr perdure_kernel kKernels[] = {kernels::make_row_kernel<PlaceParams, place_row>(
    "segment_place_scalar", "segment_place", prepare, kAttributes)};

std::vector<ValueType> place_type(const std::vector<ValueType>&, const Attributes&) {
  return {{.kind = ValueKind::kRows, .dtype = PERDURE_I64, .rows = 0, .columns = 1}};
}

// A row's place by its role: read row r at r, a token at `tokens` + its place in the segment, write
// row r at `written` + r, or that many rows behind the segment's tokens. [rows, 1] I64.
Value segment_place(GraphBuilder& g, int64_t tokens, int64_t written, bool behind) {
  return g.apply("segment_place", {},
                 {{"tokens", tokens}, {"written", written}, {"behind", int64_t{behind}}});
}

class RecurrentProof final : public AttentionStrategy {
 public:
  RecurrentProof(const ModelInfo& model, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override {
    return {.constant_memory = true,
            .needs_trained_weights = true,
            .segment_length = kS,
            .short_segments = true};
  }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const char* name : {"memory", "read", "written"})
      states.push_back({.name = name, .columns = model_.hidden_size, .rows = kR});
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.num_key_value_heads * model_.head_size,
                          .rows = kR + kS + kR});
    return states;
  }

  std::vector<ExtraRows> extra_rows() const override {
    return {{ExtraRows::When::kBegin, kReadRole, kR, "read"},
            {ExtraRows::When::kEnd, kWriteRole, kR, "token_embd.weight"}};
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = segment_place(g, kR, kR, true);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, keys, place, kAllRoles);
    op::state_write(g, v, values, place, kAllRoles);
    const Value mixed = op::attend(g, {q},
                                   {{keys, values, op::sink_range(g, place, kR)},
                                    {keys, values, op::window_range(g, place, 0, kR)}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

  void finish(GraphBuilder& g, Value x) override {
    op::state_write(g, x, g.state("written"), segment_place(g, 0, 0, false), 1 << kWriteRole);
  }

  int64_t phase_rows(Phase phase) const override {
    return phase == Phase::kBegin || phase == Phase::kEnd ? kR : 0;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    const double eps = model_.rms_norm_eps;
    const Value row = op::segment_index(g);
    if (phase == Phase::kBegin) {
      const Value memory = op::state_read(g, g.state("memory"), row);
      op::state_write(g, op::rms_norm(g, memory, {}, eps), g.state("read"), row);
    }
    if (phase == Phase::kEnd) {
      const Value written = op::state_read(g, g.state("written"), row);
      op::state_write(g, op::rms_norm(g, written, g.weight("output_norm.weight"), eps),
                      g.state("memory"), row);
    }
  }

 private:
  ModelInfo model_;
  std::vector<int64_t> layers_;
  RotaryProjections projections_;
};

class RecurrentProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "recurrent_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {}; }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options&,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<RecurrentProof>(model, layers);
  }

  std::vector<Operation> operations() const override {
    return {{.name = "segment_place", .kind = OperationKind::kRowWise, .result = place_type}};
  }
  std::span<const perdure_kernel> kernels() const override { return kKernels; }
};

const void* entry() {
  static const RecurrentProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin recurrent_proof_plugin() { return {"attention", "recurrent_proof", entry}; }

}  // namespace perdure::testing
