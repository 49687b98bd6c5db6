// SPDX-License-Identifier: Apache-2.0

// Nodes on which every kernel is compared with the scalar definition: odd sizes, tails, unaligned
// and extreme weights, steps of one and of several sessions. Cases come from fixed seeds.
#pragma once

#include <bit>
#include <cmath>
#include <random>

#include "tests/support/kernel_harness.hpp"

namespace perdure::test {

// Random numbers of one case.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : engine_(seed) {}

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }

  int64_t pick(std::initializer_list<int64_t> choices) {
    return choices.begin()[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }

  // Mostly lengths around powers of two, up to 257.
  int64_t size() {
    return pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 127, 128, 129, 257});
  }

  float normal(float scale = 1.0f) { return scale * std::normal_distribution<float>()(engine_); }

  Floats normals(int64_t n, float scale = 1.0f) {
    Floats values(static_cast<size_t>(n));
    for (float& v : values) v = normal(scale);
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

inline void add_some_rows(KernelCase& test, Numbers& numbers) {
  const int64_t n_sessions = numbers.pick({1, 1, 2, 3});
  for (int64_t s = 0; s < n_sessions; ++s)
    test.add_session(numbers.between(0, 300), numbers.pick({1, 1, 2, 3, 4, 5, 7, 11}));
}

inline int64_t n_rows(const KernelCase& test) { return static_cast<int64_t>(test.rows.size()); }

// Numbers at which activations misbehave.
inline void add_special_values(Floats& values, Numbers& numbers) {
  constexpr float kSpecial[] = {0.0f,   -0.0f, 1e-40f, -1e-40f, 1e-7f,   0.62f, -0.63f, 88.0f,
                                -88.0f, 90.0f, -90.0f, 110.0f,  -110.0f, 1e30f, -1e30f};
  for (float& v : values)
    if (numbers.between(0, 3) == 0) v = kSpecial[numbers.between(0, std::size(kSpecial) - 1)];
}

inline KernelCase elementwise_case(const std::string& op, int n_inputs, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = op};
  add_some_rows(test, numbers);
  const int64_t n = numbers.size();
  for (int i = 0; i < n_inputs; ++i) {
    Floats values = numbers.normals(n_rows(test) * n, 3.0f);
    // Products of two extremes would only test infinity.
    if (i == 0) add_special_values(values, numbers);
    test.add_rows(n, values);
  }
  test.set_output(n);
  return test;
}

// Any bits that are a finite number of a 16-bit type, subnormals included.
inline uint16_t random_16_bits(perdure_dtype dtype, Numbers& numbers) {
  if (dtype == PERDURE_BF16) {
    if (numbers.between(0, 7) == 0) return static_cast<uint16_t>(numbers.between(0, 127));
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(numbers.normal(0.1f)) >> 16);
  }
  const uint16_t sign = numbers.between(0, 1) ? 0x8000 : 0;
  if (numbers.between(0, 7) == 0) return sign | static_cast<uint16_t>(numbers.between(0, 1023));
  return sign | static_cast<uint16_t>(numbers.between(1, 15) << 10 | numbers.between(0, 1023));
}

// int8 values with extremes and zeros, and their scales.
inline void fill_q80(HarnessValue& v, int64_t n_values, Numbers& numbers) {
  const int64_t n_groups = (n_values + v.group_size - 1) / v.group_size;
  Floats scales;
  for (int64_t g = 0; g < n_groups; ++g) scales.push_back(std::fabs(numbers.normal(0.01f)));
  for (int64_t i = 0; i < n_values; ++i) {
    const int64_t kind = (i / v.group_size) % 5;
    const int64_t value = kind == 0   ? numbers.pick({-127, 127})
                          : kind == 1 ? 0
                                      : numbers.between(-127, 127);
    v.data.push_back(static_cast<char>(value));
    if (kind == 1) scales[i / v.group_size] = 0.0f;
  }
  v.scales = bytes_of(scales);
}

// Blocks of 32 values: a scale in half precision, where the type has one a minimum of its size,
// then any bytes.
inline void fill_blocks(HarnessValue& v, int64_t n_blocks, Numbers& numbers) {
  for (int64_t b = 0; b < n_blocks; ++b) {
    const uint16_t scale = numbers.between(0, 5) == 0
                               ? 0
                               : static_cast<uint16_t>(numbers.between(8, 11) << 10 | b % 1024);
    v.data.push_back(static_cast<char>(scale & 255));
    v.data.push_back(static_cast<char>(scale >> 8));
    int64_t n_done = 2;
    if (v.dtype == PERDURE_Q4_1 || v.dtype == PERDURE_Q5_1) {
      const auto minimum = static_cast<uint16_t>(numbers.pick({0, 0x8000}) |
                                                 numbers.between(8, 11) << 10 | b * 7 % 1024);
      v.data.push_back(static_cast<char>(minimum & 255));
      v.data.push_back(static_cast<char>(minimum >> 8));
      n_done = 4;
    }
    for (int64_t i = n_done; i < perdure_block_bytes(v.dtype); ++i)
      v.data.push_back(static_cast<char>(numbers.between(0, 255)));
  }
}

// A half between 2^-7 and 2^-3, `sign` set at random.
inline uint16_t moderate_half(Numbers& numbers, bool is_signed) {
  return static_cast<uint16_t>((is_signed ? numbers.pick({0, 0x8000}) : 0) |
                               numbers.between(8, 11) << 10 | numbers.between(0, 1023));
}

// Blocks of 256 values: any bytes but for the scales; Q8_K with the sums of its values.
inline void fill_super_blocks(HarnessValue& v, int64_t n_blocks, Numbers& numbers) {
  for (int64_t b = 0; b < n_blocks; ++b) {
    Bytes block(static_cast<size_t>(perdure_block_bytes(v.dtype)));
    for (char& byte : block) byte = static_cast<char>(numbers.between(-128, 127));
    const bool is_zero = numbers.between(0, 5) == 0;
    const uint16_t halves[] = {is_zero ? uint16_t{0} : moderate_half(numbers, true),
                               moderate_half(numbers, false)};
    if (v.dtype == PERDURE_Q6_K) std::memcpy(block.data() + 208, halves, 2);
    if (v.dtype == PERDURE_Q4_K || v.dtype == PERDURE_Q5_K) std::memcpy(block.data(), halves, 4);
    if (v.dtype == PERDURE_Q8_K) {
      const float scale = is_zero ? 0.0f : numbers.normal(0.01f);
      std::memcpy(block.data(), &scale, 4);
      int16_t sums[16] = {};
      for (int64_t i = 0; i < 256; ++i)
        sums[i / 16] = static_cast<int16_t>(sums[i / 16] + static_cast<int8_t>(block[4 + i]));
      std::memcpy(block.data() + 260, sums, sizeof sums);
    }
    v.data.insert(v.data.end(), block.begin(), block.end());
  }
}

// Values of any type in blocks.
inline void fill_any_blocks(HarnessValue& v, int64_t n_values, Numbers& numbers) {
  if (perdure_block_values(v.dtype) == 32) fill_blocks(v, n_values / 32, numbers);
  if (perdure_block_values(v.dtype) == 256) fill_super_blocks(v, n_values / 256, numbers);
}

inline HarnessValue weight(perdure_dtype dtype, int64_t rows, int64_t columns, int64_t group,
                           Numbers& numbers) {
  HarnessValue v{.kind = PERDURE_VALUE_CONSTANT, .dtype = dtype, .rows = rows, .columns = columns};
  v.misalignment = static_cast<size_t>(numbers.pick({0, 0, 1, 2, 3, 28}));
  if (dtype == PERDURE_F32) v.data = bytes_of(numbers.normals(rows * columns, 0.1f));
  if (dtype == PERDURE_F16 || dtype == PERDURE_BF16) {
    std::vector<uint16_t> values(static_cast<size_t>(rows * columns));
    for (uint16_t& bits : values) bits = random_16_bits(dtype, numbers);
    v.data = bytes_of(values);
  }
  if (dtype == PERDURE_Q80) {
    v.group_size = group;
    fill_q80(v, rows * columns, numbers);
  }
  fill_any_blocks(v, rows * columns, numbers);
  return v;
}

// `quantised`: rows and weights Q80; else F32 rows and weights of type `dtype`.
inline KernelCase mat_mul_case(perdure_dtype dtype, bool quantised, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "mat_mul"};
  add_some_rows(test, numbers);
  int64_t k = numbers.size(), group = 0;
  if (dtype == PERDURE_Q80) {
    group = numbers.pick({1, 2, 3, 5, 6, 16, 32, 32, 64, 64, 96});
    if (quantised) k = group * numbers.between(1, 5);
  }
  if (quantised) {
    HarnessValue x{.dtype = PERDURE_Q80, .columns = k, .group_size = group};
    fill_q80(x, n_rows(test) * k, numbers);
    test.inputs.push_back(x);
  } else {
    test.add_rows(k, numbers.normals(n_rows(test) * k));
  }
  const int64_t n = numbers.size();
  test.inputs.push_back(weight(dtype, n, k, group, numbers));
  test.set_output(n);
  return test;
}

// Weights in blocks of GGUF, rows F32 or Q8_0 or Q8_K; `n` rows of weights, `n_blocks` to a row.
inline KernelCase block_product_case_of(perdure_dtype x_type, perdure_dtype w_type, int64_t n,
                                        int64_t n_blocks, KernelCase test, Numbers& numbers) {
  const int64_t k = perdure_block_values(w_type) * n_blocks;
  if (x_type == PERDURE_F32) {
    test.add_rows(k, numbers.normals(n_rows(test) * k));
  } else {
    HarnessValue x{.dtype = x_type, .columns = k};
    fill_any_blocks(x, n_rows(test) * k, numbers);
    test.inputs.push_back(x);
  }
  test.inputs.push_back(weight(w_type, n, k, 0, numbers));
  test.set_output(n);
  return test;
}

inline KernelCase block_product_case(perdure_dtype x_type, perdure_dtype w_type, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "mat_mul"};
  add_some_rows(test, numbers);
  const int64_t n_blocks = numbers.between(1, perdure_block_values(w_type) == 32 ? 6 : 3);
  return block_product_case_of(x_type, w_type, numbers.size(), n_blocks, test, numbers);
}

// More rows, and longer ones, than a kernel takes in one piece.
inline KernelCase large_block_product_case(perdure_dtype x_type, perdure_dtype w_type) {
  Numbers numbers(5);
  KernelCase test{.op = "mat_mul"};
  test.add_session(3, 103);
  return block_product_case_of(x_type, w_type, numbers.size(), 1300 / perdure_block_values(w_type),
                               test, numbers);
}

// One row, as in decoding.
inline KernelCase single_row_block_case(perdure_dtype x_type, perdure_dtype w_type, int64_t n,
                                        int64_t n_blocks) {
  Numbers numbers(static_cast<uint64_t>(100 * n + n_blocks));
  KernelCase test{.op = "mat_mul"};
  test.add_session(0, 1);
  return block_product_case_of(x_type, w_type, n, n_blocks, test, numbers);
}

inline KernelCase quantize_blocks_case(perdure_dtype type, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "quantize"};
  add_some_rows(test, numbers);
  const int64_t block = perdure_block_values(type), n = block * numbers.between(1, 5);
  Floats x = numbers.normals(n_rows(test) * n);
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    if (i / block % 3 == 1) x[i] = 0.0f;    // a block of zeros
    if (i / block % 3 == 2) x[i] *= 1e-6f;  // a scale that is a subnormal half
  }
  test.add_rows(n, x);
  test.set_output(n, type);
  return test;
}

// The rows that asked for logits only.
inline KernelCase output_mat_mul_case(uint64_t seed) {
  KernelCase test = mat_mul_case(PERDURE_F32, false, seed);
  for (int64_t r = n_rows(test) - 1; r >= 0; r -= 2)
    test.output_rows.insert(test.output_rows.begin(), r);
  test.inputs[0].kind = test.outputs[0].kind = PERDURE_VALUE_OUTPUTS;
  test.inputs[0].data.resize(test.output_rows.size() * test.inputs[0].columns * sizeof(float));
  return test;
}

inline KernelCase quantize_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "quantize"};
  add_some_rows(test, numbers);
  const int64_t group = numbers.pick({1, 3, 8, 31, 32, 64, 100});
  const int64_t n = group * numbers.between(1, 5);
  Floats x = numbers.normals(n_rows(test) * n);
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    if (i / group % 4 == 1) x[i] = 0.0f;     // a group of zeros
    if (i / group % 4 == 2) x[i] *= 1e-41f;  // scales at the end of the range
    if (i / group % 4 == 3)                  // exact halves: scale 1
      x[i] = i % group == 0 ? 127.0f : static_cast<float>(numbers.between(-127, 126)) + 0.5f;
  }
  test.add_rows(n, x);
  test.attributes = {{"group_size", static_cast<double>(group)}};
  test.set_output(n, PERDURE_Q80, group);
  return test;
}

inline KernelCase row_input_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "row_input"};
  add_some_rows(test, numbers);
  const int64_t n = numbers.size(), n_table = 11;
  const int64_t type = numbers.pick({PERDURE_F32, PERDURE_F16, PERDURE_BF16, PERDURE_Q80});
  test.inputs.push_back(
      weight(static_cast<perdure_dtype>(type), n_table, n, numbers.pick({1, 7, 32}), numbers));
  test.states.push_back({.columns = n});
  for (int32_t s = 0; s <= test.rows.back().session; ++s)
    test.states[0].sessions.push_back(numbers.normals(5 * n));
  test.add_state(0);
  for (perdure_row& row : test.rows) {
    row.source = static_cast<int32_t>(numbers.between(0, 1));
    row.role = row.source;
    row.index = numbers.between(0, row.source == 0 ? n_table - 1 : 4);
  }
  test.set_output(n);
  return test;
}

inline std::vector<int64_t> some_indices(const KernelCase& test, int64_t highest,
                                         Numbers& numbers) {
  std::vector<int64_t> indices;
  for (int64_t r = 0; r < n_rows(test); ++r) indices.push_back(numbers.between(0, highest));
  return indices;
}

// state_read, or state_write with rows that share a place and rows of a role that is not written.
inline KernelCase state_case(bool write, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = write ? "state_write" : "state_read"};
  add_some_rows(test, numbers);
  const int64_t n = numbers.pick({1, 17, 64, 300});
  test.states.push_back({.columns = n, .ring_first = 2, .ring_rows = numbers.pick({0, 3})});
  const int64_t physical = test.states[0].ring_rows == 0 ? 8 : 5;
  for (int32_t s = 0; s <= test.rows.back().session; ++s)
    test.states[0].sessions.push_back(numbers.normals(physical * n));
  for (perdure_row& row : test.rows) row.role = static_cast<int32_t>(numbers.between(0, 1));
  const auto indices = some_indices(test, 7, numbers);
  if (write) test.add_rows(n, numbers.normals(n_rows(test) * n));
  test.add_state(0);
  test.add_integers(1, indices);
  if (write)
    test.attributes = {{"roles", static_cast<double>(numbers.between(1, 3))}};
  else
    test.set_output(n);
  return test;
}

inline KernelCase row_index_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "row_index"};
  add_some_rows(test, numbers);
  test.attributes = {{"modulus", static_cast<double>(numbers.pick({0, 1, 7, 32}))},
                     {"offset", static_cast<double>(numbers.pick({0, 32}))},
                     {"cap", static_cast<double>(numbers.pick({0, 40}))}};
  test.set_output(1, PERDURE_I64);
  return test;
}

inline KernelCase field_case(const char* op, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = op};
  add_some_rows(test, numbers);
  test.set_output(1, PERDURE_I64);
  return test;
}

inline KernelCase live_range_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "live_range"};
  add_some_rows(test, numbers);
  test.states.push_back({.columns = 4, .live_rows = numbers.pick({0, 1, 9})});
  for (int32_t s = 0; s <= test.rows.back().session; ++s)
    test.states[0].sessions.push_back(numbers.normals(9 * 4));
  test.add_state(0);
  test.set_output(3, PERDURE_I64);
  return test;
}

inline KernelCase range_case(bool sinks, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = sinks ? "sink_range" : "window_range"};
  add_some_rows(test, numbers);
  test.add_integers(1, some_indices(test, 100, numbers));
  if (sinks)
    test.attributes = {{"sinks", 4}};
  else
    test.attributes = {{"window", static_cast<double>(numbers.pick({0, 1, 16}))},
                       {"lowest", static_cast<double>(numbers.pick({0, 4, 50}))},
                       {"all_from", static_cast<double>(numbers.pick({-1, 60}))},
                       {"rebase", static_cast<double>(numbers.pick({0, 1}))}};
  test.set_output(3, PERDURE_I64);
  return test;
}

inline KernelCase map_index_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "map_index"};
  add_some_rows(test, numbers);
  test.add_integers(1, some_indices(test, 100, numbers));
  test.attributes = {{"before", static_cast<double>(numbers.pick({0, 5, -50}))},
                     {"group", static_cast<double>(numbers.pick({1, 3, 16}))},
                     {"after", static_cast<double>(numbers.pick({0, 7}))}};
  test.set_output(1, PERDURE_I64);
  return test;
}

inline KernelCase piecewise_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "piecewise_index"};
  add_some_rows(test, numbers);
  test.add_integers(1, some_indices(test, 100, numbers));
  const int64_t n_edges = numbers.pick({1, 3});
  for (const int64_t n : {n_edges, n_edges + 1}) {
    HarnessValue v{.kind = PERDURE_VALUE_CONSTANT, .rows = 1, .columns = n};
    Floats values;
    for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(20 * (i + 1)));
    v.data = bytes_of(values);
    test.inputs.push_back(v);
  }
  test.set_output(1, PERDURE_I64);
  return test;
}

// A range is changed by an index.
inline KernelCase change_range_case(bool cut, uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = cut ? "cut_range" : "shift_range"};
  add_some_rows(test, numbers);
  std::vector<int64_t> ranges;
  for (int64_t r = 0; r < n_rows(test); ++r) {
    const int64_t first = numbers.between(0, 90);
    ranges.insert(ranges.end(), {first, first + numbers.between(0, 20), numbers.pick({0, 9})});
  }
  test.add_integers(3, ranges);
  test.add_integers(1, some_indices(test, 100, numbers));
  if (cut)
    test.attributes = {{"near", static_cast<double>(numbers.pick({0, 1, 8, 200}))},
                       {"far", static_cast<double>(numbers.pick({0, 1}))}};
  test.set_output(3, PERDURE_I64);
  return test;
}

inline KernelCase angles_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "rope_angles"};
  add_some_rows(test, numbers);
  const int64_t n = numbers.pick({1, 4, 24, 32, 33}), n_sets = numbers.pick({1, 1, 3});
  test.add_integers(1, some_indices(test, numbers.pick({10, 1000, 1 << 18}), numbers));
  HarnessValue frequencies{.kind = PERDURE_VALUE_CONSTANT, .rows = n_sets, .columns = n};
  Floats values;
  for (int64_t i = 0; i < n * n_sets; ++i)
    values.push_back(std::pow(10000.0f, -static_cast<float>(i) / static_cast<float>(n * n_sets)));
  frequencies.data = bytes_of(values);
  test.inputs.push_back(frequencies);
  if (n_sets > 1) test.add_integers(1, some_indices(test, n_sets - 1, numbers));
  const double sign = static_cast<double>(numbers.pick({0, 0, 1, -1}));
  test.attributes = {{"divisor", static_cast<double>(numbers.pick({1, 4}))},
                     {"xpos_lambda", sign == 0 ? 0.0 : 1024.0},
                     {"xpos_sign", sign},
                     {"scale", numbers.pick({0, 1}) != 0 ? 1.25 : 1.0}};
  test.set_output(2 * n);
  return test;
}

inline KernelCase rope_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "rope"};
  add_some_rows(test, numbers);
  const int64_t rotary = numbers.pick({2, 8, 20, 48, 64, 66, 128});
  const int64_t head_size = rotary + numbers.pick({0, 0, 1, 13, 32});
  const int64_t n = head_size * numbers.between(1, 4);
  test.add_rows(n, numbers.normals(n_rows(test) * n));
  Floats angles;
  for (int64_t i = 0; i < n_rows(test) * rotary / 2; ++i) {
    const float angle = numbers.normal(3.0f);
    angles.insert(angles.end(), {std::cos(angle), std::sin(angle)});
  }
  test.add_rows(rotary, angles);
  if (numbers.between(0, 1)) test.attributes.emplace_back("halves", 1);
  if (head_size != rotary)
    test.attributes.emplace_back("head_size", static_cast<double>(head_size));
  test.set_output(n);
  return test;
}

inline KernelCase log_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "log_n"};
  add_some_rows(test, numbers);
  test.add_integers(1, some_indices(test, 1000, numbers));
  test.attributes = {{"train_length", 256}, {"clamp", static_cast<double>(seed % 2)}};
  test.set_output(1);
  return test;
}

}  // namespace perdure::test
