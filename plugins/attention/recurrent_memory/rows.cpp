// SPDX-License-Identifier: Apache-2.0

#include "plugins/attention/recurrent_memory/rows.hpp"

#include "core/api/operations.hpp"
#include "plugins/attention/recurrent_memory/place.hpp"
#include "sdk/blocks.hpp"

namespace perdure {

void require_all_layers(const ModelInfo& model, std::span<const int64_t> layers) {
  if (static_cast<int64_t>(layers.size()) != model.num_hidden_layers)
    throw UsageError(
        "attention.layers: the rows of recurrent_memory pass through all layers, and no other "
        "strategy knows them");
}

Traits recurrent_traits(int64_t segment_length) {
  return {.constant_memory = true,
          .needs_trained_weights = true,
          .segment_length = segment_length,
          .short_segments = true};
}

void write_memory(GraphBuilder& g, const ModelInfo& model, Value x, int64_t n_memory) {
  const Value normed = blocks::norm(g, "output_norm", x, model.rms_norm_eps);
  op::state_write(g, normed, g.state(kMemoryState), recurrent_place(g, n_memory, false),
                  1 << kWriteRole);
}

}  // namespace perdure
