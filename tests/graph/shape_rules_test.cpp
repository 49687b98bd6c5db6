// SPDX-License-Identifier: Apache-2.0

// What the built-in operations make of their inputs' shapes, and what they refuse.
#include <doctest/doctest.h>

#include <deque>

#include "core/api/operations.hpp"
#include "core/graph/graph.hpp"

using namespace perdure;

namespace {

// A builder with rows [rows, 8] to start from, and constants of zeros.
struct Fixture {
  OperationTable operations;
  StateTypes states{{"cache", {.kind = ValueKind::kState, .rows = 4, .columns = 8}},
                    {"values", {.kind = ValueKind::kState, .rows = 4, .columns = 6}},
                    {"weights", {.kind = ValueKind::kState, .rows = 4, .columns = 1}}};
  Builder b{"test", operations, [](std::string_view) { return nullptr; }, states};
  Value x = op::row_input(b, constant(10, 8));

  Value constant(int64_t rows, int64_t columns) {
    return b.constant("zeros." + std::to_string(rows) + "." + std::to_string(columns), rows,
                      columns, std::vector<float>(static_cast<size_t>(rows * columns)));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "operations on elements keep the shape and the kind of their rows") {
  const Value outputs = op::select_outputs(b, x);
  for (const Value rows : {x, outputs})
    for (const auto& function : {op::exp, op::gelu, op::gelu_tanh, op::relu_square}) {
      const ValueType& t = b.type(function(b, rows));
      CHECK(t.columns == 8);
      CHECK(t.kind == b.type(rows).kind);
    }
  CHECK_THROWS_AS(op::exp(b, op::row_index(b)), Error);
}

TEST_CASE_FIXTURE(Fixture, "a constant row is as wide as the rows it is added to") {
  CHECK(b.type(op::add_row(b, x, constant(1, 8))).columns == 8);
  CHECK(b.type(op::mul_row(b, op::select_outputs(b, x), constant(1, 8))).kind ==
        ValueKind::kOutputs);
  CHECK_THROWS_WITH_AS(op::add_row(b, x, constant(1, 7)),
                       "[add_row] needs x [*, n] and a constant row [1, n], got [rows, 8], [1, 7]",
                       Error);
  CHECK_THROWS_AS(op::add_row(b, x, constant(2, 8)), Error);
  CHECK_THROWS_AS(op::mul_row(b, x, x), Error);
}

TEST_CASE_FIXTURE(Fixture, "factors of a row divide its columns into equal parts") {
  const Value four = op::slice(b, x, 0, 4);
  CHECK(b.type(op::scale_rows(b, x, four)).columns == 8);
  CHECK(b.type(op::scale_rows(b, x, op::slice(b, x, 3, 1))).columns == 8);
  CHECK_THROWS_AS(op::scale_rows(b, x, op::slice(b, x, 0, 3)), Error);
  CHECK_THROWS_AS(op::scale_rows(b, four, x), Error);
}

TEST_CASE_FIXTURE(Fixture, "norms take weight and bias as wide as the row, each or none of them") {
  const Value w = constant(1, 8);
  for (const Value weight : {Value{}, w})
    for (const Value bias : {Value{}, w}) {
      CHECK(b.type(op::layer_norm(b, x, weight, bias, 1e-5)).columns == 8);
      CHECK(b.type(op::group_norm(b, x, weight, bias, 4, 1e-5)).columns == 8);
    }
  CHECK_THROWS_AS(op::layer_norm(b, x, constant(1, 7), {}, 1e-5), Error);
  CHECK_THROWS_AS(op::layer_norm(b, x, w, constant(1, 7), 1e-5), Error);
  CHECK_THROWS_AS(op::group_norm(b, x, w, w, 3, 1e-5), Error);
  CHECK_THROWS_AS(op::group_norm(b, x, w, w, 0, 1e-5), Error);
}

TEST_CASE_FIXTURE(Fixture,
                  "rope says only what differs from rotating adjacent pairs of whole heads") {
  const Value angles = op::slice(b, x, 0, 4);
  op::rope(b, x, angles, {.head_size = 4});
  b.output("partial", op::rope(b, x, angles, {.halves = true, .head_size = 8}));
  b.output("plain", op::rope(b, x, angles));
  const Graph graph = b.finish();
  std::vector<size_t> counts;
  for (const Node& node : graph.nodes)
    if (node.operation->name == "rope") counts.push_back(node.attributes.size());
  CHECK(counts == std::vector<size_t>{0, 2});
}

TEST_CASE_FIXTURE(Fixture, "rope refuses angles that do not fit into a head") {
  const Value four = op::slice(b, x, 0, 4);
  CHECK_THROWS_AS(op::rope(b, x, op::slice(b, x, 0, 3)), Error);
  CHECK_THROWS_AS(op::rope(b, x, four, {.head_size = 2}), Error);
  CHECK_THROWS_AS(op::rope(b, x, four, {.head_size = 5}), Error);
}

TEST_CASE_FIXTURE(Fixture, "softmax runs over groups that divide the row") {
  CHECK(b.type(op::softmax(b, x)).columns == 8);
  CHECK(b.type(op::softmax(b, x, 2)).columns == 8);
  CHECK_THROWS_AS(op::softmax(b, x, 3), Error);
  CHECK_THROWS_AS(op::softmax(b, x, -1), Error);
}

TEST_CASE_FIXTURE(Fixture, "a lookup gives rows as wide as its table") {
  CHECK(b.type(op::lookup(b, constant(5, 3), op::row_index(b))).columns == 3);
  CHECK_THROWS_AS(op::lookup(b, constant(5, 3), x), Error);
  CHECK_THROWS_AS(op::lookup(b, x, op::row_index(b)), Error);
}

TEST_CASE_FIXTURE(Fixture, "rows are joined by one type and kind, and cut within their columns") {
  CHECK(b.type(op::concat(b, {x, op::slice(b, x, 2, 3)})).columns == 11);
  const Value index = op::row_index(b);
  const ValueType& range = b.type(op::concat(b, {index, index, index}));
  CHECK(range.columns == 3);
  CHECK(range.dtype == PERDURE_I64);
  CHECK_THROWS_AS(op::concat(b, {x, index}), Error);
  CHECK_THROWS_AS(op::concat(b, {x, op::select_outputs(b, x)}), Error);
  CHECK_THROWS_AS(op::concat(b, {}), Error);
  CHECK(b.type(op::slice(b, x, 7, 1)).columns == 1);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{-1, 2}, {7, 2}, {0, 0}, {9, 1}})
    CHECK_THROWS_AS(op::slice(b, x, first, count), Error);
}

TEST_CASE_FIXTURE(Fixture, "attend leaves out what it is not asked for") {
  const Value cache = b.state("cache"), range = op::window_range(b, op::row_index(b));
  b.output("y", op::attend(b, {x}, {{cache, cache, range}}, 2, 2));
  const Graph graph = b.finish();
  CHECK(graph.nodes.back().attributes.size() == 8);
  CHECK(graph.nodes.back().inputs.size() == 4);
}

TEST_CASE_FIXTURE(Fixture, "attend takes slopes, lists, weights and other heads of values") {
  const Value cache = b.state("cache"), values = b.state("values"), weights = b.state("weights");
  const Value index = op::row_index(b), range = op::window_range(b, index);
  op::KeyRange keys{.keys = cache, .values = values, .range = range};
  op::AttendOptions options{
      .scale = 0.5, .cap = 30.0, .slopes = constant(1, 2), .places = index, .value_size = 3};
  CHECK(b.type(op::attend(b, {x}, {keys}, 2, 2, {}, options)).columns == 6);
  keys.list = op::concat(b, {index, index});
  keys.weigh = true;
  CHECK_THROWS_AS(op::attend(b, {x}, {keys}, 2, 2, {}, options), Error);  // no state for weights
  options.weights = weights;
  CHECK(b.type(op::attend(b, {x}, {keys}, 2, 2, {}, options)).columns == 6);
  options.weights = values;  // 6 columns for 2 heads
  CHECK_THROWS_AS(op::attend(b, {x}, {keys}, 2, 2, {}, options), Error);
  options.weights = weights;
  options.slopes = constant(1, 3);
  CHECK_THROWS_AS(op::attend(b, {x}, {keys}, 2, 2, {}, options), Error);
  CHECK_THROWS_AS(op::attend(b, {x}, {{cache, values, range}}, 2, 2), Error);
}

TEST_CASE_FIXTURE(Fixture, "keys that rotate need angles that fit into a head") {
  const Value cache = b.state("cache"), range = op::window_range(b, op::row_index(b));
  const op::KeyRange keys{.keys = cache, .values = cache, .range = range, .rotate = true};
  CHECK_THROWS_AS(op::attend(b, {x}, {keys}, 2, 2), Error);
  CHECK(b.type(op::attend(b, {x}, {keys}, 2, 2, constant(9, 4))).columns == 8);
  CHECK(b.type(op::attend(b, {x}, {keys}, 2, 2, constant(9, 2), {.halves = true})).columns == 8);
  CHECK_THROWS_AS(op::attend(b, {x}, {keys}, 2, 2, constant(9, 6)), Error);
}
