// SPDX-License-Identifier: Apache-2.0

// Everything that attend may be asked for, against the formula in double.
#include "tests/conformance/own_kernels.hpp"

using namespace perdure::test;

namespace {

constexpr int64_t kHeads = 4, kKeyHeads = 2, kKeys = 75, kRows = 5;

struct Wish {
  int64_t head_size = 8, value_size = 8;
  double scale = 0.0, cap = 0.0;
  bool sloped = false, listed = false;
};

// One session of kRows rows that see keys 0 .. 10 * row + 30, or every third key of these in
// falling order.
struct Example {
  Wish wish;
  Floats queries, keys, values, slopes;
  std::vector<int64_t> places;

  Example(const Wish& w, uint64_t seed) : wish(w) {
    Numbers numbers(seed);
    queries = numbers.normals(kRows * kHeads * w.head_size);
    keys = numbers.normals(kKeys * kKeyHeads * w.head_size);
    values = numbers.normals(kKeys * kKeyHeads * w.value_size);
    slopes = {0.5f, 0.25f, 0.125f, 0.0625f};
    for (int64_t r = 0; r < kRows; ++r) places.push_back(last_key(r));
  }

  static int64_t last_key(int64_t row) { return 10 * row + 30; }

  std::vector<int64_t> seen(int64_t row) const {
    std::vector<int64_t> all;
    for (int64_t key = 0; key <= last_key(row); ++key) all.push_back(key);
    if (!wish.listed) return all;
    std::vector<int64_t> some;
    for (int64_t key = last_key(row); key >= 0; key -= 3) some.push_back(key);
    return some;
  }

  // Weights of the keys of seen(row).
  std::vector<double> weights(int64_t row, int64_t head) const {
    std::vector<double> w;
    double sum = 0.0;
    for (const int64_t key : seen(row)) {
      double s = 0.0;
      for (int64_t i = 0; i < wish.head_size; ++i)
        s += double{queries[(row * kHeads + head) * wish.head_size + i]} *
             keys[(key * kKeyHeads + head / 2) * wish.head_size + i];
      s *= wish.scale != 0.0 ? wish.scale : 1.0 / std::sqrt(static_cast<double>(wish.head_size));
      if (wish.cap != 0.0) s = wish.cap * std::tanh(s / wish.cap);
      if (wish.sloped) s -= double{slopes[head]} * static_cast<double>(places[row] - key);
      w.push_back(std::exp(s));
      sum += w.back();
    }
    for (double& v : w) v /= sum;
    return w;
  }

  std::vector<double> expected() const {
    std::vector<double> y;
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t head = 0; head < kHeads; ++head) {
        const auto w = weights(row, head);
        const auto key = seen(row);
        for (int64_t i = 0; i < wish.value_size; ++i) {
          double sum = 0.0;
          for (size_t t = 0; t < key.size(); ++t)
            sum += w[t] * values[(key[t] * kKeyHeads + head / 2) * wish.value_size + i];
          y.push_back(sum);
        }
      }
    return y;
  }

  KernelCase kernel_case(int64_t weight_columns = 0) const {
    KernelCase test{.op = weight_columns > 0 ? "attend_weighing" : "attend"};
    test.add_session(0, kRows);
    if (weight_columns > 0) add_state(test, weight_columns, Floats(kKeys * weight_columns));
    test.add_rows(kHeads * wish.head_size, queries);
    add_state(test, kKeyHeads * wish.head_size, keys);
    add_state(test, kKeyHeads * wish.value_size, values);
    std::vector<int64_t> ranges, lists;
    for (int64_t row = 0; row < kRows; ++row) {
      const auto key = seen(row);
      ranges.insert(ranges.end(), {0, static_cast<int64_t>(key.size()), 0});
      lists.insert(lists.end(), key.begin(), key.end());
      lists.resize(static_cast<size_t>((row + 1) * kKeys), -1);
    }
    test.add_integers(3, ranges);
    test.attributes = {
        {"n_heads", kHeads}, {"n_kv_heads", kKeyHeads}, {"n_queries", 1}, {"n_ranges", 1}};
    if (wish.listed) test.add_integers(kKeys, lists);
    if (wish.listed) test.lists.push_back({"listed", {1}});
    if (wish.sloped) add_slopes(test);
    if (wish.scale != 0.0) test.attributes.emplace_back("scale", wish.scale);
    if (wish.cap != 0.0) test.attributes.emplace_back("cap", wish.cap);
    if (wish.value_size != wish.head_size)
      test.attributes.emplace_back("value_size", static_cast<double>(wish.value_size));
    if (weight_columns > 0) test.lists.push_back({"weigh", {1}});
    test.set_output(kHeads * wish.value_size);
    return test;
  }

 private:
  static void add_state(KernelCase& test, int64_t columns, const Floats& contents) {
    test.states.push_back({.columns = columns, .sessions = {contents}});
    test.add_state(static_cast<uint32_t>(test.states.size() - 1));
  }

  void add_slopes(KernelCase& test) const {
    HarnessValue v{.kind = PERDURE_VALUE_CONSTANT, .rows = 1, .columns = kHeads};
    v.data = bytes_of(slopes);
    test.inputs.push_back(v);
    test.add_integers(1, places);
    test.attributes.emplace_back("slopes", 1);
  }
};

// How many kernels take the example; all of them give what the formula gives.
int check_example(const Wish& wish) {
  int n_taken = 0;
  for (const perdure_kernel* kernel : own_kernels("attend"))
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      INFO(std::string(kernel->name), ", seed ", seed);
      const Example example(wish, seed);
      PreparedKernel prepared(*kernel, example.kernel_case());
      if (!prepared.accepted()) continue;
      n_taken += seed == 1 ? 1 : 0;
      prepared.run();
      const Floats y = prepared.result().floats();
      const auto expected = example.expected();
      REQUIRE(y.size() == expected.size());
      double difference = 0.0;
      for (size_t i = 0; i < y.size(); ++i)
        difference = std::max(difference, std::fabs(double{y[i]} - expected[i]));
      CHECK(difference < 2e-6);
    }
  return n_taken;
}

}  // namespace

TEST_CASE("attend scales, caps and slopes its scores in this order") {
  const int all = check_example({});
  CHECK(check_example({.scale = 0.3}) == all);
  CHECK(check_example({.cap = 1.5}) == all);
  CHECK(check_example({.sloped = true}) == all);
  CHECK(check_example({.scale = 1.0, .cap = 2.0, .sloped = true}) == all);
}

TEST_CASE("attend takes heads of values that are smaller or larger than those of the keys") {
  const int all = check_example({});
  for (const int64_t value_size : {1, 5, 16, 17, 40, 70})
    CHECK(check_example({.head_size = 12, .value_size = value_size}) == all);
}

TEST_CASE("attend sees the keys of a list, in its order, in the definition of every set") {
  CHECK(check_example({.listed = true}) >= 1);
  CHECK(check_example({.cap = 2.0, .sloped = true, .listed = true}) >= 1);
}

TEST_CASE("the weights of keys are added up over rows and the heads of a column") {
  for (const perdure_kernel* kernel : own_kernels("attend_weighing"))
    for (const int64_t n_columns : {1, 2, 4})
      for (const bool listed : {false, true}) {
        INFO(std::string(kernel->name), ", ", n_columns, " columns, listed: ", listed);
        const Example example({.listed = listed}, 9);
        std::vector<double> expected(static_cast<size_t>(kKeys * n_columns));
        for (int64_t row = 0; row < kRows; ++row)
          for (int64_t head = 0; head < kHeads; ++head) {
            const auto w = example.weights(row, head);
            const auto key = example.seen(row);
            for (size_t t = 0; t < key.size(); ++t)
              expected[static_cast<size_t>(key[t] * n_columns + head * n_columns / kHeads)] += w[t];
          }
        PreparedKernel prepared(*kernel, example.kernel_case(n_columns));
        REQUIRE(prepared.accepted());
        prepared.run();
        const Floats sums = prepared.result().states[0].sessions[0];
        double difference = 0.0, total = 0.0;
        for (size_t i = 0; i < sums.size(); ++i) {
          difference = std::max(difference, std::fabs(double{sums[i]} - expected[i]));
          total += double{sums[i]};
        }
        CHECK(difference < 2e-6);
        CHECK(std::fabs(total - kRows * kHeads) < 1e-4);
        prepared.run();  // once more on top
        CHECK(std::fabs(double{prepared.result().states[0].sessions[0][0]} - 2 * expected[0]) <
              4e-6);
      }
}

TEST_CASE("weights of keys beyond the state that adds them up are not counted") {
  for (const perdure_kernel* kernel : own_kernels("attend_weighing")) {
    KernelCase test = Example({}, 3).kernel_case(1);
    test.states[0].sessions[0].resize(10);
    PreparedKernel prepared(*kernel, test);
    REQUIRE(prepared.accepted());
    prepared.run();
    CHECK(prepared.result().states[0].sessions[0][9] > 0.0f);
  }
}
