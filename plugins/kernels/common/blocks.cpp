// SPDX-License-Identifier: Apache-2.0

// Products with weights in GGUF's blocks of 32 values, and rows quantised to Q8_0, value by value
// as ggml defines them: F32 rows times weights, and Q8_0 rows times weights by an exact integer sum
// per block, scaled and added block by block.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/weights.hpp"

namespace perdure::kernels {
namespace {

constexpr int64_t kBlock = 32;

int prepare_product(const perdure_node* node, perdure_dtype x, perdure_dtype w, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_rows(node->inputs[0], x) ||
      !is_constant(node->inputs[1], w) || !is_rows(node->outputs[0], PERDURE_F32) ||
      columns(node->inputs[0]) != columns(node->inputs[1]) ||
      columns(node->inputs[1]) % kBlock != 0)
    return PERDURE_DECLINED;
  *static_cast<MatMulParams*>(params) = {
      {in_outputs(node->outputs[0])}, rows(node->inputs[1]), columns(node->inputs[1]), 0};
  return PERDURE_OK;
}

template <perdure_dtype kX, perdure_dtype kW>
int prepare(const perdure_node* node, void* params) {
  return prepare_product(node, kX, kW, params);
}

// Items are the columns of the result.
void divide(const perdure_call* call, perdure_work* work) {
  *work = {static_cast<const MatMulParams*>(call->params)->n, 16};
}

template <typename Read>
float dot(const float* x, const perdure_tensor& w, int64_t row, int64_t k) {
  float sum = 0.0f;
  for (int64_t i = 0; i < k; ++i) sum += x[i] * Read::at(w, row, i);
  return sum;
}

template <typename Read>
float dot_of_blocks(const perdure_tensor& x, int64_t x_row, const perdure_tensor& w, int64_t row,
                    int64_t k) {
  float sum = 0.0f;
  for (int64_t first = 0; first < k; first += kBlock) {
    int32_t exact = 0, sum_of_x = 0;
    for (int64_t i = first; i < first + kBlock; ++i) {
      const int32_t value = ReadQ8_0::integer(Block(x, x_row, i));
      exact += value * Read::integer(Block(w, row, i));
      sum_of_x += value;
    }
    const Block weights(w, row, first);
    const float scale = Block(x, x_row, first).scale();
    sum += static_cast<float>(exact) * (weights.scale() * scale);
    if (Read::kHasMinimum) sum += static_cast<float>(sum_of_x) * (weights.minimum() * scale);
  }
  return sum;
}

// compute(row of x, row of w): an element of the result.
template <typename Compute>
int for_each_element(const perdure_call* call, int64_t begin, int64_t end, Compute compute) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const int64_t n_rows = count_rows(p.rows, *call->step);
  for (int64_t column = begin; column < end; ++column)
    for (int64_t r = 0; r < n_rows; ++r)
      row_of<float>(call->outputs[0], r)[column] = compute(r, column);
  return PERDURE_OK;
}

template <typename Read>
int run_real(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t k = static_cast<const MatMulParams*>(call->params)->k;
  return for_each_element(call, begin, end, [&](int64_t r, int64_t column) {
    return dot<Read>(row_of<float>(call->inputs[0], r), call->inputs[1].tensor, column, k);
  });
}

template <typename Read>
int run_blocks(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t k = static_cast<const MatMulParams*>(call->params)->k;
  return for_each_element(call, begin, end, [&](int64_t r, int64_t column) {
    return dot_of_blocks<Read>(call->inputs[0].tensor, r, call->inputs[1].tensor, column, k);
  });
}

int prepare_quantize_blocks(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !is_rows(node->outputs[0], PERDURE_Q8_0) || columns(node->inputs[0]) % kBlock != 0)
    return PERDURE_DECLINED;
  *static_cast<QuantizeParams*>(params) = {
      {in_outputs(node->outputs[0])}, columns(node->inputs[0]) / kBlock, kBlock};
  return PERDURE_OK;
}

// The scale is stored in half precision, the values are rounded by the exact one.
void quantize_block(const float* x, char* block) {
  float largest = 0.0f, zero = 0.0f;
  for (int64_t i = 0; i < kBlock; ++i) {
    largest = std::max(largest, std::fabs(x[i]));
    zero += x[i] * 0.0f;
  }
  // NaN if some value is no number, which no int8 can say.
  const float scale = largest / 127.0f + zero;
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  const uint16_t half = f32_to_f16(scale);
  std::memcpy(block, &half, sizeof half);
  for (int64_t i = 0; i < kBlock; ++i) {
    const float rounded = std::round(x[i] * inverse);
    block[2 + i] = static_cast<char>(
        static_cast<int8_t>(rounded > -127.0f ? (rounded < 127.0f ? rounded : 127.0f) : -127.0f));
  }
}

int run_quantize_blocks(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const QuantizeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t b = 0; b < p.n_groups; ++b)
      quantize_block(row_of<float>(call->inputs[0], r) + b * kBlock,
                     row_of<char>(call->outputs[0], r) + b * perdure_block_bytes(PERDURE_Q8_0));
  return PERDURE_OK;
}

template <perdure_dtype kX, perdure_dtype kW>
constexpr perdure_kernel product(const char* name, decltype(perdure_kernel::run) run) {
  return operation_kernel<MatMulParams>(name, "mat_mul", prepare<kX, kW>, divide, run,
                                        PERDURE_ITEMS_COLUMNS);
}

constexpr std::array kKernels = {
    product<PERDURE_F32, PERDURE_Q8_0>("mat_mul_f32_q8_0_scalar", run_real<ReadQ8_0>),
    product<PERDURE_F32, PERDURE_Q4_0>("mat_mul_f32_q4_0_scalar", run_real<ReadQ4_0>),
    product<PERDURE_F32, PERDURE_Q4_1>("mat_mul_f32_q4_1_scalar", run_real<ReadQ4_1>),
    product<PERDURE_F32, PERDURE_Q5_0>("mat_mul_f32_q5_0_scalar", run_real<ReadQ5_0>),
    product<PERDURE_F32, PERDURE_Q5_1>("mat_mul_f32_q5_1_scalar", run_real<ReadQ5_1>),
    product<PERDURE_Q8_0, PERDURE_Q8_0>("mat_mul_q8_0_scalar", run_blocks<ReadQ8_0>),
    product<PERDURE_Q8_0, PERDURE_Q4_0>("mat_mul_q8_0_q4_0_scalar", run_blocks<ReadQ4_0>),
    product<PERDURE_Q8_0, PERDURE_Q4_1>("mat_mul_q8_0_q4_1_scalar", run_blocks<ReadQ4_1>),
    product<PERDURE_Q8_0, PERDURE_Q5_0>("mat_mul_q8_0_q5_0_scalar", run_blocks<ReadQ5_0>),
    product<PERDURE_Q8_0, PERDURE_Q5_1>("mat_mul_q8_0_q5_1_scalar", run_blocks<ReadQ5_1>),
    operation_kernel<QuantizeParams>("quantize_q8_0_scalar", "quantize", prepare_quantize_blocks,
                                     divide_rows, run_quantize_blocks),
};

}  // namespace

std::span<const perdure_kernel> block_kernels() { return kKernels; }

}  // namespace perdure::kernels
