// SPDX-License-Identifier: Apache-2.0

// `absorb_heads` for one instruction set: plain loops that compilers vectorise over the columns of
// a weight, so that no sum is split and every instruction set gives the same bits.
#include "plugins/attention/parallel_encoding/run.hpp"
#include "sdk/half.hpp"

namespace perdure::absorb::PERDURE_ISA {
namespace {

inline uint16_t load_u16(const char* data, int64_t i) {
  uint16_t value;
  memcpy(&value, data + i * static_cast<int64_t>(sizeof value), sizeof value);
  return value;
}

// f16_to_f32 without branches, so that loops over it vectorise: the bits moved to those of an F32
// are 2^112 times too small, subnormals too.
inline float from_f16(uint16_t half) {
  const float scaled = float_of_bits(static_cast<uint32_t>(half & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t no_number = (half & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  return float_of_bits(bits_of_float(scaled) | no_number | sign);
}

// A row of a weight as F32.
void read_row(const perdure_value& w, int64_t row, float* to, int64_t n) {
  const char* data = row_of<const char>(w, row);
  if (w.tensor.dtype == PERDURE_F32)
    memcpy(to, data, static_cast<size_t>(n) * sizeof(float));
  else if (w.tensor.dtype == PERDURE_F16)
    for (int64_t i = 0; i < n; ++i) to[i] = from_f16(load_u16(data, i));
  else
    for (int64_t i = 0; i < n; ++i) to[i] = bf16_to_f32(load_u16(data, i));
}

inline void add(float* __restrict y, float factor, const float* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

// One head of up to kRowsOfItem rows: every row of the weight is read once for all of them.
void run_item(const perdure_call& call, int64_t item, float* weight) {
  const auto& p = *static_cast<const Params*>(call.params);
  const int64_t head = item % p.n_heads, first = item / p.n_heads * kRowsOfItem;
  const int64_t n_rows = call.step->n_rows;
  const int64_t end = first + kRowsOfItem < n_rows ? first + kRowsOfItem : n_rows;
  for (int64_t r = first; r < end; ++r)
    memset(row_of<float>(call.outputs[0], r) + head * p.width, 0,
           static_cast<size_t>(p.width) * sizeof(float));
  for (int64_t i = 0; i < p.head_size; ++i) {
    read_row(call.inputs[1], head / p.heads_per_kv * p.head_size + i, weight, p.width);
    for (int64_t r = first; r < end; ++r)
      add(row_of<float>(call.outputs[0], r) + head * p.width,
          row_of<const float>(call.inputs[0], r)[head * p.head_size + i], weight, p.width);
  }
}

}  // namespace

int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  for (int64_t item = begin; item < end; ++item)
    run_item(*call, item, static_cast<float*>(scratch));
  return PERDURE_OK;
}

}  // namespace perdure::absorb::PERDURE_ISA
