// SPDX-License-Identifier: Apache-2.0

// The kernels of one instruction set: plain loops that compilers vectorise. Sums run in kLanes
// interleaved parts, the same in every instruction set.
#include <math.h>

#include "plugins/attention/microrwkv/run.hpp"
#include "sdk/group_attention.hpp"

namespace perdure::microrwkv::PERDURE_ISA {
namespace {

constexpr int64_t kLanes = 16;

// One item: the part-th part of what a session has to do.
struct Item {
  int64_t first_row, n_rows, part;
};

inline Item item_of(const perdure_call& call, int64_t item, int64_t n_parts) {
  const perdure_session& session = call.step->sessions[item / n_parts];
  return {session.first_row, session.n_rows, item % n_parts};
}

inline const float* row_at(const perdure_value& v, int64_t row, int64_t column) {
  return row_of<const float>(v, row) + column;
}

inline void clear(float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = 0.0f;
}

inline void add(float* y, float factor, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

inline float dot(const float* a, const float* b, int64_t n) {
  float parts[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) parts[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i) parts[i % kLanes] += a[i] * b[i];
  float sum = 0.0f;
  for (const float part : parts) sum += part;
  return sum;
}

// `values` becomes its softmax.
inline void softmax(float* values, int64_t n) {
  float largest = values[0];
  for (int64_t i = 1; i < n; ++i) largest = values[i] > largest ? values[i] : largest;
  float sum = 0.0f;
  for (int64_t i = 0; i < n; ++i) sum += values[i] = expf(values[i] - largest);
  for (int64_t i = 0; i < n; ++i) values[i] /= sum;
}

void shift_row(const ShiftParams& p, const perdure_call& call, int64_t row) {
  const perdure_session& session = call.step->sessions[call.step->rows[row].session];
  const float* x = row_at(call.inputs[0], row, 0);
  const float* previous = row == session.first_row ? nullptr : row_at(call.inputs[0], row - 1, 0);
  for (int64_t i = 0; i < p.n_lerps; ++i) {
    const float* m = row_at(call.inputs[1], i, 0);
    float* y = row_of<float>(call.outputs[i], row);
    for (int64_t c = 0; c < p.n; ++c) y[c] = x[c] + ((previous ? previous[c] : 0.0f) - x[c]) * m[c];
  }
}

// A row of a head whose first channel is `first`; state [head size][head size], a row for each key.
void recur_row(const HeadParams& p, const perdure_call& call, int64_t row, int64_t first,
               float* state) {
  const float *r = row_at(call.inputs[0], row, first), *k = row_at(call.inputs[1], row, first);
  const float* v = row_at(call.inputs[2], row, first);
  const float *decay = row_at(call.inputs[3], 0, first), *bonus = row_at(call.inputs[4], 0, first);
  float* y = row_of<float>(call.outputs[0], row) + first;
  clear(y, p.head_size);
  for (int64_t i = 0; i < p.head_size; ++i) {
    float* s = state + i * p.head_size;
    add(y, r[i], s, p.head_size);
    add(y, r[i] * bonus[i] * k[i], v, p.head_size);
    for (int64_t j = 0; j < p.head_size; ++j) s[j] = decay[i] * s[j] + k[i] * v[j];
  }
}

// A piece of window_attend's rows: those first_row + piece * n + j, j < n, that there are.
struct Pieces {
  Item item;
  int64_t n;  // rows of a piece

  // Rows of a piece that lie in the window.
  int64_t rows_of(int64_t piece) const {
    const int64_t left = item.n_rows - piece * n;
    return left < 0 ? 0 : left < n ? left : n;
  }
  int64_t row(int64_t piece, int64_t j) const { return item.first_row + piece * n + j; }
};

// Piece i against all pieces.
void attend_piece(const HeadParams& p, const perdure_call& call, const Pieces& pieces, int64_t i,
                  int64_t first, float* weights) {
  const float scale = 1.0f / sqrtf(static_cast<float>(p.head_size));
  for (int64_t l = 0; l < p.places; ++l) {
    const int64_t shared =
        pieces.rows_of(l) < pieces.rows_of(i) ? pieces.rows_of(l) : pieces.rows_of(i);
    float score = 0.0f;
    for (int64_t j = 0; j < shared; ++j)
      score += dot(row_at(call.inputs[0], pieces.row(i, j), first),
                   row_at(call.inputs[1], pieces.row(l, j), first), p.head_size);
    weights[l] = scale * score;
  }
  softmax(weights, p.places);
  for (int64_t j = 0; j < pieces.rows_of(i); ++j) {
    float* y = row_of<float>(call.outputs[0], pieces.row(i, j)) + first;
    clear(y, p.head_size);
    for (int64_t l = 0; l < p.places && j < pieces.rows_of(l); ++l)
      add(y, weights[l], row_at(call.inputs[2], pieces.row(l, j), first), p.head_size);
  }
}

int run_shift(const perdure_call* call, int64_t begin, int64_t end, void*) {
  for (int64_t row = begin; row < end; ++row)
    shift_row(*static_cast<const ShiftParams*>(call->params), *call, row);
  return PERDURE_OK;
}

int run_recur(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  auto* state = static_cast<float*>(scratch);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_parts);
    clear(state, p.head_size * p.head_size);
    for (int64_t row = 0; row < item.n_rows; ++row)
      recur_row(p, *call, item.first_row + row, item.part * p.head_size, state);
  }
  return PERDURE_OK;
}

int run_attend(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_parts);
    const Pieces pieces{item, (item.n_rows + p.places - 1) / p.places};
    for (int64_t piece = 0; pieces.rows_of(piece) > 0; ++piece)
      attend_piece(p, *call, pieces, piece, item.part * p.head_size, static_cast<float*>(scratch));
  }
  return PERDURE_OK;
}

int run_attend_groups(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_parts);
    const GroupWindow window{&call->inputs[0], &call->outputs[0], item.first_row,
                             item.n_rows,      p.n_heads,         p.head_size};
    for (int64_t t = 0; t < item.n_rows; ++t)
      group_attend(window, item.part, t, static_cast<float*>(scratch));
  }
  return PERDURE_OK;
}

}  // namespace

const RunTable kTable = {run_shift, run_recur, run_attend, run_attend_groups};

}  // namespace perdure::microrwkv::PERDURE_ISA
