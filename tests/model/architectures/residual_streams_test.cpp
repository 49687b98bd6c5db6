// SPDX-License-Identifier: Apache-2.0

// Hyper-connections against their formulas in double, for widths that are no whole number of lanes,
// and rows of zeros. (perdure_golden compares models that have them with the original.)
#include "core/model/architectures/residual_streams.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/kernel_cases.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

using Doubles = std::vector<double>;

constexpr int64_t kRows = 3;

// A block's streams and weights; row 1 of the streams is zero.
struct Block {
  int64_t s, d;
  Floats streams, norm, dynamic, scale, constant;

  Block(int64_t n_streams, int64_t width) : s(n_streams), d(width) {
    Numbers numbers(7);
    streams = numbers.normals(kRows * s * d);
    std::fill(streams.begin() + s * d, streams.begin() + 2 * s * d, 0.0f);
    norm = numbers.normals(d);
    dynamic = numbers.normals((s + 2) * d);
    scale = numbers.normals(s + 2);
    constant = numbers.normals(s * (s + 2));
  }

  const float* stream(int64_t row, int64_t t) const { return streams.data() + (row * s + t) * d; }

  double weight(int64_t row, int64_t t, int64_t column) const {
    const float* h = stream(row, t);
    double squares = 0, dot = 0;
    for (int64_t i = 0; i < d; ++i) squares += double{h[i]} * h[i];
    const double factor = std::sqrt(static_cast<double>(d)) / std::max(std::sqrt(squares), 1e-12);
    for (int64_t i = 0; i < d; ++i) dot += h[i] * factor * norm[i] * dynamic[column * d + i];
    return std::tanh(dot) * scale[column] + constant[t * (s + 2) + column];
  }

  // sum_t weight[t][column] * H_t
  Doubles mixture(int64_t column) const {
    Doubles all;
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t i = 0; i < d; ++i) {
        double sum = 0;
        for (int64_t t = 0; t < s; ++t) sum += weight(row, t, column) * stream(row, t)[i];
        all.push_back(sum);
      }
    return all;
  }
};

HarnessValue constant_of(const Floats& values, int64_t rows) {
  HarnessValue v{.kind = PERDURE_VALUE_CONSTANT,
                 .rows = rows,
                 .columns = static_cast<int64_t>(values.size()) / rows};
  v.data = bytes_of(values);
  return v;
}

const perdure_kernel& kernel_of(const std::string& op) {
  for (const perdure_kernel& kernel : residual_stream_kernels())
    if (op == kernel.op) return kernel;
  throw Error("no kernel of " + op);
}

void check_close(const Floats& found, const Doubles& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-4).scale(1.0));
}

// The node of read_streams with or without the third output.
KernelCase reading(const Block& block, bool mixed) {
  KernelCase node{.op = "read_streams", .attributes = {{"mixed", mixed ? 1.0 : 0.0}}};
  node.add_session(0, kRows);
  node.add_rows(block.s * block.d, block.streams);
  node.inputs.push_back(constant_of(block.norm, 1));
  node.inputs.push_back(constant_of(block.dynamic, block.s + 2));
  node.inputs.push_back(constant_of(block.scale, 1));
  node.inputs.push_back(constant_of(block.constant, block.s));
  node.outputs = {{.columns = block.d}, {.columns = block.s}};
  if (mixed) node.outputs.push_back({.columns = block.s * block.d});
  return node;
}

constexpr std::pair<int64_t, int64_t> kSizes[] = {{2, 1}, {3, 16}, {4, 21}, {4, 37}};

}  // namespace

TEST_CASE("what a block reads of residual streams, and passes on, are their weighted sums") {
  for (const auto& [n_streams, width] : kSizes) {
    CAPTURE(n_streams);
    CAPTURE(width);
    const Block block(n_streams, width);
    PreparedKernel kernel(kernel_of("read_streams"), reading(block, true));
    REQUIRE(kernel.accepted());
    kernel.run();
    check_close(kernel.output(0), block.mixture(0));
    Doubles shares, base(static_cast<size_t>(kRows * n_streams * width));
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t t = 0; t < n_streams; ++t) shares.push_back(block.weight(row, t, n_streams + 1));
    check_close(kernel.output(1), shares);
    for (int64_t t = 0; t < n_streams; ++t) {
      const Doubles of_stream = block.mixture(1 + t);
      for (int64_t row = 0; row < kRows; ++row)
        std::copy_n(of_stream.begin() + row * width, width,
                    base.begin() + (row * n_streams + t) * width);
    }
    check_close(kernel.output(2), base);
  }
}

TEST_CASE("residual streams give a row the same bits alone, in a batch, and unmixed") {
  const Block block(4, 21);
  PreparedKernel whole(kernel_of("read_streams"), reading(block, true)),
      unmixed(kernel_of("read_streams"), reading(block, false)),
      last(kernel_of("read_streams"), reading(block, true).only_row(kRows - 1));
  for (PreparedKernel* kernel : {&whole, &unmixed, &last}) kernel->run(Cut::kSmallestBackwards);
  CHECK(unmixed.output(0) == whole.output(0));
  CHECK(unmixed.output(1) == whole.output(1));
  const Floats all = whole.output(2), alone = last.output(2);
  CHECK(std::equal(alone.begin(), alone.end(), all.end() - static_cast<int64_t>(alone.size())));
}

TEST_CASE("a block's result is added to every residual stream by its share") {
  const Block block(3, 5);
  Numbers numbers(9);
  const Floats result = numbers.normals(kRows * block.d), shares = numbers.normals(kRows * block.s);
  KernelCase node{.op = "add_to_streams"};
  node.add_session(0, kRows);
  node.add_rows(block.s * block.d, block.streams);
  node.add_rows(block.d, result);
  node.add_rows(block.s, shares);
  node.set_output(block.s * block.d);
  PreparedKernel kernel(kernel_of("add_to_streams"), node);
  REQUIRE(kernel.accepted());
  kernel.run();
  Doubles expected;
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t t = 0; t < block.s; ++t)
      for (int64_t i = 0; i < block.d; ++i)
        expected.push_back(block.stream(row, t)[i] +
                           double{shares[static_cast<size_t>(row * block.s + t)]} *
                               result[static_cast<size_t>(row * block.d + i)]);
  check_close(kernel.output(0), expected);
}
