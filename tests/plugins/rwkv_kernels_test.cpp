// SPDX-License-Identifier: Apache-2.0

// The kernels of attention.rwkv against plain formulas in double, for heads and widths of all
// sizes: whole sessions, the work cut in other ways, and row by row.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>

#include "core/base/cpu.hpp"
#include "plugins/attention/rwkv/operations.hpp"
#include "tests/support/kernel_cases.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

using Doubles = std::vector<double>;

// Rows of the three sessions of every case.
constexpr int64_t kSessionRows[] = {5, 1, 9};
constexpr size_t kRows = 15;

struct Case {
  KernelCase node;
  // What a session's rows give: in[input] and state are those of the session, values of a row side
  // by side. Changes the state, returns the outputs.
  std::function<std::vector<Doubles>(const std::vector<Doubles>& in, Doubles& state)> definition;
  double tolerance = 2e-6;  // of the largest value
  bool same_bits = true;    // as the scalar kernel
};

Doubles doubles(const Floats& values) { return {values.begin(), values.end()}; }

KernelCase node_of(const char* op, int64_t n) {
  KernelCase node{.op = op};
  for (const int64_t rows : kSessionRows) node.add_session(0, rows);
  node.set_output(n);
  return node;
}

void add_vector(KernelCase& node, const Floats& values, int64_t rows = 1) {
  HarnessValue v{.kind = PERDURE_VALUE_CONSTANT,
                 .rows = rows,
                 .columns = static_cast<int64_t>(values.size()) / rows};
  v.data = bytes_of(values);
  node.inputs.push_back(v);
}

void add_state(KernelCase& node, int64_t rows, int64_t columns, Numbers& numbers) {
  node.states = {{.columns = columns}};
  for (size_t s = 0; s < std::size(kSessionRows); ++s)
    node.states[0].sessions.push_back(numbers.normals(rows * columns));
  node.add_state(0);
}

// Rows that lie between `low` and `high`.
Floats uniform(Numbers& numbers, int64_t n, float low, float high) {
  Floats values = numbers.normals(n);
  for (float& v : values) v = low + (high - low) / (1.0f + std::exp(-2.0f * v));
  return values;
}

// The part of an input that belongs to a session's rows; constants are whole.
Doubles part_of(const HarnessValue& input, size_t first_row, size_t n_rows) {
  if (input.kind == PERDURE_VALUE_STATE) return {};
  const Doubles all = doubles(KernelResult{input.data, {}, {}}.floats());
  if (input.kind == PERDURE_VALUE_CONSTANT) return all;
  const auto n = static_cast<size_t>(input.columns);
  return {all.begin() + static_cast<std::ptrdiff_t>(first_row * n),
          all.begin() + static_cast<std::ptrdiff_t>((first_row + n_rows) * n)};
}

struct Expected {
  std::vector<Doubles> outputs;
  std::vector<Doubles> states;
};

Expected expected_of(const Case& test) {
  Expected expected;
  expected.outputs.resize(test.node.outputs.size());
  size_t row = 0;
  for (size_t s = 0; s < std::size(kSessionRows); ++s) {
    const auto n_rows = static_cast<size_t>(kSessionRows[s]);
    std::vector<Doubles> in;
    for (const HarnessValue& input : test.node.inputs) in.push_back(part_of(input, row, n_rows));
    Doubles state = test.node.states.empty() ? Doubles{} : doubles(test.node.states[0].sessions[s]);
    const auto outputs = test.definition(in, state);
    for (size_t i = 0; i < outputs.size(); ++i)
      expected.outputs[i].insert(expected.outputs[i].end(), outputs[i].begin(), outputs[i].end());
    expected.states.push_back(state);
    row += n_rows;
  }
  return expected;
}

void check_close(const Floats& found, const Doubles& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  double largest = 1e-30, difference = 0.0;
  for (const double v : expected) largest = std::max(largest, std::fabs(v));
  for (size_t i = 0; i < found.size(); ++i)
    difference = std::max(difference, std::fabs(double{found[i]} - expected[i]));
  CHECK(difference <= tolerance * largest);
}

struct Found {
  std::vector<Floats> outputs, states;
  bool operator==(const Found&) const = default;
};

Found found_by(const perdure_kernel& kernel, const KernelCase& node, Cut cut) {
  PreparedKernel prepared(kernel, node);
  REQUIRE(prepared.accepted());
  prepared.run(cut);
  Found found;
  for (size_t i = 0; i < node.outputs.size(); ++i) found.outputs.push_back(prepared.output(i));
  const KernelResult result = prepared.result();
  if (!result.states.empty()) found.states = result.states[0].sessions;
  return found;
}

// Every row in a step of its own.
Found found_by_row(const perdure_kernel& kernel, const KernelCase& node) {
  Found found;
  found.outputs.resize(node.outputs.size());
  if (!node.states.empty()) found.states = node.states[0].sessions;
  for (size_t row = 0; row < node.rows.size(); ++row) {
    KernelCase alone = node.only_row(static_cast<int64_t>(row));
    const auto session = static_cast<size_t>(node.rows[row].session);
    if (!found.states.empty()) alone.states[0].sessions = {found.states[session]};
    const Found one = found_by(kernel, alone, Cut::kWhole);
    for (size_t i = 0; i < one.outputs.size(); ++i)
      found.outputs[i].insert(found.outputs[i].end(), one.outputs[i].begin(), one.outputs[i].end());
    if (!found.states.empty()) found.states[session] = one.states[0];
  }
  return found;
}

void check(const Case& test) {
  const Expected expected = expected_of(test);
  std::vector<const perdure_kernel*> kernels;
  for (const perdure_kernel& kernel : rwkv::kernels())
    if (test.node.op == kernel.op && (kernel.cpu_features & ~cpu_features()) == 0)
      kernels.push_back(&kernel);
  REQUIRE(!kernels.empty());
  const Found scalar = found_by(*kernels.back(), test.node, Cut::kWhole);
  for (const perdure_kernel* kernel : kernels) {
    INFO(std::string(kernel->name));
    const Found found = found_by(*kernel, test.node, Cut::kWhole);
    for (size_t i = 0; i < found.outputs.size(); ++i)
      check_close(found.outputs[i], expected.outputs[i], test.tolerance);
    for (size_t i = 0; i < found.states.size(); ++i)
      check_close(found.states[i], expected.states[i], test.tolerance);
    CHECK(found_by(*kernel, test.node, Cut::kSmallestBackwards) == found);
    CHECK(found_by_row(*kernel, test.node) == found);
    if (test.same_bits) CHECK(found == scalar);
  }
}

// Sizes of heads.
std::vector<int64_t> head_sizes() {
  std::vector<int64_t> sizes;
  for (int64_t n = 1; n <= 35; ++n) sizes.push_back(n);
  for (const int64_t n : {48, 63, 64, 65, 80, 128}) sizes.push_back(n);
  return sizes;
}

// Widths in whole and broken blocks of channels.
const int64_t kWidths[] = {1, 7, 8, 16, 17, 31, 64, 65, 100, 128, 200};

Case shift_case(int64_t n, int64_t n_lerps, bool previous, Numbers& numbers) {
  Case test{.node = node_of("token_shift", n)};
  test.node.add_rows(n, numbers.normals(static_cast<int64_t>(kRows) * n));
  add_vector(test.node, numbers.normals(n_lerps * n), n_lerps);
  add_state(test.node, 1, n, numbers);
  if (previous) test.node.attributes = {{"previous", 1}};
  test.node.outputs.resize(static_cast<size_t>(n_lerps + previous), test.node.outputs[0]);
  test.definition = [=](const std::vector<Doubles>& in, Doubles& state) {
    std::vector<Doubles> out(static_cast<size_t>(n_lerps + previous));
    const auto width = static_cast<size_t>(n);
    for (size_t at = 0; at < in[0].size(); ++at) {
      const size_t c = at % width;
      const double x = in[0][at], before = state[c];
      for (size_t i = 0; i < static_cast<size_t>(n_lerps); ++i)
        out[i].push_back(x + (before - x) * in[1][i * width + c]);
      if (previous) out.back().push_back(before);
      state[c] = x;
    }
    return out;
  };
  return test;
}

Case wkv4_case(int64_t n, float scale, Numbers& numbers) {
  Case test{.node = node_of("wkv4", n), .tolerance = 1e-5, .same_bits = false};
  const auto rows = static_cast<int64_t>(kRows);
  test.node.add_rows(n, numbers.normals(rows * n, scale));
  test.node.add_rows(n, numbers.normals(rows * n));
  add_vector(test.node, uniform(numbers, n, -3.0f, -0.01f));
  add_vector(test.node, numbers.normals(n));
  add_state(test.node, 3, n, numbers);
  for (Floats& state : test.node.states[0].sessions)
    for (size_t c = 0; c < static_cast<size_t>(n); ++c) {
      state[static_cast<size_t>(n) + c] = std::fabs(state[static_cast<size_t>(n) + c]) + 0.1f;
      if (c % 2 == 0) state[c] = state[static_cast<size_t>(n) + c] = 0.0f;
      if (c % 2 == 0) state[2 * static_cast<size_t>(n) + c] = -1e30f;
    }
  test.definition = [=](const std::vector<Doubles>& in, Doubles& state) {
    Doubles y;
    const auto width = static_cast<size_t>(n);
    for (size_t at = 0; at < in[0].size(); ++at) {
      const size_t c = at % width;
      double &a = state[c], &b = state[width + c], &p = state[2 * width + c];
      const double k = in[0][at], v = in[1][at], decay = in[2][c], first = in[3][c];
      const double q = std::max(p, first + k), old = std::exp(p - q), now = std::exp(first + k - q);
      y.push_back((old * a + now * v) / (old * b + now));
      const double next = std::max(p + decay, k);
      const double kept = std::exp(p + decay - next), added = std::exp(k - next);
      a = kept * a + added * v;
      b = kept * b + added;
      p = next;
    }
    return std::vector<Doubles>{y};
  };
  return test;
}

Case wkv5_case(int64_t heads, int64_t m, bool decay_by_row, Numbers& numbers) {
  const int64_t n = heads * m, rows = static_cast<int64_t>(kRows);
  Case test{.node = node_of("wkv5", n)};
  for (int i = 0; i < 3; ++i) test.node.add_rows(n, numbers.normals(rows * n));
  if (decay_by_row)
    test.node.add_rows(n, uniform(numbers, rows * n, 0.0f, 1.0f));
  else
    add_vector(test.node, uniform(numbers, n, 0.0f, 1.0f));
  add_vector(test.node, numbers.normals(n));
  add_state(test.node, n, m, numbers);
  test.definition = [=](const std::vector<Doubles>& in, Doubles& s) {
    const auto width = static_cast<size_t>(n), size = static_cast<size_t>(m);
    Doubles y(in[0].size());
    for (size_t row = 0; row < y.size() / width; ++row)
      for (size_t i = 0; i < width; ++i)
        for (size_t j = 0; j < size; ++j) {
          const size_t at = row * width + i, value = row * width + i / size * size + j;
          const double kv = in[1][at] * in[2][value];
          y[value] += in[0][at] * (s[i * size + j] + in[4][i] * kv);
          s[i * size + j] = in[3][decay_by_row ? at : i] * s[i * size + j] + kv;
        }
    return std::vector<Doubles>{y};
  };
  return test;
}

Case wkv7_case(int64_t heads, int64_t m, Numbers& numbers) {
  const int64_t n = heads * m, rows = static_cast<int64_t>(kRows);
  Case test{.node = node_of("wkv7", n)};
  const float unit = 1.0f / std::sqrt(static_cast<float>(m));
  test.node.add_rows(n, numbers.normals(rows * n));
  test.node.add_rows(n, uniform(numbers, rows * n, 0.55f, 1.0f));
  for (int i = 0; i < 2; ++i) test.node.add_rows(n, numbers.normals(rows * n));
  for (int i = 0; i < 2; ++i) test.node.add_rows(n, numbers.normals(rows * n, unit));
  add_state(test.node, n, m, numbers);
  test.definition = [=](const std::vector<Doubles>& in, Doubles& s) {
    const auto width = static_cast<size_t>(n), size = static_cast<size_t>(m);
    Doubles y(in[0].size());
    for (size_t row = 0; row < y.size() / width; ++row) {
      Doubles sums(width);
      const auto value_of = [&](size_t i, size_t j) { return i / size * size + j; };
      for (size_t i = 0; i < width; ++i)
        for (size_t j = 0; j < size; ++j)
          sums[value_of(i, j)] += in[4][row * width + i] * s[i * size + j];
      for (size_t i = 0; i < width; ++i)
        for (size_t j = 0; j < size; ++j) {
          const size_t at = row * width + i, value = row * width + value_of(i, j);
          double& entry = s[i * size + j];
          entry = entry * in[1][at] + sums[value_of(i, j)] * in[5][at] + in[3][value] * in[2][at];
          y[value] += in[0][at] * entry;
        }
    }
    return std::vector<Doubles>{y};
  };
  return test;
}

Case keys_case(int64_t heads, int64_t m, Numbers& numbers) {
  const int64_t n = heads * m, rows = static_cast<int64_t>(kRows);
  Case test{.node = node_of("wkv7_keys", n), .same_bits = false};
  Floats k = numbers.normals(rows * n);
  std::fill(k.begin(), k.begin() + m, 0.0f);  // a head without a direction
  test.node.add_rows(n, k);
  test.node.add_rows(n, uniform(numbers, rows * n, 0.0f, 1.0f));
  for (int i = 0; i < 2; ++i) add_vector(test.node, numbers.normals(n));
  test.node.attributes = {{"head_size", static_cast<double>(m)}};
  test.node.outputs.resize(3, test.node.outputs[0]);
  test.definition = [=](const std::vector<Doubles>& in, Doubles&) {
    const auto width = static_cast<size_t>(n), size = static_cast<size_t>(m);
    std::vector<Doubles> out(3);
    for (size_t at = 0; at < in[0].size(); ++at) {
      const size_t c = at % width, first = at / size * size;
      double squares = 0.0;
      for (size_t i = first; i < first + size; ++i)
        squares += std::pow(in[0][i] * in[2][i % width], 2);
      const double z = in[0][at] * in[2][c] / std::max(std::sqrt(squares), 1e-12);
      out[0].push_back(in[0][at] * (1 + (in[1][at] - 1) * in[3][c]));
      out[1].push_back(-z);
      out[2].push_back(z * in[1][at]);
    }
    return out;
  };
  return test;
}

Case bonus_case(int64_t heads, int64_t m, Numbers& numbers) {
  const int64_t n = heads * m, rows = static_cast<int64_t>(kRows);
  Case test{.node = node_of("wkv7_bonus", n), .same_bits = false};
  for (int i = 0; i < 4; ++i) test.node.add_rows(n, numbers.normals(rows * n));
  add_vector(test.node, numbers.normals(n));
  test.node.attributes = {{"head_size", static_cast<double>(m)}};
  test.definition = [=](const std::vector<Doubles>& in, Doubles&) {
    const auto width = static_cast<size_t>(n), size = static_cast<size_t>(m);
    Doubles y;
    for (size_t at = 0; at < in[0].size(); ++at) {
      const size_t first = at / size * size;
      double sum = 0.0;
      for (size_t i = first; i < first + size; ++i) sum += in[1][i] * in[2][i] * in[4][i % width];
      y.push_back(in[0][at] + sum * in[3][at]);
    }
    return std::vector<Doubles>{y};
  };
  return test;
}

}  // namespace

TEST_CASE("token_shift mixes each row with the one before it, of its own session") {
  Numbers numbers(1);
  for (const int64_t n : kWidths)
    for (const int64_t n_lerps : {1, 2, 6})
      for (const bool previous : {false, true}) {
        INFO(n_lerps, " shifts of ", n, " channels, previous: ", previous);
        check(shift_case(n, n_lerps, previous, numbers));
      }
}

TEST_CASE("lerp goes from one row to another by a share of each element's own") {
  Numbers numbers(2);
  for (const int64_t n : kWidths) {
    Case test{.node = node_of("lerp", n)};
    for (int i = 0; i < 3; ++i)
      test.node.add_rows(n, numbers.normals(static_cast<int64_t>(kRows) * n));
    test.definition = [](const std::vector<Doubles>& in, Doubles&) {
      Doubles y;
      for (size_t i = 0; i < in[0].size(); ++i)
        y.push_back(in[0][i] + (in[1][i] - in[0][i]) * in[2][i]);
      return std::vector<Doubles>{y};
    };
    check(test);
  }
}

TEST_CASE("wkv4 is a mean by weights that decay, from an empty start too") {
  Numbers numbers(3);
  for (const int64_t n : kWidths) {
    CAPTURE(n);
    check(wkv4_case(n, 1.0f, numbers));
  }
}

TEST_CASE("wkv4 overflows nowhere with keys of hundreds") {
  Numbers numbers(4);
  for (const int64_t n : {16, 70}) check(wkv4_case(n, 200.0f, numbers));
}

TEST_CASE("wkv5 reads a head's matrix, then lets it decay and adds to it") {
  Numbers numbers(5);
  for (const int64_t m : head_sizes())
    for (const bool by_row : {false, true}) {
      INFO("heads of ", m, ", decay by row: ", by_row);
      check(wkv5_case(m < 32 ? 3 : 1, m, by_row, numbers));
    }
}

TEST_CASE("wkv7 corrects a head's matrix before it adds to it and reads it") {
  Numbers numbers(6);
  for (const int64_t m : head_sizes()) {
    INFO("heads of ", m);
    check(wkv7_case(m < 32 ? 3 : 1, m, numbers));
  }
}

TEST_CASE("wkv7_keys gives directions of length one, and none to a head of zeros") {
  Numbers numbers(7);
  for (const int64_t m : head_sizes()) {
    INFO("heads of ", m);
    check(keys_case(3, m, numbers));
  }
}

TEST_CASE("wkv7_bonus adds each head's values by one number") {
  Numbers numbers(8);
  for (const int64_t m : head_sizes()) {
    INFO("heads of ", m);
    check(bonus_case(3, m, numbers));
  }
}

TEST_CASE("every instruction set has every kernel of attention.rwkv") {
  std::map<std::string, int> counts;
  for (const perdure_kernel& kernel : rwkv::kernels()) ++counts[kernel.isa];
  CHECK(counts.size() == 4);
  for (const auto& [isa, count] : counts) CHECK(count == counts.at("scalar"));
}
