// SPDX-License-Identifier: Apache-2.0

// The kernels of this tree against plain formulas in double, at every width from 1 to 70 and at odd
// ones beyond.
#include <numbers>

#include "tests/conformance/own_kernels.hpp"

using namespace perdure::test;

namespace {

using Doubles = std::vector<double>;

Doubles doubles(const Floats& values) { return {values.begin(), values.end()}; }

// Every kernel that takes the case gives `expected` within `tolerance` of the largest value.
void check_all(const KernelCase& test, const Doubles& expected, double tolerance) {
  double largest = 1e-30;
  for (const double v : expected) largest = std::max(largest, std::fabs(v));
  int n_taken = 0;
  for (const perdure_kernel* kernel : own_kernels(test.op)) {
    INFO(std::string(kernel->name));
    PreparedKernel prepared(*kernel, test);
    if (!prepared.accepted()) continue;
    ++n_taken;
    prepared.run();
    const Floats y = prepared.result().floats();
    REQUIRE(y.size() == expected.size());
    double difference = 0.0;
    for (size_t i = 0; i < y.size(); ++i)
      difference = std::max(difference, std::fabs(double{y[i]} - expected[i]));
    CHECK(difference <= tolerance * largest);
  }
  CHECK(n_taken > 0);
}

std::vector<int64_t> widths() {
  std::vector<int64_t> all;
  for (int64_t n = 1; n <= 70; ++n) all.push_back(n);
  for (const int64_t n : {127, 129, 255, 257, 511, 1023}) all.push_back(n);
  return all;
}

// Three rows of one session.
KernelCase rows_case(const std::string& op, int64_t n, const Floats& x) {
  KernelCase test{.op = op};
  test.add_session(0, 3);
  test.add_rows(n, x);
  test.set_output(n);
  return test;
}

void add_vector(KernelCase& test, const Floats& values) {
  HarnessValue v{
      .kind = PERDURE_VALUE_CONSTANT, .rows = 1, .columns = static_cast<int64_t>(values.size())};
  v.data = bytes_of(values);
  test.inputs.push_back(v);
}

Doubles normalised(Doubles x, int64_t group, double eps) {
  for (size_t first = 0; first < x.size(); first += static_cast<size_t>(group)) {
    double mean = 0.0, variance = 0.0;
    for (int64_t i = 0; i < group; ++i) mean += x[first + i] / static_cast<double>(group);
    for (int64_t i = 0; i < group; ++i)
      variance += (x[first + i] - mean) * (x[first + i] - mean) / static_cast<double>(group);
    for (int64_t i = 0; i < group; ++i)
      x[first + i] = (x[first + i] - mean) / std::sqrt(variance + eps);
  }
  return x;
}

// The function of every number from -12 to 12.
void check_function(const std::string& op, double (*function)(double), double tolerance) {
  Floats x;
  for (float v = -12.0f; v <= 12.0f; v += 0.00371f) x.push_back(v);
  x.resize(x.size() / 3 * 3);
  Doubles expected;
  for (const float v : x) expected.push_back(function(v));
  check_all(rows_case(op, static_cast<int64_t>(x.size() / 3), x), expected, tolerance);
}

}  // namespace

TEST_CASE("group_norm normalises each group by its own mean and biased variance") {
  Numbers numbers(1);
  for (const int64_t group : widths())
    for (const int64_t n_groups : {1, 3}) {
      INFO(n_groups, " groups of ", group);
      const int64_t n = group * n_groups;
      const Floats x = numbers.normals(3 * n), w = numbers.normals(n), b = numbers.normals(n);
      KernelCase test = rows_case("group_norm", n, x);
      test.attributes = {{"eps", 1e-5}, {"n_groups", static_cast<double>(n_groups)}};
      Doubles expected = normalised(doubles(x), group, 1e-5);
      check_all(test, expected, 3e-6);
      add_vector(test, w);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] *= w[i % w.size()];
      check_all(test, expected, 3e-6);
      add_vector(test, b);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += b[i % b.size()];
      check_all(test, expected, 3e-6);
    }
}

TEST_CASE("group_norm keeps small differences beside a large mean") {
  Numbers numbers(2);
  Floats x = numbers.normals(3 * 65);
  for (float& v : x) v = 4096.0f + std::round(v * 64.0f) / 64.0f;
  KernelCase test = rows_case("group_norm", 65, x);
  test.attributes = {{"eps", 1e-5}, {"n_groups", 1}};
  // The mean itself is rounded to 1/4096 or so of the differences.
  check_all(test, normalised(doubles(x), 65, 1e-5), 1e-3);
}

TEST_CASE("softmax gives weights that add up to one in every group") {
  Numbers numbers(3);
  for (const int64_t group : widths()) {
    INFO("groups of ", group);
    const Floats x = numbers.normals(3 * 2 * group, 5.0f);
    KernelCase test = rows_case("softmax", 2 * group, x);
    test.attributes = {{"group", static_cast<double>(group)}};
    Doubles expected = doubles(x);
    for (size_t first = 0; first < x.size(); first += static_cast<size_t>(group)) {
      double sum = 0.0;
      for (int64_t i = 0; i < group; ++i) sum += std::exp(double{x[first + i]});
      for (int64_t i = 0; i < group; ++i)
        expected[first + i] = std::exp(double{x[first + i]}) / sum;
    }
    // Summed in F32 from left to right the total is off by a little more for every column.
    check_all(test, expected, 1e-6 + 4e-9 * static_cast<double>(group));
  }
}

TEST_CASE("softmax does not overflow, and gives zeros where nothing can be chosen") {
  KernelCase test =
      rows_case("softmax", 3,
                {1e4f, 1e4f, -1e4f, -INFINITY, -INFINITY, -INFINITY, -INFINITY, 0.0f, -INFINITY});
  test.attributes = {{"group", 0}};
  check_all(test, {0.5, 0.5, 0, 0, 0, 0, 0, 1, 0}, 1e-7);
}

TEST_CASE("softmax does not hide a NaN") {
  for (const float other : {0.0f, -INFINITY})
    for (const perdure_kernel* kernel : own_kernels("softmax")) {
      KernelCase test = rows_case("softmax", 1, {NAN, 0.0f, other});
      test.attributes = {{"group", 0}};
      PreparedKernel prepared(*kernel, test);
      prepared.run();
      CHECK(std::isnan(prepared.result().floats()[0]));
    }
}

TEST_CASE("activations are the functions they are called by") {
  check_function("exp", [](double x) { return std::exp(x); }, 3e-7);
  check_function("relu_square", [](double x) { return x > 0 ? x * x : 0.0; }, 1e-7);
  check_function("gelu", [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, 5e-8);
  check_function(
      "gelu_tanh",
      [](double x) {
        const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
        return x / 2 * (1 + std::tanh(inner));
      },
      5e-8);
}

TEST_CASE("relu_square keeps NaN, so that a fault stays visible") {
  for (const perdure_kernel* kernel : own_kernels("relu_square")) {
    PreparedKernel prepared(*kernel, rows_case("relu_square", 1, {NAN, -1.0f, 2.0f}));
    prepared.run();
    const Floats y = prepared.result().floats();
    CHECK(std::isnan(y[0]));
    CHECK(y[1] == 0.0f);
    CHECK(y[2] == 4.0f);
  }
}

TEST_CASE("a row is added to, or multiplies, every row") {
  Numbers numbers(4);
  for (const int64_t n : widths()) {
    const Floats x = numbers.normals(3 * n), v = numbers.normals(n);
    for (const char* op : {"add_row", "mul_row"}) {
      KernelCase test = rows_case(op, n, x);
      add_vector(test, v);
      Doubles expected;
      for (size_t i = 0; i < x.size(); ++i)
        expected.push_back(op[0] == 'a' ? double{x[i]} + v[i % v.size()]
                                        : double{x[i]} * v[i % v.size()]);
      check_all(test, expected, 1e-7);
    }
  }
}

TEST_CASE("rope turns adjacent columns, or those half a head apart, and leaves the rest") {
  Numbers numbers(5);
  for (const bool halves : {false, true})
    for (int64_t rotary = 2; rotary <= 70; rotary += 2)
      for (const int64_t rest : {0, 1, 17}) {
        INFO(rotary, " of ", rotary + rest, " columns, halves: ", halves);
        const int64_t head_size = rotary + rest, n = 2 * head_size;
        const Floats x = numbers.normals(3 * n);
        KernelCase test = rows_case("rope", n, x);
        if (halves) test.attributes.emplace_back("halves", 1);
        if (rest > 0) test.attributes.emplace_back("head_size", static_cast<double>(head_size));
        const Floats turns = numbers.normals(3 * rotary / 2, 3.0f);
        Floats angles;
        for (const float turn : turns)
          angles.insert(angles.end(), {std::cos(turn), std::sin(turn)});
        test.add_rows(rotary, angles);
        Doubles expected = doubles(x);
        for (int64_t head = 0; head < 6; ++head)
          for (int64_t pair = 0; pair < rotary / 2; ++pair) {
            const int64_t a = head * head_size + (halves ? pair : 2 * pair);
            const int64_t b = halves ? a + rotary / 2 : a + 1;
            const int64_t angle = head / 2 * rotary + 2 * pair;
            expected[a] = double{x[a]} * angles[angle] - double{x[b]} * angles[angle + 1];
            expected[b] = double{x[a]} * angles[angle + 1] + double{x[b]} * angles[angle];
          }
        check_all(test, expected, 3e-7);
      }
}

TEST_CASE("scale_rows gives each head its own factor") {
  KernelCase test = rows_case("scale_rows", 4, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  test.add_rows(2, {1, 10, 2, 20, 3, 30});
  check_all(test, {1, 2, 30, 40, 10, 12, 140, 160, 27, 30, 330, 360}, 0);
}

TEST_CASE("a lookup beyond the table reads its nearest row and nothing outside") {
  KernelCase test{.op = "lookup"};
  test.add_session(0, 5);
  HarnessValue table{.kind = PERDURE_VALUE_CONSTANT, .rows = 2, .columns = 2};
  table.data = bytes_of(Floats{1, 2, 3, 4});
  test.inputs.push_back(table);
  test.add_integers(1, {0, 1, 2, -1, INT64_MIN});
  test.set_output(2);
  check_all(test, {1, 2, 3, 4, 3, 4, 1, 2, 1, 2}, 0);
}

TEST_CASE("a lookup reads the rows of a view, whatever lies between them") {
  Numbers numbers(6);
  for (const perdure_dtype dtype : {PERDURE_F32, PERDURE_F16, PERDURE_BF16}) {
    KernelCase test{.op = "lookup"};
    test.add_session(0, 4);
    test.inputs.push_back(weight(dtype, 5, 6, 3, numbers));
    test.inputs[0].misalignment = 0;
    test.add_integers(1, {4, 0, 2, 9});
    test.set_output(6);
    const KernelResult dense = scalar_result(test);
    test.inputs[0].row_padding = 10;
    CHECK(scalar_result(test).data == dense.data);
  }
}

TEST_CASE("rows are joined and cut by columns") {
  KernelCase joined{.op = "concat"};
  joined.add_session(0, 2);
  joined.add_rows(1, {1, 4});
  joined.add_rows(2, {2, 3, 5, 6});
  joined.set_output(3);
  check_all(joined, {1, 2, 3, 4, 5, 6}, 0);
  KernelCase cut{.op = "slice", .attributes = {{"first", 1}, {"count", 2}}};
  cut.add_session(0, 2);
  cut.add_rows(3, {1, 2, 3, 4, 5, 6});
  cut.set_output(2);
  check_all(cut, {2, 3, 5, 6}, 0);
}
