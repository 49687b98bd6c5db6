// SPDX-License-Identifier: Apache-2.0

// What every kernel plugin has to show, ours or foreign: `check_kernel_plugin(plugin)` runs each of
// its kernels that this CPU can run against the scalar definition, and against itself with the work
// cut in other ways and with each row alone.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <map>

#include "core/base/cpu.hpp"
#include "tests/support/kernel_attend_cases.hpp"
#include "tests/support/kernel_row_cases.hpp"

extern "C" const void* perdure_entry_kernels_scalar(void);

namespace perdure::test {

using MakeCase = std::function<KernelCase(uint64_t seed)>;

// The operations of core/api/operations.hpp. `tolerance` is relative to the largest value of the
// result, 0 means equal bits.
struct OperationCases {
  double tolerance;
  std::vector<MakeCase> make;
};

inline const std::map<std::string, OperationCases>& operation_cases() {
  const auto elementwise = [](const char* op, int n) -> MakeCase {
    return [=](uint64_t seed) { return elementwise_case(op, n, seed); };
  };
  const auto with_vector = [](const char* op) -> MakeCase {
    return [=](uint64_t seed) { return vector_case(op, seed); };
  };
  const auto product = [](perdure_dtype dtype, bool quantised) -> MakeCase {
    return [=](uint64_t seed) { return mat_mul_case(dtype, quantised, seed); };
  };
  const auto blocks = [](perdure_dtype x, perdure_dtype w) -> MakeCase {
    return [=](uint64_t seed) { return block_product_case(x, w, seed); };
  };
  const auto to_blocks = [](perdure_dtype type) -> MakeCase {
    return [=](uint64_t seed) { return quantize_blocks_case(type, seed); };
  };
  const auto causal = [](uint64_t seed) {
    return causal_attend_case(1 + static_cast<int64_t>(seed * 7 % 30), seed * 13 % 150, seed);
  };
  static const std::map<std::string, OperationCases> cases = {
      {"add", {0, {elementwise("add", 2)}}},
      {"mul", {0, {elementwise("mul", 2)}}},
      {"silu_mul", {1e-6, {elementwise("silu_mul", 2)}}},
      {"sigmoid", {1e-6, {elementwise("sigmoid", 1)}}},
      {"silu", {1e-6, {elementwise("silu", 1)}}},
      {"tanh", {1e-6, {elementwise("tanh", 1)}}},
      {"exp", {1e-6, {elementwise("exp", 1)}}},
      {"gelu", {1e-6, {elementwise("gelu", 1)}}},
      {"gelu_tanh", {1e-6, {elementwise("gelu_tanh", 1)}}},
      {"relu_square", {0, {elementwise("relu_square", 1)}}},
      {"add_row", {0, {with_vector("add_row")}}},
      {"mul_row", {0, {with_vector("mul_row")}}},
      {"scale_rows", {0, {scale_rows_case}}},
      {"mat_mul", {2e-6, {product(PERDURE_F32, false),        product(PERDURE_F16, false),
                          product(PERDURE_BF16, false),       product(PERDURE_Q80, false),
                          product(PERDURE_Q80, true),         output_mat_mul_case,
                          blocks(PERDURE_F32, PERDURE_Q8_0),  blocks(PERDURE_F32, PERDURE_Q4_0),
                          blocks(PERDURE_F32, PERDURE_Q4_1),  blocks(PERDURE_F32, PERDURE_Q5_0),
                          blocks(PERDURE_F32, PERDURE_Q5_1),  blocks(PERDURE_Q8_0, PERDURE_Q8_0),
                          blocks(PERDURE_Q8_0, PERDURE_Q4_0), blocks(PERDURE_Q8_0, PERDURE_Q4_1),
                          blocks(PERDURE_Q8_0, PERDURE_Q5_0), blocks(PERDURE_Q8_0, PERDURE_Q5_1),
                          blocks(PERDURE_F32, PERDURE_Q4_K),  blocks(PERDURE_F32, PERDURE_Q5_K),
                          blocks(PERDURE_F32, PERDURE_Q6_K),  blocks(PERDURE_Q8_K, PERDURE_Q4_K),
                          blocks(PERDURE_Q8_K, PERDURE_Q5_K), blocks(PERDURE_Q8_K, PERDURE_Q6_K)}}},
      {"rms_norm", {1e-6, {norm_case}}},
      {"group_norm", {2e-6, {group_norm_case}}},
      {"softmax", {1e-6, {softmax_case}}},
      {"quantize", {0, {quantize_case, to_blocks(PERDURE_Q8_0), to_blocks(PERDURE_Q8_K)}}},
      {"lookup", {0, {lookup_case}}},
      {"concat", {0, {concat_case}}},
      {"slice", {0, {slice_case}}},
      {"row_input", {0, {row_input_case}}},
      {"state_read", {0, {[](uint64_t seed) { return state_case(false, seed); }}}},
      {"state_write", {0, {[](uint64_t seed) { return state_case(true, seed); }}}},
      {"row_index", {0, {row_index_case}}},
      {"stream_index", {0, {[](uint64_t seed) { return field_case("stream_index", seed); }}}},
      {"segment_index", {0, {[](uint64_t seed) { return field_case("segment_index", seed); }}}},
      {"segment_number", {0, {[](uint64_t seed) { return field_case("segment_number", seed); }}}},
      {"segment_tokens", {0, {[](uint64_t seed) { return field_case("segment_tokens", seed); }}}},
      {"live_range", {0, {live_range_case}}},
      {"window_range", {0, {[](uint64_t seed) { return range_case(false, seed); }}}},
      {"sink_range", {0, {[](uint64_t seed) { return range_case(true, seed); }}}},
      {"map_index", {0, {map_index_case}}},
      {"piecewise_index", {0, {piecewise_case}}},
      {"cut_range", {0, {[](uint64_t seed) { return change_range_case(true, seed); }}}},
      {"shift_range", {0, {[](uint64_t seed) { return change_range_case(false, seed); }}}},
      {"rope_angles", {1e-6, {angles_case}}},
      {"rope", {1e-6, {rope_case}}},
      {"log_n", {1e-6, {log_case}}},
      {"select_outputs", {0, {select_case}}},
      {"attend", {4e-6, {attend_case, causal, rich_attend_case}}},
      {"attend_weighing", {4e-6, {weighing_case}}},
  };
  return cases;
}

inline const perdure_kernel_plugin& scalar_plugin() {
  return *static_cast<const perdure_kernel_plugin*>(perdure_entry_kernels_scalar());
}

// What the scalar kernel that takes the case computes.
inline KernelResult scalar_result(const KernelCase& test) {
  for (uint32_t i = 0; i < scalar_plugin().n_kernels; ++i) {
    const perdure_kernel& kernel = scalar_plugin().kernels[i];
    if (test.op != kernel.op) continue;
    PreparedKernel prepared(kernel, test);
    if (!prepared.accepted()) continue;
    prepared.run();
    return prepared.result();
  }
  FAIL("no scalar kernel takes ", test.op);
  return {};
}

// The largest difference of two lists relative to the largest finite value of the second; infinity
// where one has a number that the other lacks.
inline double relative_difference(const Floats& a, const Floats& b) {
  double largest = 1e-30, difference = 0.0;
  for (float v : b)
    if (std::isfinite(v)) largest = std::max(largest, std::fabs(double{v}));
  for (size_t i = 0; i < b.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    difference = std::max(difference, std::fabs(double{a[i]} - double{b[i]}));
  }
  return difference / largest;
}

// The largest difference of two elements relative to the second one itself.
inline double elementwise_difference(const Floats& a, const Floats& b) {
  double largest = 0.0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (a[i] == b[i]) continue;
    const double scale = std::max(std::fabs(double{b[i]}), 1e-37);
    largest = std::max(largest, std::fabs(double{a[i]} - double{b[i]}) / scale);
  }
  return largest;
}

inline bool same_states(const KernelResult& a, const KernelResult& b) {
  for (size_t s = 0; s < a.states.size(); ++s)
    if (a.states[s].sessions != b.states[s].sessions) return false;
  return true;
}

inline bool same_bits(const KernelResult& a, const KernelResult& b) {
  return a.data == b.data && a.scales == b.scales && same_states(a, b);
}

inline void check_against_scalar(const KernelCase& test, const KernelResult& result,
                                 double tolerance) {
  const KernelResult expected = scalar_result(test);
  CHECK(same_states(result, expected));
  const bool exact =
      tolerance == 0 || (!test.outputs.empty() && test.outputs[0].dtype != PERDURE_F32);
  if (exact)
    CHECK((result.data == expected.data && result.scales == expected.scales));
  else
    CHECK(relative_difference(result.floats(), expected.floats()) <= tolerance);
}

inline void check_cuts(PreparedKernel& prepared, const KernelResult& whole, const KernelCase& test,
                       const perdure_kernel& kernel) {
  for (const Cut cut : {Cut::kSmallest, Cut::kSmallestBackwards}) {
    PreparedKernel again(kernel, test);
    again.run(cut);
    CHECK(same_bits(again.result(), whole));
  }
  if (test.op == "attend_weighing") return;  // adds to what the state holds
  prepared.run();
  CHECK(same_bits(prepared.result(), whole));  // running twice changes nothing
}

// Rows that are not packed tightly, as those of a wider tensor.
inline void check_strides(const perdure_kernel& kernel, const KernelCase& test,
                          const KernelResult& whole) {
  KernelCase wide = test;
  for (auto* values : {&wide.inputs, &wide.outputs})
    for (HarnessValue& v : *values)
      if (v.kind == PERDURE_VALUE_ROWS || v.kind == PERDURE_VALUE_OUTPUTS) v.row_padding = 24;
  PreparedKernel prepared(kernel, wide);
  if (!prepared.accepted()) return;  // it may decline, but not ignore the stride
  prepared.run();
  CHECK(same_bits(prepared.result(), whole));
}

inline void check_rows_alone(const perdure_kernel& kernel, const KernelCase& test,
                             const KernelResult& together) {
  const size_t n = test.rows.size();
  for (size_t r = 0; r < n; ++r) {
    PreparedKernel prepared(kernel, test.only_row(static_cast<int64_t>(r)));
    REQUIRE(prepared.accepted());
    prepared.run();
    const KernelResult alone = prepared.result();
    const auto row_of = [&](const Bytes& all) {
      return Bytes(all.begin() + r * (all.size() / n), all.begin() + (r + 1) * (all.size() / n));
    };
    CHECK(alone.data == row_of(together.data));
    CHECK(alone.scales == row_of(together.scales));
  }
}

inline void check_kernel_on(const perdure_kernel& kernel, const KernelCase& test, double tolerance,
                            int& n_taken) {
  PreparedKernel prepared(kernel, test);
  if (!prepared.accepted()) return;
  ++n_taken;
  prepared.run();
  const KernelResult result = prepared.result();
  check_against_scalar(test, result, tolerance);
  check_cuts(prepared, result, test, kernel);
  check_strides(kernel, test, result);
  if (!test.outputs.empty() && test.output_rows.empty()) check_rows_alone(kernel, test, result);
}

inline bool runs_here(const perdure_kernel& kernel) {
  return (kernel.cpu_features & ~cpu_features()) == 0;
}

inline void check_kernel(const perdure_kernel& kernel, uint64_t n_seeds) {
  INFO("kernel ", std::string(kernel.name));
  CHECK(std::string(kernel.name).ends_with(std::string("_") + kernel.isa));
  const auto found = operation_cases().find(kernel.op);
  if (found == operation_cases().end() || !runs_here(kernel)) return;
  int n_taken = 0;
  for (size_t i = 0; i < found->second.make.size(); ++i)
    for (uint64_t seed = 1; seed <= n_seeds; ++seed) {
      INFO("case ", i, ", seed ", seed);
      check_kernel_on(kernel, found->second.make[i](seed), found->second.tolerance, n_taken);
    }
  CHECK_MESSAGE(n_taken > 0, "the kernel takes no case of its operation");
}

// Every kernel of the plugin. Operations that are not built in are left to their plugin's own
// tests.
inline void check_kernel_plugin(const perdure_kernel_plugin* plugin, uint64_t n_seeds = 25) {
  REQUIRE(plugin->struct_size >= sizeof(perdure_kernel_plugin));
  REQUIRE(plugin->abi == PERDURE_KERNEL_ABI);
  for (uint32_t i = 0; i < plugin->n_kernels; ++i) check_kernel(plugin->kernels[i], n_seeds);
}

}  // namespace perdure::test
