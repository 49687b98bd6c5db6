// SPDX-License-Identifier: Apache-2.0

#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

std::string describe(const ValueType& t) {
  const char* kind = t.kind == ValueKind::kRows      ? "rows"
                     : t.kind == ValueKind::kOutputs ? "outputs"
                                                     : nullptr;
  return "[" + (kind ? kind : std::to_string(t.rows)) + ", " + std::to_string(t.columns) + "]";
}

const AttributeValue* find(const Attributes& attributes, const char* name) {
  for (const auto& [key, value] : attributes)
    if (key == name) return &value;
  return nullptr;
}

}  // namespace

void fail(const std::string& operation, const std::string& what, const Types& in) {
  std::string shapes;
  for (const auto& t : in) shapes += (shapes.empty() ? "" : ", ") + describe(t);
  throw Error("[" + operation + "] " + what + ", got " + (shapes.empty() ? "nothing" : shapes));
}

bool is_rows(const ValueType& t) {
  return t.kind == ValueKind::kRows || t.kind == ValueKind::kOutputs;
}

bool is_real_rows(const ValueType& t) { return is_rows(t) && t.dtype == PERDURE_F32; }

bool is_index(const ValueType& t) {
  return t.kind == ValueKind::kRows && t.dtype == PERDURE_I64 && t.columns == 1;
}

bool is_range(const ValueType& t) {
  return t.kind == ValueKind::kRows && t.dtype == PERDURE_I64 && t.columns == 3;
}

bool is_vector(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kConstant && t.rows == 1 && t.columns == columns;
}

bool is_state(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kState && t.columns == columns;
}

int64_t integer(const std::string& operation, const Attributes& attributes, const char* name) {
  if (const auto* value = find(attributes, name))
    if (const auto* i = std::get_if<int64_t>(value)) return *i;
  throw Error("[" + operation + "] needs the integer attribute '" + name + "'");
}

int64_t integer(const std::string& operation, const Attributes& attributes, const char* name,
                int64_t otherwise) {
  return find(attributes, name) ? integer(operation, attributes, name) : otherwise;
}

int64_t integer_at(const std::string& operation, const Attributes& attributes, const char* name,
                   size_t index, int64_t otherwise) {
  const auto* value = find(attributes, name);
  if (!value) return otherwise;
  const auto* list = std::get_if<std::vector<int64_t>>(value);
  if (!list) throw Error("[" + operation + "] needs a list of integers as '" + name + "'");
  return index < list->size() ? (*list)[index] : otherwise;
}

ValueType rows_of(int64_t columns, perdure_dtype dtype, ValueKind kind) {
  return {.kind = kind, .dtype = dtype, .rows = 0, .columns = columns, .group_size = 0};
}

}  // namespace perdure::rules
