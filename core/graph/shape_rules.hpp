// SPDX-License-Identifier: Apache-2.0

// What the shape rules of the built-in operations share, and the rules themselves, one function for
// each header of core/api/operations: what the operations compute stands there.
#pragma once

#include <string>
#include <vector>

#include "core/api/graph.hpp"

namespace perdure::rules {

using Types = std::vector<ValueType>;

// Throws Error "[operation] what, got shapes".
[[noreturn]] void fail(const std::string& operation, const std::string& what, const Types& in);

// Rows or outputs of any type; of F32.
bool is_rows(const ValueType& t);
bool is_real_rows(const ValueType& t);
// [rows, 1] and [rows, 3] of I64.
bool is_index(const ValueType& t);
bool is_range(const ValueType& t);
// A constant [1, columns]; a state with that many columns.
bool is_vector(const ValueType& t, int64_t columns);
bool is_state(const ValueType& t, int64_t columns);

// The integer called `name`; `otherwise` if it is left out.
// Errors: Error naming the operation if there is none, or if it is no integer.
int64_t integer(const std::string& operation, const Attributes& attributes, const char* name);
int64_t integer(const std::string& operation, const Attributes& attributes, const char* name,
                int64_t otherwise);

// Element `index` of the list of integers called `name`; `otherwise` if the list is left out or
// shorter.
int64_t integer_at(const std::string& operation, const Attributes& attributes, const char* name,
                   size_t index, int64_t otherwise);

ValueType rows_of(int64_t columns, perdure_dtype dtype = PERDURE_F32,
                  ValueKind kind = ValueKind::kRows);

std::vector<Operation> elementwise_rules();
std::vector<Operation> norm_rules();
std::vector<Operation> row_rules();
std::vector<Operation> position_rules();
std::vector<Operation> attention_rules();

}  // namespace perdure::rules
