// SPDX-License-Identifier: Apache-2.0

// The Recurrent Memory Transformer of the package recurrent-memory-transformer-pytorch (0.6, 0.7):
// what its reader, its architecture and the strategy `recurrent_memory` agree on. Notation: D =
// hidden size, h heads of d values, M rows of memory, T tokens of a segment, X rows of the segment
// before that attention keeps, S residual streams, F the width of the feed-forward.
//
// ModelInfo: num_key_value_heads = 0, because no other strategy knows these keys; head_size = d;
// train_length = T; sizes:
//
//   rmt.num_memory_tokens   M                    rmt.seq_len             T
//   rmt.xl_mem_len          X; 0: none           rmt.num_residual_streams  S
// and, 1 or 0:
//   rmt.causal              rmt.rotary           rmt.mixed_streams       hyper-connections' flavour
//   rmt.slot_mask           the original's mask of memory_not_causal: false under flash attention
//   rmt.add_write           rows behind a segment begin with the memory too
//   rmt.always_read         the first segment has rows of memory in front as well
//
// Weights, names GGUF's where it has one; vectors are F32:
//
//   token_embd.weight [V, D]
//   place_embd [n, D]           what is added to tokens by place, then to the M rows in front of
//                               them, then to those behind: M rows with rmt.add_write, else one
//   write_memory [M, D]         the rows behind, without rmt.add_write
//   key_angles [X + T + 2, d]   with rmt.rotary: cosines and sines of places 9999 .. 9999 + X + T,
//                               and of place 0
//   output_norm.weight [1, D]   output.weight [V, D]   output.bias [1, V]
//   attn_norm.weight, ffn_norm.weight [1, D]
//   attn_q.weight, attn_k.weight, attn_v.weight [h * d, D]   attn_output.weight [D, h * d]
//   null_k, null_v [1, h * d]   value_mix.weight [h, D], but in layer 0
//   ffn_up.weight, ffn_gate.weight [F, D]   ffn_down.weight [D, F]
//   {attn,ffn}_streams.{norm [1, D], dynamic [S + 2, D], scale [1, S + 2], constant [S, S + 2]}
//                               with S > 1 (residual_streams.hpp)
#pragma once

#include <cstdint>

namespace perdure {

// Of the rotation: the first token behind the rows that attention keeps.
inline constexpr int64_t kFirstRmtPlace = 10000;

}  // namespace perdure
