// SPDX-License-Identifier: Apache-2.0

// Nodes that work on whole rows: norms, softmax, products with vectors, rows cut, joined and looked
// up.
#pragma once

#include "tests/support/kernel_cases.hpp"

namespace perdure::test {

// A weight of one of the types that vectors and tables come in.
inline HarnessValue some_weight(int64_t rows, int64_t columns, Numbers& numbers) {
  const int64_t type =
      numbers.pick({PERDURE_F32, PERDURE_F32, PERDURE_F16, PERDURE_BF16, PERDURE_Q80});
  return weight(static_cast<perdure_dtype>(type), rows, columns, numbers.pick({1, 7, 32}), numbers);
}

inline KernelCase norm_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "rms_norm"};
  add_some_rows(test, numbers);
  int64_t n = numbers.size();
  const bool grouped = numbers.between(0, 2) == 0;
  test.attributes = {{"eps", 1e-5}, {"group", grouped ? static_cast<double>(n) : 0.0}};
  if (grouped) n *= numbers.between(1, 4);
  test.add_rows(n, numbers.normals(n_rows(test) * n));
  if (numbers.between(0, 2) > 0) {
    const int64_t type = numbers.pick({PERDURE_F32, PERDURE_F32, PERDURE_F16, PERDURE_BF16});
    test.inputs.push_back(weight(static_cast<perdure_dtype>(type), 1, n, 0, numbers));
  }
  test.set_output(n);
  return test;
}

// x, then at most a weight and a bias.
inline KernelCase group_norm_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "group_norm"};
  add_some_rows(test, numbers);
  const int64_t n_groups = numbers.pick({1, 1, 2, 3, 8});
  const int64_t n = n_groups * numbers.size();
  test.attributes = {{"eps", numbers.pick({0, 1}) ? 1e-5 : 64e-5},
                     {"n_groups", static_cast<double>(n_groups)}};
  Floats x = numbers.normals(n_rows(test) * n);
  const float offset = static_cast<float>(numbers.pick({0, 0, 3}));
  for (float& v : x) v += offset;
  test.add_rows(n, x);
  for (int64_t i = numbers.between(0, 2); i > 0; --i)
    test.inputs.push_back(some_weight(1, n, numbers));
  test.set_output(n);
  return test;
}

inline KernelCase softmax_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "softmax"};
  add_some_rows(test, numbers);
  int64_t n = numbers.size();
  const bool grouped = numbers.between(0, 1) != 0;
  test.attributes = {{"group", grouped ? static_cast<double>(n) : 0.0}};
  if (grouped) n *= numbers.between(1, 4);
  Floats x = numbers.normals(n_rows(test) * n, 4.0f);
  for (float& v : x)
    if (numbers.between(0, 9) == 0) v = -INFINITY;
  if (seed % 5 == 0) std::fill(x.begin(), x.begin() + n, -INFINITY);
  test.add_rows(n, x);
  test.set_output(n);
  return test;
}

inline KernelCase vector_case(const std::string& op, uint64_t seed) {
  Numbers numbers(seed + 7);
  KernelCase test = elementwise_case(op, 1, seed);
  test.inputs.push_back(some_weight(1, test.inputs[0].columns, numbers));
  return test;
}

// One factor for the row, or one for each group of its columns.
inline KernelCase scale_rows_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "scale_rows"};
  add_some_rows(test, numbers);
  const int64_t n_groups = numbers.pick({1, 1, 2, 5});
  const int64_t n = n_groups * numbers.size();
  Floats x = numbers.normals(n_rows(test) * n, 3.0f);
  add_special_values(x, numbers);
  test.add_rows(n, x);
  test.add_rows(n_groups, numbers.normals(n_rows(test) * n_groups));
  test.set_output(n);
  return test;
}

// Indices before and behind the table among them.
inline KernelCase lookup_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "lookup"};
  add_some_rows(test, numbers);
  const int64_t n = numbers.size(), n_table = numbers.pick({1, 2, 11});
  test.inputs.push_back(some_weight(n_table, n, numbers));
  std::vector<int64_t> index;
  for (int64_t r = 0; r < n_rows(test); ++r)
    index.push_back(numbers.pick(
        {numbers.between(0, n_table - 1), n_table - 1, n_table, -1, INT64_MAX, INT64_MIN}));
  test.add_integers(1, index);
  test.set_output(n);
  return test;
}

inline void add_integer_rows(KernelCase& test, int64_t columns, Numbers& numbers) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n_rows(test) * columns; ++i) values.push_back(numbers.between(-9, 9));
  test.add_integers(columns, values);
}

inline void add_rows_of(perdure_dtype dtype, int64_t columns, KernelCase& test, Numbers& numbers) {
  if (dtype == PERDURE_I64)
    add_integer_rows(test, columns, numbers);
  else
    test.add_rows(columns, numbers.normals(n_rows(test) * columns));
}

inline KernelCase concat_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "concat"};
  add_some_rows(test, numbers);
  const perdure_dtype dtype = seed % 3 == 0 ? PERDURE_I64 : PERDURE_F32;
  int64_t n_columns = 0;
  for (int64_t parts = numbers.between(1, 4); parts > 0; --parts) {
    add_rows_of(dtype, numbers.size(), test, numbers);
    n_columns += test.inputs.back().columns;
  }
  test.set_output(n_columns, dtype);
  return test;
}

inline KernelCase slice_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "slice"};
  add_some_rows(test, numbers);
  const perdure_dtype dtype = seed % 3 == 0 ? PERDURE_I64 : PERDURE_F32;
  const int64_t n = numbers.size(), first = numbers.between(0, n - 1);
  const int64_t count = numbers.between(1, n - first);
  add_rows_of(dtype, n, test, numbers);
  test.attributes = {{"first", static_cast<double>(first)}, {"count", static_cast<double>(count)}};
  test.set_output(count, dtype);
  return test;
}

inline KernelCase select_case(uint64_t seed) {
  Numbers numbers(seed);
  KernelCase test{.op = "select_outputs"};
  add_some_rows(test, numbers);
  const int64_t n = numbers.size();
  for (int64_t r = 0; r < n_rows(test); ++r)
    if (numbers.between(0, 1)) test.output_rows.push_back(r);
  test.add_rows(n, numbers.normals(n_rows(test) * n));
  test.set_output(n);
  test.outputs[0].kind = PERDURE_VALUE_OUTPUTS;
  return test;
}

}  // namespace perdure::test
