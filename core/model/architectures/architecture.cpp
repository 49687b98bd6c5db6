// SPDX-License-Identifier: Apache-2.0

// The one architecture so far, llama: pre-norm blocks of token mixing and a gated feed-forward.
#include "core/model/architectures/architecture.hpp"

#include <string>
#include <vector>

#include "core/api/operations.hpp"

namespace perdure {
namespace {

// What blk.`layer`'s feed-forward adds: ffn_down(silu(ffn_gate x) * (ffn_up x)), x being the normed
// residual stream.
Value feed_forward(GraphBuilder& g, const std::string& block, double eps, Value residual) {
  const Value x = op::rms_norm(g, residual, g.weight(block + "ffn_norm.weight"), eps);
  const Value gate = op::silu(g, op::mat_mul(g, x, g.weight(block + "ffn_gate.weight")));
  const Value up = op::mat_mul(g, x, g.weight(block + "ffn_up.weight"));
  return op::mat_mul(g, op::mul(g, gate, up), g.weight(block + "ffn_down.weight"));
}

void build_llama(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
                 const std::vector<Value>& sources) {
  const double eps = spec.info.rms_norm_eps;
  const Value embedding = g.weight("token_embd.weight");
  Value x = op::row_input(g, embedding, sources);
  for (int64_t layer = 0; layer < spec.info.num_hidden_layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    const Value normed = op::rms_norm(g, x, g.weight(block + "attn_norm.weight"), eps);
    x = op::add(g, x, strategies.mix(g, layer, normed));
    if (strategies.extra_block) {
      const Value extra = strategies.extra_block(g, layer, x);
      if (extra.valid()) x = op::add(g, x, extra);
    }
    x = op::add(g, x, feed_forward(g, block, eps, x));
  }
  if (strategies.finish) strategies.finish(g, x);
  // Selecting first spares the norm and the classifier the rows that nobody asked for.
  x = op::rms_norm(g, op::select_outputs(g, x), g.weight("output_norm.weight"), eps);
  const Value classifier = g.has_weight("output.weight") ? g.weight("output.weight") : embedding;
  g.output("logits", op::mat_mul(g, x, classifier));
}

}  // namespace

void build_step(GraphBuilder& graph, const ModelSpec& spec, const StrategyNodes& strategies) {
  std::vector<Value> sources;
  for (const std::string& name : strategies.sources)
    sources.push_back(graph.has_weight(name) ? graph.weight(name) : graph.state(name));
  if (spec.architecture != "llama")
    throw Error("the architecture '" + spec.architecture + "' is unknown; known is llama");
  build_llama(graph, spec, strategies, sources);
}

}  // namespace perdure
