// SPDX-License-Identifier: Apache-2.0

// What the shape rules of a plugin's own operations (Operation::result) are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/api/graph.hpp"

namespace perdure::shape_rules {

using Types = std::vector<ValueType>;

// Errors: Error "[operation] needs ..." unless it fits.
inline void require(bool fits, const char* operation, const char* needs) {
  if (!fits) throw Error("[" + std::string(operation) + "] needs " + needs);
}

// The attribute of that name, 0 if there is none.
inline int64_t integer(const Attributes& attributes, const char* name) {
  for (const auto& [key, value] : attributes)
    if (const auto* i = std::get_if<int64_t>(&value); i && key == name) return *i;
  return 0;
}

// Rows of F32, `columns` wide.
inline bool is_rows(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kRows && t.dtype == PERDURE_F32 && t.columns == columns;
}

// A constant of F32, `columns` wide, of any positive number of rows.
inline bool is_constant(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kConstant && t.dtype == PERDURE_F32 && t.rows > 0 &&
         t.columns == columns;
}

// The inputs first .. end - 1 are there and are rows as wide as the first input.
inline bool are_rows(const Types& in, size_t first, size_t end) {
  if (in.size() < end) return false;
  for (size_t i = first; i < end; ++i)
    if (!is_rows(in[i], in[0].columns)) return false;
  return true;
}

}  // namespace perdure::shape_rules
