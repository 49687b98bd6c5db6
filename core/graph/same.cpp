// SPDX-License-Identifier: Apache-2.0

// Whether two graphs say the same.
#include <algorithm>
#include <cstring>

#include "core/graph/passes.hpp"

namespace perdure {
namespace {

bool same_type(const ValueType& a, const ValueType& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.rows == b.rows && a.columns == b.columns &&
         a.group_size == b.group_size;
}

bool same_place(const perdure_tensor& a, const perdure_tensor& b) {
  return a.data == b.data && a.scales == b.scales && a.row_stride_bytes == b.row_stride_bytes;
}

// Bit for bit: constants are F32.
bool same_contents(const perdure_tensor& a, const perdure_tensor& b) {
  const size_t row_bytes = static_cast<size_t>(a.shape[1]) * sizeof(float);
  for (int64_t r = 0; r < a.shape[0]; ++r)
    if (std::memcmp(static_cast<const char*>(a.data) + r * a.row_stride_bytes,
                    static_cast<const char*>(b.data) + r * b.row_stride_bytes, row_bytes) != 0)
      return false;
  return true;
}

// Of values that no node made.
bool same_source(const ValueInfo& a, const ValueInfo& b) {
  if (a.origin != b.origin || !same_type(a.type, b.type)) return false;
  if (a.origin == Origin::kState) return a.name == b.name;
  if (a.origin == Origin::kConstant) return same_contents(a.tensor, b.tensor);
  return a.origin == Origin::kWeight && same_place(a.tensor, b.tensor);
}

// Walks two graphs side by side and learns which value of one is which of the other.
class Comparison {
 public:
  Comparison(const Graph& a, const Graph& b) : a_(a), b_(b), partner_(a.values.size()) {}

  bool same() {
    return a_.nodes.size() == b_.nodes.size() && a_.outputs.size() == b_.outputs.size() &&
           std::ranges::equal(a_.nodes, b_.nodes,
                              [&](const Node& a, const Node& b) { return same_node(a, b); }) &&
           std::ranges::equal(a_.outputs, b_.outputs, [&](const auto& a, const auto& b) {
             return a.first == b.first && same_value(a.second, b.second);
           });
  }

 private:
  bool same_node(const Node& a, const Node& b) {
    return a.operation->name == b.operation->name && a.attributes == b.attributes &&
           std::ranges::equal(a.inputs, b.inputs,
                              [&](Value x, Value y) { return same_value(x, y); }) &&
           std::ranges::equal(a.results, b.results, [&](Value x, Value y) {
             pair(x, y);
             return same_type(a_.info(x).type, b_.info(y).type);
           });
  }

  bool same_value(Value x, Value y) {
    if (x.valid() != y.valid()) return false;
    if (!x.valid()) return true;
    const Value known = partner_[static_cast<size_t>(x.id)];
    if (known.valid()) return known.id == y.id;
    if (!same_source(a_.info(x), b_.info(y))) return false;
    pair(x, y);
    return true;
  }

  void pair(Value x, Value y) { partner_[static_cast<size_t>(x.id)] = y; }

  const Graph& a_;
  const Graph& b_;
  std::vector<Value> partner_;  // of a's values
};

}  // namespace

bool computes_same(const Graph& a, const Graph& b) { return Comparison(a, b).same(); }

}  // namespace perdure
