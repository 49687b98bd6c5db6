// SPDX-License-Identifier: Apache-2.0

// Products with weights in GGUF's blocks, and rows quantised to Q8_0 and Q8_K, value by value as
// ggml defines them: F32 rows times weights, and quantised rows times weights by an exact integer
// sum per block, scaled and added block by block.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/super_blocks.hpp"

namespace perdure::kernels {
namespace {

constexpr int64_t kBlock = 32, kSuperBlock = 256;

int prepare_product(const perdure_node* node, perdure_dtype x, perdure_dtype w, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_rows(node->inputs[0], x) ||
      !is_constant(node->inputs[1], w) || !is_rows(node->outputs[0], PERDURE_F32) ||
      columns(node->inputs[0]) != columns(node->inputs[1]) ||
      columns(node->inputs[1]) % perdure_block_values(w) != 0)
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

// The sum over a block of x times the integers of w, each part times its scale, and of what the
// minima are multiplied with.
struct SuperSums {
  int32_t products = 0, minima = 0;
};

template <typename Read>
SuperSums sums_of_parts(const SuperBlock& x_block, const SuperBlock& w_block) {
  SuperSums sums;
  SuperBlock x = x_block, w = w_block;
  for (int64_t part = 0; part < kSuperBlock / Read::kPart; ++part) {
    int32_t exact = 0, sum_of_x = 0;
    for (int64_t i = part * Read::kPart; i < (part + 1) * Read::kPart; ++i) {
      x.place = w.place = i;
      exact += ReadQ8_K::integer(x) * Read::integer(w);
      sum_of_x += ReadQ8_K::integer(x);
    }
    sums.products += exact * Read::part_scale(w, part);
    sums.minima += sum_of_x * Read::part_minimum(w, part);
  }
  return sums;
}

template <typename Read>
float dot_of_super_blocks(const perdure_tensor& x, int64_t x_row, const perdure_tensor& w,
                          int64_t row, int64_t k) {
  float sum = 0.0f;
  for (int64_t first = 0; first < k; first += kSuperBlock) {
    const SuperBlock values(x, x_row, first), weights(w, row, first);
    const SuperSums exact = sums_of_parts<Read>(values, weights);
    const float scale = ReadQ8_K::scale(values);
    sum += static_cast<float>(exact.products) * (Read::scale(weights) * scale);
    if (Read::kHasMinimum)
      sum -= static_cast<float>(exact.minima) * (Read::smallest(weights) * scale);
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

template <typename Read>
int run_super_blocks(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t k = static_cast<const MatMulParams*>(call->params)->k;
  return for_each_element(call, begin, end, [&](int64_t r, int64_t column) {
    return dot_of_super_blocks<Read>(call->inputs[0].tensor, r, call->inputs[1].tensor, column, k);
  });
}

template <perdure_dtype kType>
int prepare_quantize_blocks(const perdure_node* node, void* params) {
  constexpr int64_t kValues = perdure_block_values(kType);
  if (node->n_inputs != 1 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !is_rows(node->outputs[0], kType) || columns(node->inputs[0]) % kValues != 0)
    return PERDURE_DECLINED;
  *static_cast<QuantizeParams*>(params) = {
      {in_outputs(node->outputs[0])}, columns(node->inputs[0]) / kValues, kValues};
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

// The value of the largest magnitude becomes -127; its sign is the inverse's, ties go to even.
void quantize_super_block(const float* x, char* block) {
  float largest = 0.0f, zero = 0.0f;
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
    zero += x[i] * 0.0f;
  }
  const float inverse = zero == 0.0f && largest != 0.0f ? -127.0f / largest : 0.0f;
  // NaN if some value is no number, which no int8 can say.
  const float scale = (inverse != 0.0f ? 1.0f / inverse : 0.0f) + zero;
  std::memcpy(block, &scale, sizeof scale);
  std::array<int16_t, kSuperBlock / 16> sums{};
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    // Clamped first: an inverse beyond F32's range is infinite.
    const float value = inverse != 0.0f ? inverse * x[i] : 0.0f;
    const auto q = static_cast<int8_t>(
        std::nearbyint(value > -127.0f ? (value < 127.0f ? value : 127.0f) : -127.0f));
    block[4 + i] = static_cast<char>(q);
    sums[i / 16] = static_cast<int16_t>(sums[i / 16] + q);
  }
  std::memcpy(block + ReadQ8_K::kSums, sums.data(), sizeof sums);
}

template <perdure_dtype kType, auto kQuantize>
int run_quantize_blocks(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const QuantizeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t b = 0; b < p.n_groups; ++b)
      kQuantize(row_of<float>(call->inputs[0], r) + b * p.group,
                row_of<char>(call->outputs[0], r) + b * perdure_block_bytes(kType));
  return PERDURE_OK;
}

template <perdure_dtype kType, auto kQuantize>
constexpr perdure_kernel quantizing(const char* name) {
  return operation_kernel<QuantizeParams>(name, "quantize", prepare_quantize_blocks<kType>,
                                          divide_rows, run_quantize_blocks<kType, kQuantize>);
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
    product<PERDURE_F32, PERDURE_Q4_K>("mat_mul_f32_q4_k_scalar", run_real<ReadQ4_K>),
    product<PERDURE_F32, PERDURE_Q5_K>("mat_mul_f32_q5_k_scalar", run_real<ReadQ5_K>),
    product<PERDURE_F32, PERDURE_Q6_K>("mat_mul_f32_q6_k_scalar", run_real<ReadQ6_K>),
    product<PERDURE_Q8_K, PERDURE_Q4_K>("mat_mul_q8_k_q4_k_scalar", run_super_blocks<ReadQ4_K>),
    product<PERDURE_Q8_K, PERDURE_Q5_K>("mat_mul_q8_k_q5_k_scalar", run_super_blocks<ReadQ5_K>),
    product<PERDURE_Q8_K, PERDURE_Q6_K>("mat_mul_q8_k_q6_k_scalar", run_super_blocks<ReadQ6_K>),
    quantizing<PERDURE_Q8_0, quantize_block>("quantize_q8_0_scalar"),
    quantizing<PERDURE_Q8_K, quantize_super_block>("quantize_q8_k_scalar"),
};

}  // namespace

std::span<const perdure_kernel> block_kernels() { return kKernels; }

float read_weight(const perdure_tensor& w, int64_t row, int64_t column) {
  switch (w.dtype) {
    case PERDURE_F32:
      return ReadF32::at(w, row, column);
    case PERDURE_F16:
      return ReadF16::at(w, row, column);
    case PERDURE_BF16:
      return ReadBf16::at(w, row, column);
    case PERDURE_Q8_0:
      return ReadQ8_0::at(w, row, column);
    case PERDURE_Q4_0:
      return ReadQ4_0::at(w, row, column);
    case PERDURE_Q4_1:
      return ReadQ4_1::at(w, row, column);
    case PERDURE_Q5_0:
      return ReadQ5_0::at(w, row, column);
    case PERDURE_Q5_1:
      return ReadQ5_1::at(w, row, column);
    case PERDURE_Q4_K:
      return ReadQ4_K::at(w, row, column);
    case PERDURE_Q5_K:
      return ReadQ5_K::at(w, row, column);
    case PERDURE_Q6_K:
      return ReadQ6_K::at(w, row, column);
    default:
      return ReadQ80::at(w, row, column);
  }
}

}  // namespace perdure::kernels
