// SPDX-License-Identifier: Apache-2.0

#include "core/graph/graph.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "core/api/operations.hpp"
#include "core/graph/passes.hpp"

using namespace perdure;

namespace {

// Weights that exist only as shapes; no test here computes anything.
struct FakeWeights {
  std::map<std::string, perdure_tensor, std::less<>> tensors;

  void add(const std::string& name, int64_t rows, int64_t columns,
           perdure_dtype dtype = PERDURE_F32, int64_t group_size = 0) {
    perdure_tensor t{};
    t.struct_size = sizeof t;
    t.dtype = dtype;
    t.rank = 2;
    t.shape[0] = rows;
    t.shape[1] = columns;
    t.row_stride_bytes = perdure_row_bytes(dtype, columns);
    t.group_size = group_size;
    tensors[name] = t;
  }
  WeightLookup lookup() const {
    return [this](std::string_view name) -> const perdure_tensor* {
      const auto it = tensors.find(name);
      return it == tensors.end() ? nullptr : &it->second;
    };
  }
};

size_t count(const Graph& graph, const std::string& operation) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(),
                    [&](const Node& n) { return n.operation->name == operation; }));
}

struct Fixture {
  FakeWeights weights;
  OperationTable operations;
  StateTypes states;

  Fixture() {
    weights.add("table", 10, 8);
    weights.add("w", 6, 8);
    weights.add("wq", 6, 8, PERDURE_Q80, 4);
    weights.add("wq2", 5, 8, PERDURE_Q80, 4);
    states["cache"] = {.kind = ValueKind::kState, .rows = 4, .columns = 8};
  }
  Builder builder() { return Builder("test", operations, weights.lookup(), states); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a graph knows the shapes of its values") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  CHECK(b.type(x).columns == 8);
  const Value y = op::mat_mul(b, x, b.weight("w"));
  CHECK(b.type(y).columns == 6);
  CHECK(b.type(op::select_outputs(b, y)).kind == ValueKind::kOutputs);
}

TEST_CASE_FIXTURE(Fixture, "shapes that do not fit are refused with the operation and the shapes") {
  Builder b = builder();
  const Value x = op::mat_mul(b, op::row_input(b, b.weight("table")), b.weight("w"));
  CHECK_THROWS_WITH_AS(op::mat_mul(b, x, b.weight("w")),
                       "[mat_mul] needs x [*, k] and w [n, k], got [rows, 6], [6, 8]", Error);
  CHECK_THROWS_AS(b.weight("nothing"), Error);
  CHECK_THROWS_AS(b.state("nothing"), Error);
  CHECK_THROWS_AS(b.apply("no_such_operation", {x}, {}), Error);
  CHECK_THROWS_AS(b.apply("add", {Value{99}, x}, {}), Error);
}

TEST_CASE_FIXTURE(Fixture, "places, ranges and sets of frequencies have shapes of their own") {
  Builder b = builder();
  const Value place = op::row_index(b), x = op::row_input(b, b.weight("table"));
  const Value range = op::window_range(b, place);
  CHECK(b.type(op::map_index(b, place, 1, 2)).columns == 1);
  CHECK(b.type(op::cut_range(b, range, place, 3, true)).columns == 3);
  CHECK(b.type(op::shift_range(b, range, place)).dtype == PERDURE_I64);
  const Value one = b.constant("one", 1, 1, {8}), two = b.constant("two", 1, 2, {0, 1});
  const Value set = op::piecewise_index(b, place, one, two);
  const Value sets = b.constant("sets", 2, 3, {1, 1, 1, 2, 2, 2});
  CHECK(b.type(op::rope_angles(b, place, sets, {}, set)).columns == 6);
  CHECK_THROWS_AS(op::rope_angles(b, place, sets), Error);
  CHECK_THROWS_AS(op::map_index(b, place, 0, 0), Error);
  CHECK_THROWS_AS(op::map_index(b, x, 0), Error);
  CHECK_THROWS_AS(op::piecewise_index(b, place, two, one), Error);
  CHECK_THROWS_AS(op::cut_range(b, place, place, 1, false), Error);
  CHECK_THROWS_AS(op::shift_range(b, range, range), Error);
}

TEST_CASE_FIXTURE(Fixture,
                  "equal row-wise nodes are computed once, reads of state are not shared") {
  Builder b = builder();
  const Value i = op::row_index(b, 4);
  CHECK(op::row_index(b, 4).id == i.id);
  CHECK(op::row_index(b, 5).id != i.id);
  const Value first = op::state_read(b, b.state("cache"), i);
  CHECK(op::state_read(b, b.state("cache"), i).id != first.id);
}

TEST_CASE_FIXTURE(Fixture, "unused nodes are dropped, writes of state are kept") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  op::silu(b, x);
  op::state_write(b, x, b.state("cache"), op::row_index(b, 4));
  b.output("logits", op::mat_mul(b, x, b.weight("w")));
  const Graph g = b.finish();
  CHECK(count(g, "silu") == 0);
  CHECK(count(g, "state_write") == 1);
  CHECK(count(g, "mat_mul") == 1);
}

TEST_CASE_FIXTURE(Fixture, "products of one input share its quantised form") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  b.output("a", op::mat_mul(b, x, b.weight("wq")));
  b.output("b", op::mat_mul(b, x, b.weight("wq2")));
  b.output("c", op::mat_mul(b, x, b.weight("w")));
  Graph g = b.finish();
  quantize_activations(g, operations);
  CHECK(count(g, "quantize") == 1);
  CHECK(g.info(g.nodes.back().inputs[0]).type.dtype == PERDURE_F32);
}

TEST_CASE_FIXTURE(Fixture,
                  "a composite replaces its parts only where it may and nothing else reads them") {
  auto graph = [&](bool second_reader) {
    Builder b = builder();
    const Value x = op::row_input(b, b.weight("table"));
    const Value s = op::silu(b, op::add(b, x, x));
    b.output("out", op::mul(b, s, x));
    if (second_reader) b.output("silu", op::add(b, s, x));
    return b.finish();
  };
  auto always = [](const auto&, const auto&) { return true; };
  Graph fused = graph(false);
  fuse_composites(fused, operations, always);
  CHECK(count(fused, "silu_mul") == 1);
  CHECK(count(fused, "silu") + count(fused, "mul") == 0);
  Graph forbidden = graph(false);
  fuse_composites(forbidden, operations, [](const auto&, const auto&) { return false; });
  CHECK(count(forbidden, "silu_mul") == 0);
  Graph shared = graph(true);
  fuse_composites(shared, operations, always);
  CHECK(count(shared, "silu_mul") == 0);
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  const Value s = op::silu(b, x);
  b.output("out", op::mul(b, s, x));
  b.output("silu", s);
  Graph left = b.finish();
  fuse_composites(left, operations, always);
  CHECK(count(left, "silu_mul") == 0);
}

TEST_CASE_FIXTURE(Fixture, "a node that is taken out hands its readers its first input") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  b.output("out", op::silu(b, op::silu(b, x)));
  Graph g = b.finish();
  const size_t n = g.nodes.size();
  g.remove_node(n - 1);
  CHECK(g.nodes.size() == n - 1);
  CHECK(g.outputs.at("out").id == g.nodes.back().result().id);
  CHECK_THROWS_AS(g.remove_node(99), std::exception);
}

TEST_CASE_FIXTURE(Fixture, "a node whose first input is of another type cannot be taken out") {
  Builder b = builder();
  const Value index = op::row_index(b);
  const Value x = op::row_input(b, b.weight("table"));
  b.output("out", op::scale_rows(b, x, op::log_n(b, index, 8, true)));
  Graph g = b.finish();
  size_t log_n = 0;
  while (g.nodes.at(log_n).operation->name != "log_n") ++log_n;
  CHECK_THROWS_AS(g.remove_node(log_n), Error);  // rows of one integer for rows of one real
}

TEST_CASE_FIXTURE(Fixture, "a graph prints as text and as DOT") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  b.output("logits", op::mat_mul(b, x, b.weight("w")));
  const Graph g = b.finish();
  CHECK(to_text(g).find("mat_mul(%1, w)") != std::string::npos);
  CHECK(to_dot(g).find("digraph") == 0);
}

namespace {

// An operation that makes `n` copies of its input.
Operation copies(const char* name, size_t n) {
  return {.name = name, .result = [n](const std::vector<ValueType>& in, const Attributes&) {
            return std::vector<ValueType>(n, in[0]);
          }};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an operation with several results gives all of them or is refused") {
  operations.add(copies("twice", 2));
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  CHECK_THROWS_WITH_AS(b.apply("twice", {x}, {}),
                       "[twice] has 2 results; take them all with apply_all", Error);
  const auto both = b.apply_all("twice", {x}, {});
  REQUIRE(both.size() == 2);
  CHECK(both[0].id != both[1].id);
  CHECK(b.apply_all("twice", {x}, {})[1].id == both[1].id);
  b.output("second", both[1]);
  const Graph g = b.finish();
  REQUIRE(g.nodes.size() == 2);
  CHECK(g.nodes[1].results.size() == 2);
  CHECK(to_text(g).find("%2 f32[rows, 8], %3 f32[rows, 8] = twice(%1)") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "nodes with other texts or lists as attributes are not shared") {
  operations.add(copies("once", 1));
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table"));
  const auto with = [&](AttributeValue value) {
    return b.apply("once", {x}, {{"a", std::move(value)}}).id;
  };
  using Ints = std::vector<int64_t>;
  using Reals = std::vector<double>;
  const std::vector<AttributeValue> different = {
      int64_t{1},  1.0,         std::string("1"), Ints{1},     Reals{1.0},
      Ints{1, 11}, Ints{11, 1}, Ints{},           Reals{1, 2}, std::string("i1")};
  std::set<int32_t> ids;
  for (const AttributeValue& value : different) ids.insert(with(value));
  CHECK(ids.size() == different.size());
  CHECK(with(Ints{1, 11}) == with(Ints{1, 11}));
}

TEST_CASE_FIXTURE(Fixture, "constants are equal by their bits, whatever numbers they are") {
  Builder b = builder();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Value first = b.constant("c", 1, 2, {nan, 0.0f});
  CHECK(b.constant("c", 1, 2, {nan, 0.0f}).id == first.id);
  CHECK_THROWS_AS(b.constant("c", 1, 2, {nan, -0.0f}), Error);
  CHECK_THROWS_AS(b.constant("c", 2, 1, {nan, 0.0f}), Error);
}

TEST_CASE_FIXTURE(Fixture, "a value of another graph is refused, whatever its number") {
  Builder a = builder(), b = builder();
  const Value of_a = a.weight("table"), of_b = b.weight("table");
  CHECK_THROWS_AS(b.type(of_a), Error);
  CHECK_THROWS_AS(b.apply("row_input", {of_a}, {}), Error);
  CHECK_THROWS_AS(b.apply_all("row_input", {of_a}, {}), Error);
  CHECK_THROWS_AS(b.output("y", of_a), Error);
  CHECK_THROWS_AS(b.weight_rows(of_a, 0, 1), Error);
  CHECK_NOTHROW(b.output("y", op::row_input(b, of_b)));
}

TEST_CASE_FIXTURE(Fixture, "a weight, a constant and a state may have one name") {
  weights.add("memory", 3, 8);
  states["memory"] = {.kind = ValueKind::kState, .rows = 4, .columns = 8};
  Builder b = builder();
  const Value state = b.state("memory"), weight = b.weight("memory");
  const Value constant = b.constant("memory", 1, 2, {0, 1});
  CHECK(b.type(state).kind == ValueKind::kState);
  CHECK(b.type(weight).rows == 3);
  CHECK(b.type(constant).columns == 2);
  CHECK(b.weight("memory").id == weight.id);
}

TEST_CASE_FIXTURE(Fixture, "views of a weight share its data and begin where they are asked to") {
  std::vector<float> data(6 * 8), scales(12);
  weights.tensors["w"].data = data.data();
  weights.tensors["wq"].data = data.data();
  weights.tensors["wq"].scales = scales.data();
  Builder b = builder();
  const Value w = b.weight("w"), wq = b.weight("wq");
  const Value rows = b.weight_rows(w, 2, 3), corner = b.weight_columns(rows, 4, 2);
  const Value q = b.weight_columns(b.weight_rows(wq, 1, 5), 4, 4);
  CHECK(b.weight_rows(w, 2, 3).id == rows.id);
  CHECK(b.type(corner).rows == 3);
  CHECK(b.type(corner).columns == 2);
  b.output("corner", corner);
  b.output("q", q);
  const Graph g = b.finish();
  const auto info = [&](const char* name) { return g.info(g.outputs.at(name)); };
  CHECK(info("corner").tensor.data == data.data() + 2 * 8 + 4);
  CHECK(info("corner").tensor.row_stride_bytes == 32);
  CHECK(info("corner").name == "w[2:5][:, 4:6]");
  CHECK(info("q").tensor.data == reinterpret_cast<char*>(data.data()) + 8 + 4);
  CHECK(info("q").tensor.scales == scales.data() + 3);
}

TEST_CASE_FIXTURE(Fixture, "a view beyond its weight, or through a group, is refused") {
  weights.add("blocks", 4, 64, PERDURE_Q8_0);
  weights.add("straddling", 4, 6, PERDURE_Q80, 4);
  Builder b = builder();
  CHECK_THROWS_WITH_AS(b.weight_rows(b.weight("w"), 4, 3),
                       "'w' has 6 rows; 3 from 4 on are not in it", Error);
  CHECK_THROWS_AS(b.weight_rows(b.weight("w"), INT64_MAX, INT64_MAX), Error);
  CHECK_THROWS_AS(b.weight_columns(b.weight("w"), -1, 2), Error);
  CHECK_THROWS_AS(b.weight_rows(b.weight("w"), 0, 0), Error);
  CHECK_THROWS_AS(b.weight_columns(b.weight("blocks"), 16, 32), Error);
  CHECK_THROWS_WITH_AS(b.weight_columns(b.weight("wq"), 2, 4),
                       "columns 2:6 of 'wq' cut its groups of 4 values in two", Error);
  CHECK_THROWS_WITH_AS(b.weight_rows(b.weight("straddling"), 1, 2),
                       doctest::Contains("inside a group of 4"), Error);
  CHECK_THROWS_AS(b.weight_rows(b.state("cache"), 0, 1), Error);
}

TEST_CASE_FIXTURE(Fixture, "products with weights of other groups or blocks do not share rows") {
  weights.add("table64", 10, 64);
  weights.add("w4", 6, 64, PERDURE_Q80, 4);
  weights.add("w8", 6, 64, PERDURE_Q80, 8);
  weights.add("blocks", 6, 64, PERDURE_Q4_0);
  weights.add("more_blocks", 6, 64, PERDURE_Q8_0);
  weights.add("straddling", 6, 64, PERDURE_Q80, 48);
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table64"));
  for (const char* name : {"w4", "w8", "blocks", "more_blocks", "straddling"})
    b.output(name, op::mat_mul(b, x, b.weight(name)));
  Graph g = b.finish();
  quantize_activations(g, operations);
  CHECK(count(g, "quantize") == 3);
  for (const Node& node : g.nodes) {
    if (node.operation->name != "mat_mul") continue;
    const ValueType &in = g.info(node.inputs[0]).type, &w = g.info(node.inputs[1]).type;
    INFO(g.info(node.inputs[1]).name);
    const bool straddles = w.group_size == 48;
    CHECK(in.group_size == (straddles ? 0 : w.group_size));
    CHECK(in.dtype == (straddles ? PERDURE_F32 : w.group_size ? PERDURE_Q80 : PERDURE_Q8_0));
  }
}

TEST_CASE_FIXTURE(Fixture, "the product of a silu with itself is not taken for silu_mul") {
  Builder b = builder();
  const Value s = op::silu(b, op::row_input(b, b.weight("table")));
  b.output("y", op::mul(b, s, s));
  Graph g = b.finish();
  fuse_composites(g, operations,
                  [](const std::vector<std::string>&, const std::string&) { return true; });
  CHECK(count(g, "silu_mul") == 0);
  CHECK(count(g, "mul") == 1);
}

TEST_CASE_FIXTURE(Fixture, "more stretches of keys than attend takes are one sentence") {
  Builder b = builder();
  const Value q = op::row_input(b, b.weight("table")), cache = b.state("cache");
  const Value range = op::window_range(b, op::row_index(b));
  CHECK_THROWS_WITH_AS(
      op::attend(b, {q}, std::vector<op::KeyRange>(65, {cache, cache, range}), 1, 1),
      "[attend] takes at most 64 stretches of keys, got 65", Error);
  op::attend(b, {q}, std::vector<op::KeyRange>(8, {cache, cache, range}), 1, 1);
}

TEST_CASE_FIXTURE(Fixture, "a set of roles beyond the bits of an I64 is refused") {
  Builder b = builder();
  const Value x = op::row_input(b, b.weight("table")), place = op::row_index(b);
  CHECK_THROWS_AS(op::state_write(b, x, b.state("cache"), place, -1), Error);
}
