// SPDX-License-Identifier: Apache-2.0

// The entry `rmt`: embedding of tokens and rows of memory, blocks of attention and a feed-forward
// gated by gelu around one residual stream or several, logits. What attention sees is the
// strategy's. Source: recurrent-memory-transformer-pytorch 0.7.0.
#include "core/model/architectures/rmt.hpp"

#include <algorithm>
#include <functional>

#include "core/api/operations.hpp"
#include "core/base/checked.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/architectures/residual_streams.hpp"
#include "sdk/blocks.hpp"
#include "sdk/kernel.hpp"
#include "sdk/memory_rows.hpp"

namespace perdure {
namespace {

// Far above any model; they bound what a small malicious file could ask for.
constexpr int64_t kMostStreams = 64;
constexpr int64_t kMostTokens = 1 << 24;
constexpr int64_t kMostRotated = 1 << 16;  // tokens that key_angles is made for
constexpr double kNormEps = 0x1p-23;       // torch's for F32

int64_t flag(const Metadata& m, const char* name) { return m.text(name, "false") == "true"; }

void read(const Metadata& m, ModelSpec& spec) {
  ModelInfo& info = spec.info;
  const auto bounded = [&](const char* name, int64_t most) {
    const int64_t size = m.size(name);
    if (size > most) m.fail(name, "is more than " + std::to_string(most));
    return size;
  };
  info.hidden_size = m.size("hidden_size");
  info.num_hidden_layers = m.n_layers();
  info.num_attention_heads = m.size("num_attention_heads");
  info.num_key_value_heads = 0;
  info.head_size = m.size("head_dim");
  checked_mul(info.num_attention_heads, info.head_size, "heads * dim_head");
  info.vocab_size = m.size("vocab_size");
  info.rms_norm_eps = kNormEps;
  info.bos_id = -1;
  info.eos_ids.clear();
  spec.intermediate_size = m.size("intermediate_size");
  info.sizes["rmt.num_memory_tokens"] = bounded("num_memory_tokens", kMostTokens);
  for (const char* name :
       {"causal", "rotary", "mixed_streams", "slot_mask", "add_write", "always_read"})
    info.sizes[std::string("rmt.") + name] = flag(m, name);
  const int64_t most = flag(m, "rotary") ? kMostRotated : kMostTokens;
  info.train_length = info.sizes["rmt.seq_len"] = bounded("seq_len", most);
  info.sizes["rmt.xl_mem_len"] = m.has("xl_mem_len") ? bounded("xl_mem_len", info.train_length) : 0;
  info.sizes["rmt.num_residual_streams"] = bounded("num_residual_streams", kMostStreams);
  if (flag(m, "rotary") && info.head_size % 2 != 0)
    m.fail("head_dim", "is " + std::to_string(info.head_size) + ", but heads that rotate are even");
}

TrainedStrategy trained_strategy(const Model&) { return {.strategy = "recurrent_memory"}; }

// --- The operation `memory_place`: which row of place_embd is added to a row. ---

struct PlaceParams {
  int64_t tokens, memory;
  bool each_write;
};

int prepare_place(const perdure_node* node, void* params) {
  *static_cast<PlaceParams*>(params) = {perdure_attribute_int(node, "tokens", 1),
                                        perdure_attribute_int(node, "memory", 1),
                                        perdure_attribute_int(node, "each_write", 0) != 0};
  return PERDURE_OK;
}

int64_t place_of(const PlaceParams& p, const perdure_row& row) {
  if (row.role == kReadRole) return p.tokens + row.index;
  if (row.role == kWriteRole) return p.tokens + p.memory + (p.each_write ? row.index : 0);
  return std::min(row.segment_index, p.tokens - 1);
}

void place_row(const PlaceParams& p, const perdure_call& call, int64_t row) {
  *kernels::row_of<int64_t>(call.outputs[0], row) = place_of(p, call.step->rows[row]);
}

constexpr const char* kPlaceAttributes[] = {"tokens", "memory", "each_write", nullptr};

std::vector<ValueType> place_types(const std::vector<ValueType>&, const Attributes&) {
  return {{.kind = ValueKind::kRows, .dtype = PERDURE_I64, .rows = 0, .columns = 1}};
}

std::vector<Operation> operations() {
  std::vector<Operation> all = residual_stream_operations();
  all.push_back({"memory_place", OperationKind::kRowWise, place_types});
  return all;
}

std::span<const perdure_kernel> all_kernels() {
  static const std::vector<perdure_kernel> all = [] {
    const auto streams = residual_stream_kernels();
    std::vector<perdure_kernel> kernels(streams.begin(), streams.end());
    kernels.push_back(kernels::make_row_kernel<PlaceParams, place_row>(
        "memory_place_scalar", "memory_place", prepare_place, kPlaceAttributes));
    return kernels;
  }();
  return all;
}

// --- The graph. ---

Value embedding(GraphBuilder& g, const ModelInfo& info, const std::vector<Value>& sources) {
  const int64_t memory = info.size("rmt.num_memory_tokens"), each = info.size("rmt.add_write");
  const Value table = g.weight("place_embd");
  const int64_t tokens = g.type(table).rows - memory - (each != 0 ? memory : 1);
  const Value place =
      g.apply("memory_place", {}, {{"tokens", tokens}, {"memory", memory}, {"each_write", each}});
  const Value rows = op::row_input(g, g.weight("token_embd.weight"), sources);
  return op::add(g, rows, op::lookup(g, table, place));
}

// A block in a residual stream, or in several.
using Block = std::function<Value(Value)>;

Value through(GraphBuilder& g, const ModelInfo& info, const std::string& name, Value x,
              const Block& block) {
  if (info.size("rmt.num_residual_streams") == 1) return op::add(g, x, block(x));
  const std::string streams = name + "_streams.";
  const StreamWeights weights{g.weight(streams + "norm"), g.weight(streams + "dynamic"),
                              g.weight(streams + "scale"), g.weight(streams + "constant")};
  const BlockStreams read = read_streams(g, x, weights, info.size("rmt.mixed_streams") != 0);
  return add_to_streams(g, read, block(read.input));
}

void build(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
           const std::vector<Value>& sources) {
  const ModelInfo& info = spec.info;
  const double eps = info.rms_norm_eps;
  const int64_t n_streams = info.size("rmt.num_residual_streams");
  Value x = embedding(g, info, sources);
  if (n_streams > 1) x = op::concat(g, std::vector<Value>(static_cast<size_t>(n_streams), x));
  for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    x = through(g, info, block + "attn", x, [&](Value u) {
      return strategies.mix(g, layer, blocks::norm(g, block + "attn_norm", u, eps));
    });
    x = through(g, info, block + "ffn", x, [&](Value u) {
      const Value normed = blocks::norm(g, block + "ffn_norm", u, eps);
      return blocks::gated_feed_forward(g, block + "ffn_", normed, op::gelu);
    });
  }
  if (n_streams > 1) x = sum_of_streams(g, x, n_streams);
  if (strategies.finish) strategies.finish(g, x);
  g.output("logits", blocks::logits(g, x, eps));
}

}  // namespace

Architecture rmt_architecture() {
  return {.names = {"rmt"},
          .read = read,
          .trained_strategy = trained_strategy,
          .build_step = build,
          .operations = operations,
          .kernels = all_kernels};
}

}  // namespace perdure
