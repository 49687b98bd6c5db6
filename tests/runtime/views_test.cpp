// SPDX-License-Identifier: Apache-2.0

// A weight and views of it in one graph, computed by every kernel plugin of this tree.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "core/api/operations.hpp"
#include "core/base/cpu.hpp"
#include "core/runtime/executor.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/runtime/teams.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kRows = 40, kColumns = 64, kGroup = 16, kVocab = 7;

struct Weights {
  std::vector<float> table, real, scales;
  std::vector<int8_t> quantised;
  std::map<std::string, perdure_tensor, std::less<>> tensors;

  Weights()
      : table(kVocab * kColumns),
        real(kRows * kColumns),
        scales(kRows * kColumns / kGroup),
        quantised(kRows * kColumns) {
    std::mt19937 random(2);
    for (auto* values : {&table, &real, &scales})
      for (float& v : *values) v = std::uniform_real_distribution<float>(-1, 1)(random);
    for (int8_t& v : quantised) v = static_cast<int8_t>(random() % 255 - 127);
    add("table", kVocab, PERDURE_F32, table.data());
    add("f32", kRows, PERDURE_F32, real.data());
    add("q80", kRows, PERDURE_Q80, quantised.data());
    tensors["q80"].scales = scales.data();
    tensors["q80"].group_size = kGroup;
  }

  void add(const char* name, int64_t rows, perdure_dtype dtype, void* data) {
    perdure_tensor& t = tensors[name];
    t = {};
    t.struct_size = sizeof t;
    t.dtype = dtype;
    t.rank = 2;
    t.shape[0] = rows;
    t.shape[1] = kColumns;
    t.shape[2] = t.shape[3] = 1;
    t.row_stride_bytes = perdure_row_bytes(dtype, kColumns);
    t.data = data;
  }
};

using Outputs = std::map<std::string, std::vector<float>>;

// Rows of 5 tokens of every output, computed by the plugin `prefer`.
Outputs computed(const Weights& weights, const char* prefer,
                 const std::function<void(GraphBuilder&)>& build, size_t* packed_bytes = nullptr) {
  const OperationTable operations;
  const StateTypes states;
  const auto lookup = [&](std::string_view name) -> const perdure_tensor* {
    const auto it = weights.tensors.find(name);
    return it == weights.tensors.end() ? nullptr : &it->second;
  };
  Builder builder("views", operations, lookup, states);
  build(builder);
  const Graph graph = builder.finish();
  const PluginHost host(linked_plugins(), {});
  const KernelChooser chooser(host.kernel_sets(), {}, operations,
                              {.prefer = {prefer}, .cpu_features = cpu_features()});
  PackedWeights packed;
  const Plan few(graph, 2, 0, chooser, {}, packed);
  Plan plan(graph, 5, 0, chooser, {}, packed);
  if (packed_bytes) *packed_bytes = packed.size_bytes();
  Buffer arena(plan.arena_bytes());
  plan.bind(arena.data());
  std::vector<perdure_row> rows;
  for (int64_t r = 0; r < 5; ++r) rows.push_back({r, r % kVocab, 0, PERDURE_ROLE_TOKEN, 0, r});
  const perdure_session session{0, 5, nullptr};
  perdure_step step{};
  step.struct_size = sizeof step;
  step.n_rows = 5;
  step.rows = rows.data();
  step.n_sessions = 1;
  step.sessions = &session;
  AbsentTeam alone(1);
  Executor executor(alone, plan.nodes().size(), plan.scratch_bytes());
  executor.run(plan, step);
  Outputs outputs;
  for (const auto& [name, value] : graph.outputs) {
    const perdure_tensor& t = plan.output(name);
    const auto* data = static_cast<const float*>(t.data);
    outputs[name].assign(data, data + 5 * t.shape[1]);
  }
  return outputs;
}

// Columns first .. first + count - 1 of rows of `width`.
std::vector<float> columns_of(const std::vector<float>& rows, int64_t width, int64_t first,
                              int64_t count) {
  std::vector<float> result;
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(width))
    result.insert(result.end(), rows.begin() + static_cast<std::ptrdiff_t>(begin) + first,
                  rows.begin() + static_cast<std::ptrdiff_t>(begin) + first + count);
  return result;
}

}  // namespace

TEST_CASE("a weight and views of its rows in one graph give the same columns of the product") {
  const Weights weights;
  for (const char* prefer : {"scalar", "simd"})
    for (const char* name : {"f32", "q80"}) {
      INFO(prefer, ", ", name);
      const Outputs y = computed(weights, prefer, [&](GraphBuilder& g) {
        Value x = op::row_input(g, g.weight("table"));
        const Value w = g.weight(name);
        if (g.type(w).dtype == PERDURE_Q80) x = op::quantize(g, x, kGroup);
        g.output("whole", op::mat_mul(g, x, w));
        g.output("first", op::mat_mul(g, x, g.weight_rows(w, 0, 16)));
        g.output("last", op::mat_mul(g, x, g.weight_rows(w, 23, 17)));
      });
      CHECK(y.at("first") == columns_of(y.at("whole"), kRows, 0, 16));
      CHECK(y.at("last") == columns_of(y.at("whole"), kRows, 23, 17));
    }
}

TEST_CASE("products with the columns of a weight add up to the product with all of it") {
  const Weights weights;
  for (const char* prefer : {"scalar", "simd"})
    for (const char* name : {"f32", "q80"}) {
      INFO(prefer, ", ", name);
      const Outputs y = computed(weights, prefer, [&](GraphBuilder& g) {
        const Value x = op::row_input(g, g.weight("table")), w = g.weight(name);
        const bool quantised = g.type(w).dtype == PERDURE_Q80;
        const auto product = [&](Value rows, Value weight) {
          return op::mat_mul(g, quantised ? op::quantize(g, rows, kGroup) : rows, weight);
        };
        g.output("whole", product(x, w));
        Value sum = product(op::slice(g, x, 0, 48), g.weight_columns(w, 0, 48));
        sum = op::add(g, sum, product(op::slice(g, x, 48, 16), g.weight_columns(w, 48, 16)));
        g.output("sum", sum);
      });
      for (size_t i = 0; i < y.at("sum").size(); ++i)
        REQUIRE(y.at("sum")[i] == doctest::Approx(y.at("whole")[i]).epsilon(1e-4).scale(10));
    }
}

TEST_CASE("plans of one graph share a packed weight") {
  const Weights weights;
  size_t once = 0, twice = 0;
  for (size_t* bytes : {&once, &twice})
    computed(
        weights, "simd",
        [&](GraphBuilder& g) {
          const Value x = op::quantize(g, op::row_input(g, g.weight("table")), kGroup);
          g.output("y", op::mat_mul(g, x, g.weight("q80")));
          if (bytes == &twice)
            g.output("z", op::mat_mul(g, x, g.weight_rows(g.weight("q80"), 0, kRows)));
        },
        bytes);
  CHECK(once > 0);
  CHECK(twice == once);
}

TEST_CASE("tensors that differ in anything are packed apart, equal ones together") {
  perdure_kernel kernel{};
  kernel.name = "packing_f32_scalar";
  kernel.packed_bytes = [](const perdure_node*, const void*, uint32_t) { return size_t{64}; };
  kernel.pack = [](const perdure_node*, const void*, uint32_t, void*) -> int { return PERDURE_OK; };
  const Weights weights;
  const perdure_tensor whole = weights.tensors.at("q80");
  PackedWeights packed;
  const auto get = [&](const perdure_tensor& tensor, std::byte param = {}) {
    perdure_value value{};
    value.kind = PERDURE_VALUE_CONSTANT;
    value.tensor = tensor;
    perdure_node node{};
    node.op = "mat_mul";
    node.n_inputs = 1;
    node.inputs = &value;
    return packed.get({&kernel, "a test", {param}}, node, 0);
  };
  std::vector<perdure_tensor> others(7, whole);
  others[0].data = static_cast<char*>(whole.data) + kColumns;
  others[1].shape[0] = 16;
  others[2].shape[1] = 32;
  others[3].row_stride_bytes *= 2;
  others[4].dtype = PERDURE_F16;
  others[5].scales = static_cast<char*>(whole.scales) + 4;
  others[6].group_size = 8;
  std::set<const void*> places{get(whole), get(whole, std::byte{1})};
  for (const perdure_tensor& other : others) places.insert(get(other));
  CHECK(places.size() == others.size() + 2);
  CHECK(places.contains(get(whole)));
  CHECK(packed.size_bytes() == 64 * places.size());
}
