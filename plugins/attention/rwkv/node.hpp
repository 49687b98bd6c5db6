// SPDX-License-Identifier: Apache-2.0

// The parameter blocks that `prepare` fills (kernels.cpp) and the kernels of all instruction sets
// read, and how items are counted. Everything here is `static`: this header is also compiled for
// instruction sets of which no function may reach the rest of the program.
#pragma once

#include <stdint.h>

#include "sdk/kernel.hpp"

namespace perdure::rwkv {

using namespace kernels;

// An item of token_shift and wkv4: so many channels of a session. A multiple of every vector.
constexpr int64_t kChannelBlock = 64;

struct ShiftParams {
  int64_t n;         // columns
  int64_t n_lerps;   // results, the previous rows not counted
  int64_t n_blocks;  // of channels
  bool previous;
};

struct RowParams {
  int64_t n;
};

struct Wkv4Params {
  int64_t n;
  int64_t n_blocks;
};

struct HeadParams {
  int64_t n;
  int64_t head_size;
  int64_t n_heads;
  bool decay_by_row;  // of wkv5
};

struct GroupParams {
  int64_t n_heads;
  int64_t head_size;
};

// One item of a per-session kernel: a part of a session's work.
struct Item {
  const perdure_session* session;
  int32_t session_number;
  int64_t part;

  int64_t first_row() const { return session->first_row; }
  int64_t end_row() const { return session->first_row + session->n_rows; }
};

static inline Item item_of(const perdure_call& call, int64_t item, int64_t n_parts) {
  const int64_t number = item / n_parts;
  return {&call.step->sessions[number], static_cast<int32_t>(number), item % n_parts};
}

// Channels first .. first + count - 1.
struct Channels {
  int64_t first, count;
};

static inline Channels channels_of(const Item& item, int64_t n) {
  const int64_t first = item.part * kChannelBlock;
  return {first, n - first < kChannelBlock ? n - first : kChannelBlock};
}

// A vector [1, n] of the model.
static inline const float* vector_of(const perdure_value& v) {
  return static_cast<const float*>(v.tensor.data);
}

static inline float* row_at(const perdure_value& v, int64_t row, int64_t column) {
  return row_of<float>(v, row) + column;
}

}  // namespace perdure::rwkv
