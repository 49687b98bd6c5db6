// SPDX-License-Identifier: Apache-2.0

// The kernel plugins of this tree in the suite that every kernel plugin joins, and what only ours
// promise.
#include "tests/support/kernel_suite.hpp"

#include <set>

extern "C" const void* perdure_entry_kernels_simd(void);

using namespace perdure::test;

namespace {

const perdure_kernel_plugin& simd_plugin() {
  return *static_cast<const perdure_kernel_plugin*>(perdure_entry_kernels_simd());
}

const perdure_kernel& simd_kernel(const std::string& name) {
  for (uint32_t i = 0; i < simd_plugin().n_kernels; ++i)
    if (name == simd_plugin().kernels[i].name) return simd_plugin().kernels[i];
  FAIL("no kernel ", name);
  return simd_plugin().kernels[0];
}

// use(kernel, type of rows, type of weights): every product of quantised rows with GGUF's blocks.
template <typename Use>
void for_each_block_product(Use use) {
  constexpr std::pair<const char*, perdure_dtype> kProducts[] = {
      {"q8_0", PERDURE_Q8_0},      {"q8_0_q4_0", PERDURE_Q4_0}, {"q8_0_q4_1", PERDURE_Q4_1},
      {"q8_0_q5_0", PERDURE_Q5_0}, {"q8_0_q5_1", PERDURE_Q5_1}, {"q8_k_q4_k", PERDURE_Q4_K},
      {"q8_k_q5_k", PERDURE_Q5_K}, {"q8_k_q6_k", PERDURE_Q6_K}};
  for (const auto& [stem, type] : kProducts)
    for (const char* isa : {"avx2", "avx512", "avx512vnni"}) {
      const perdure_kernel& kernel = simd_kernel(std::string("mat_mul_") + stem + "_" + isa);
      const perdure_dtype x = perdure_block_values(type) == 32 ? PERDURE_Q8_0 : PERDURE_Q8_K;
      INFO(std::string(kernel.name));
      if (runs_here(kernel)) use(kernel, x, type);
    }
}

void check_bits(const perdure_kernel& kernel, const KernelCase& test) {
  PreparedKernel prepared(kernel, test);
  REQUIRE(prepared.accepted());
  prepared.run();
  CHECK(prepared.result().data == scalar_result(test).data);
}

}  // namespace

TEST_CASE("kernels.scalar agrees with itself however the work is cut") {
  check_kernel_plugin(&scalar_plugin());
}

TEST_CASE(
    "kernels.simd agrees with the scalar definition and gives a row the same bits in any step") {
  check_kernel_plugin(&simd_plugin());
}

TEST_CASE("every instruction set of kernels.simd has every kernel that kernels.scalar has") {
  std::map<std::string, std::set<std::string>> stems;
  for (uint32_t i = 0; i < simd_plugin().n_kernels; ++i) {
    const perdure_kernel& k = simd_plugin().kernels[i];
    stems[k.isa].insert(std::string(k.name, std::strlen(k.name) - std::strlen(k.isa) - 1));
  }
  CHECK(stems.size() == 3);
  for (uint32_t i = 0; i < scalar_plugin().n_kernels; ++i) {
    const std::string name = scalar_plugin().kernels[i].name;
    for (const auto& [isa, names] : stems) {
      INFO(name, " for ", isa);
      CHECK(names.contains(name.substr(0, name.size() - std::strlen("_scalar"))));
    }
  }
}

TEST_CASE("no product and no quantiser of kernels.simd is scalar code under another name") {
  const auto is_computed = [](const perdure_kernel& k) {
    return std::string(k.op) == "mat_mul" || std::string(k.op) == "quantize";
  };
  std::set<decltype(perdure_kernel::run)> scalar;
  for (uint32_t i = 0; i < scalar_plugin().n_kernels; ++i)
    if (is_computed(scalar_plugin().kernels[i])) scalar.insert(scalar_plugin().kernels[i].run);
  CHECK(scalar.size() >= 20);
  for (uint32_t i = 0; i < simd_plugin().n_kernels; ++i) {
    const perdure_kernel& k = simd_plugin().kernels[i];
    INFO(std::string(k.name));
    CHECK_FALSE((is_computed(k) && scalar.contains(k.run)));
  }
}

TEST_CASE("products of quantised rows have the scalar definition's bits on every instruction set") {
  for (const char* isa : {"avx2", "avx512", "avx512vnni"}) {
    const perdure_kernel& kernel = simd_kernel(std::string("mat_mul_q80_") + isa);
    if (!runs_here(kernel)) continue;
    for (uint64_t seed = 100; seed < 140; ++seed) {
      INFO(isa, ", seed ", seed);
      const KernelCase test = mat_mul_case(PERDURE_Q80, true, seed);
      PreparedKernel prepared(kernel, test);
      REQUIRE(prepared.accepted());
      prepared.run();
      CHECK(prepared.result().data == scalar_result(test).data);
    }
  }
}

TEST_CASE("products with weights in GGUF's blocks have the scalar definition's bits everywhere") {
  for_each_block_product([](const perdure_kernel& kernel, perdure_dtype x, perdure_dtype w) {
    for (uint64_t seed = 100; seed < 120; ++seed) {
      INFO("seed ", seed);
      check_bits(kernel, block_product_case(x, w, seed));
    }
    check_bits(kernel, large_block_product_case(x, w));
  });
}

TEST_CASE("a single row times GGUF's blocks has the scalar definition's bits at any width") {
  for_each_block_product([](const perdure_kernel& kernel, perdure_dtype x, perdure_dtype w) {
    for (const int64_t n : {1, 15, 16, 17, 48, 63})
      for (const int64_t n_blocks : {1, 2, 3, 4, 7, 17, 36}) {
        INFO(n, " columns, ", n_blocks, " blocks");
        check_bits(kernel, single_row_block_case(x, w, n, n_blocks));
      }
  });
}

TEST_CASE("activations are within four units in the last place of the scalar definition") {
  constexpr double kUnit = 1.2e-7;
  for (const char* isa : {"avx2", "avx512"}) {
    for (const char* op : {"silu", "sigmoid", "tanh"}) {
      const perdure_kernel& kernel = simd_kernel(std::string(op) + "_f32_" + isa);
      if (!runs_here(kernel)) continue;
      KernelCase test{.op = op};
      test.add_session(0, 1);
      Floats x;
      for (float v = -86.0f; v < 86.0f; v += 0.0137f) x.push_back(v);
      test.add_rows(static_cast<int64_t>(x.size()), x);
      test.set_output(static_cast<int64_t>(x.size()));
      PreparedKernel prepared(kernel, test);
      prepared.run();
      INFO(std::string(kernel.name));
      CHECK(elementwise_difference(prepared.result().floats(), scalar_result(test).floats()) <=
            4 * kUnit);
    }
  }
}

TEST_CASE("attend gives zeros to a row without keys") {
  for (const char* isa : {"avx2", "avx512"}) {
    const perdure_kernel& kernel = simd_kernel(std::string("attend_f32_") + isa);
    if (!runs_here(kernel)) continue;
    KernelCase test = causal_attend_case(3, 5, 1);
    test.inputs[3].data = bytes_of(std::vector<int64_t>{0, 6, 0, 4, 4, 0, 0, 8, 0});
    PreparedKernel prepared(kernel, test);
    prepared.run();
    const Floats y = prepared.result().floats();
    const auto row = y.begin() + static_cast<int64_t>(y.size() / 3);
    CHECK(std::all_of(row, row + static_cast<int64_t>(y.size() / 3),
                      [](float v) { return v == 0.0f; }));
    CHECK(relative_difference(y, scalar_result(test).floats()) < 4e-6);
  }
}

TEST_CASE("attend gives keys that are rows of the step and keys of a state the same bits") {
  std::vector<const perdure_kernel*> kernels;
  for (const perdure_kernel_plugin* plugin : {&scalar_plugin(), &simd_plugin()})
    for (uint32_t i = 0; i < plugin->n_kernels; ++i)
      if (std::string(plugin->kernels[i].op) == "attend" && runs_here(plugin->kernels[i]))
        kernels.push_back(&plugin->kernels[i]);
  for (const perdure_kernel* kernel : kernels)
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      INFO(std::string(kernel->name), ", seed ", seed);
      const StepAttendCases cases = step_attend_cases(seed);
      PreparedKernel rows(*kernel, cases.of_rows), states(*kernel, cases.of_states);
      REQUIRE(rows.accepted());
      REQUIRE(states.accepted());
      rows.run(Cut::kSmallest);
      states.run();
      CHECK(rows.result().data == states.result().data);
    }
}

TEST_CASE("step_range spans all rows of the session in the step") {
  KernelCase test{.op = "step_range"};
  for (const int64_t n : {1, 4, 2}) test.add_session(7, n);
  test.set_output(3, PERDURE_I64);
  const std::vector<int64_t> expected{0, 1, 0, 0, 4, 0, 0, 4, 0, 0, 4,
                                      0, 0, 4, 0, 0, 2, 0, 0, 2, 0};
  CHECK(scalar_result(test).data == bytes_of(expected));
}
