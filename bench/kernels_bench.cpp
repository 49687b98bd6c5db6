// SPDX-License-Identifier: Apache-2.0

// Kernels alone, on one thread, beside the limits of this machine measured in the same run:
// products of the shapes of the 15 M, 110 M and 1.1 B models for one row (decode: bytes of weights
// per second) and for many (prefill: operations per second), attention, and the element-wise rest.
//   bench_kernels --benchmark_filter=avx512vnni
#include <benchmark/benchmark.h>

#include "bench/limits.hpp"
#include "core/base/cpu.hpp"
#include "core/base/dtype.hpp"
#include "tests/support/kernel_attend_cases.hpp"

extern "C" const void* perdure_entry_kernels_simd(void);
extern "C" const void* perdure_entry_kernels_scalar(void);

namespace perdure::test {
namespace {

struct Shape {
  int64_t k, n;
  int64_t repeats = 1;  // of the n rows of the weight

  int64_t columns() const { return n * repeats; }
};

// The same rows over and over: random ones would take longer than the measurement.
void repeat(HarnessValue& w, int64_t times) {
  for (Bytes* bytes : {&w.data, &w.scales}) {
    const Bytes once = *bytes;
    bytes->reserve(once.size() * static_cast<size_t>(times));
    for (int64_t i = 1; i < times; ++i) bytes->insert(bytes->end(), once.begin(), once.end());
  }
  w.rows *= times;
}

KernelCase product_case(perdure_dtype x_type, perdure_dtype w_type, Shape shape, int64_t group,
                        int64_t n_rows) {
  Numbers numbers(1);
  KernelCase test{.op = "mat_mul"};
  test.add_session(0, n_rows);
  HarnessValue x{.dtype = x_type, .columns = shape.k};
  if (x_type == PERDURE_Q80) {
    x.group_size = group;
    fill_q80(x, n_rows * shape.k, numbers);
  } else if (x_type == PERDURE_F32) {
    x.data = bytes_of(numbers.normals(n_rows * shape.k));
  } else {
    fill_any_blocks(x, n_rows * shape.k, numbers);
  }
  test.inputs.push_back(x);
  HarnessValue w = weight(w_type, shape.n, shape.k, group, numbers);
  w.misalignment = 0;
  repeat(w, shape.repeats);
  test.inputs.push_back(std::move(w));
  test.set_output(shape.columns());
  return test;
}

KernelCase rows_case(const std::string& op, int n_inputs, int64_t columns, int64_t n_rows) {
  Numbers numbers(1);
  KernelCase test{.op = op};
  test.add_session(0, n_rows);
  for (int i = 0; i < n_inputs; ++i) test.add_rows(columns, numbers.normals(n_rows * columns));
  if (op == "quantize") test.attributes = {{"group_size", 64}};
  test.set_output(columns, op == "quantize" ? PERDURE_Q80 : PERDURE_F32, op == "quantize" ? 64 : 0);
  return test;
}

// Runs the kernel over and over; counts bytes and operations of one run.
void measure(benchmark::State& state, const perdure_kernel* kernel, const KernelCase& test,
             double bytes, double operations) {
  PreparedKernel prepared(*kernel, test);
  if (!prepared.accepted()) {
    state.SkipWithError("the kernel declines this case");
    return;
  }
  for (auto _ : state) prepared.run();
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  if (bytes > 0) state.counters["B/s"] = benchmark::Counter(bytes, rate);
  if (operations > 0) state.counters["op/s"] = benchmark::Counter(operations, rate);
}

// The last shape is larger than the caches: bytes come from memory.
void add_product(const perdure_kernel& kernel, perdure_dtype x, perdure_dtype w) {
  constexpr Shape kShapes[] = {
      {288, 768}, {768, 2048}, {2048, 5632}, {288, 32000}, {2048, 2048, 256}};
  for (const Shape shape : kShapes)
    for (const int64_t rows : {1, 4, 64, 256}) {
      if ((rows >= 64 && shape.columns() > 5632) || shape.k % perdure_block_values(w) != 0)
        continue;
      if (shape.repeats > 1 && (rows > 1 || x == PERDURE_F32)) continue;
      const int64_t group = shape.k == 288 ? 32 : 64;
      const double values = static_cast<double>(shape.k * shape.columns());
      const double bytes = static_cast<double>(shape.columns() * perdure_row_bytes(w, shape.k)) +
                           (w == PERDURE_Q80 ? values * 4 / static_cast<double>(group) : 0);
      const std::string name = std::string(kernel.name) + "/" + std::to_string(shape.k) + "x" +
                               std::to_string(shape.columns()) + "/rows:" + std::to_string(rows);
      benchmark::RegisterBenchmark(name.c_str(), [=, &kernel](benchmark::State& state) {
        measure(state, &kernel, product_case(x, w, shape, group, rows), bytes,
                2.0 * values * static_cast<double>(rows));
      });
    }
}

// Weights in GGUF's blocks, rows F32 or quantised.
void add_block_product(const perdure_kernel& kernel) {
  for (const perdure_dtype w : {PERDURE_Q8_0, PERDURE_Q4_0, PERDURE_Q4_1, PERDURE_Q5_0,
                                PERDURE_Q5_1, PERDURE_Q4_K, PERDURE_Q5_K, PERDURE_Q6_K})
    for (const auto x : {PERDURE_F32, static_cast<perdure_dtype>(activation_type(w))}) {
      std::string types = dtype_name(x);
      if (w != x) types += std::string("_") + dtype_name(w);
      if (kernel.name == "mat_mul_" + types + "_" + kernel.isa) add_product(kernel, x, w);
    }
}

void add_attend(const perdure_kernel& kernel) {
  for (const int64_t rows : {1, 256})
    for (const int64_t past : {0, 1024, 8192}) {
      const KernelCase shape = causal_attend_case(1, 1, 1);
      const double columns = static_cast<double>(shape.outputs[0].columns);
      const double keys =
          static_cast<double>(rows) * (static_cast<double>(past) + (rows + 1) / 2.0);
      const std::string name = std::string(kernel.name) + "/past:" + std::to_string(past) +
                               "/rows:" + std::to_string(rows);
      benchmark::RegisterBenchmark(name.c_str(), [=, &kernel](benchmark::State& state) {
        measure(state, &kernel, causal_attend_case(rows, past, 1), 0, 4.0 * keys * columns);
      });
    }
}

void add_rows(const perdure_kernel& kernel, const std::string& op, int n_inputs) {
  const double bytes = 4.0 * 64 * 768 * (n_inputs + 1);
  benchmark::RegisterBenchmark(
      (std::string(kernel.name) + "/768/rows:64").c_str(), [=, &kernel](benchmark::State& state) {
        measure(state, &kernel, rows_case(op, n_inputs, 768, 64), bytes, 0);
      });
}

void add_kernel(const perdure_kernel& kernel) {
  const std::string name = kernel.name, isa = std::string("_") + kernel.isa;
  if (name == "mat_mul_f32" + isa) add_product(kernel, PERDURE_F32, PERDURE_F32);
  if (name == "mat_mul_f16" + isa) add_product(kernel, PERDURE_F32, PERDURE_F16);
  if (name == "mat_mul_bf16" + isa) add_product(kernel, PERDURE_F32, PERDURE_BF16);
  if (name == "mat_mul_f32_q80" + isa) add_product(kernel, PERDURE_F32, PERDURE_Q80);
  if (name == "mat_mul_q80" + isa) add_product(kernel, PERDURE_Q80, PERDURE_Q80);
  add_block_product(kernel);
  if (name == "attend_f32" + isa) add_attend(kernel);
  for (const char* op : {"silu", "quantize", "rms_norm"})
    if (std::string(kernel.op) == op) add_rows(kernel, op, 1);
  for (const char* op : {"add", "silu_mul"})
    if (std::string(kernel.op) == op) add_rows(kernel, op, 2);
}

void add_plugin(const void* entry) {
  const auto& plugin = *static_cast<const perdure_kernel_plugin*>(entry);
  for (uint32_t i = 0; i < plugin.n_kernels; ++i)
    if ((plugin.kernels[i].cpu_features & ~cpu_features()) == 0) add_kernel(plugin.kernels[i]);
}

}  // namespace
}  // namespace perdure::test

int main(int argc, char** argv) {
  perdure::bench::add_limits();
  perdure::test::add_plugin(perdure_entry_kernels_scalar());
  perdure::test::add_plugin(perdure_entry_kernels_simd());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
