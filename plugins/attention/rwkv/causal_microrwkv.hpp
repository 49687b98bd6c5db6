// SPDX-License-Identifier: Apache-2.0

// MicroRWKV without a look ahead: the published weights' shapes, another network.
#pragma once

#include <memory>
#include <span>

#include "core/api/strategy.hpp"

namespace perdure::rwkv {

// Time and channel mixes carry RWKV's state, window attention sees the last 256 rows, and group
// attention stays inside a row; every token costs the same for ever. States of layer N: blk.N.att_x
// and blk.N.att_x_2 [1, C], the last inputs of the two time mixes, blk.N.ffn_x [1, C];
// blk.N.wkv, blk.N.wkv_2 [C, head size]; blk.N.attn_k, blk.N.attn_v, a ring of 256 rows.
// Errors: UsageError if `layers` are not all of the model's.
std::unique_ptr<AttentionStrategy> causal_microrwkv(const ModelInfo& model,
                                                    std::span<const int64_t> layers);

}  // namespace perdure::rwkv
