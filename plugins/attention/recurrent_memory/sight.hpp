// SPDX-License-Identifier: Apache-2.0

// What the rows of the architecture `rmt` see of its keys, and what is left of a segment for the
// next: operations of attention.recurrent_memory. Keys and values of a layer have the rows
//
//   0 .. X - 1       what attention keeps of the segment before, the last of it in row X - 1
//   X                the null key
//   X + 1 ..         M read rows, the segment's n tokens, M write rows, without a gap
//
// The states that all layers share have one row: `memory_use` [1, 1], how the rows of memory in
// front came about (kNoMemory, kMemory, kHiddenMemory); `kept_rows` [1, 1], how many of the first X
// rows there are; `padding` [1, T], where it is given, tokens of the segment that nobody sees
// (any but 0).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure {

// Of `memory_use`: none was given; one was; one was, and no row sees it in this segment.
inline constexpr float kNoMemory = 0.0f, kMemory = 1.0f, kHiddenMemory = 2.0f;

// The sizes of such a network.
struct RecurrentSizes {
  int64_t memory = 0;       // M
  int64_t tokens = 0;       // T
  int64_t kept = 0;         // X
  int64_t turns = 1;        // rows of key_angles, of which the last turns nothing
  bool always_read = true;  // read rows are seen whatever memory_use says, but if they are hidden
  enum class Mask {
    kMemory,  // tokens are causal, read rows see each other, write rows everything
    kAll,     // every row sees every row
    kSlots    // element i of a segment sees the first i + 1 slots: those that attention keeps, the
              // null key, the elements
  };
  Mask mask = Mask::kMemory;
};

struct RecurrentStates {
  Value memory_use, kept_rows;
  Value padding = {};  // not under kSlots
};

// What every row sees: keys that were kept with the null key, read rows, tokens, write rows.
struct Sight {
  Value kept, read, tokens, write;  // [rows, 3] I64, as op::KeyRange has them; the shifts of `kept`
                                    // and `tokens` are such that key_angles turns the keys
  Value token_list = {};            // with padding: the keys that `tokens` counts, [rows, T] I64
  Value turn;                       // the row of key_angles for the query, [rows, 1] I64
};

Sight recurrent_sight(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states);

// For graphs of the end of a segment. Moves the last rows of a layer's keys or values, at most X,
// to where the next segment sees them.
void recurrent_keep(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states,
                    Value rows_state);
// And then says so, to `kept_rows` and `memory_use`; padding is forgotten.
void recurrent_close(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states);

std::vector<Operation> recurrent_sight_operations();
std::span<const perdure_kernel> recurrent_sight_kernels();

}  // namespace perdure
