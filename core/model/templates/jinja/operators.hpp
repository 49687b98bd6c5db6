// SPDX-License-Identifier: Apache-2.0

// What operators do with values, as in Python. Errors: UsageError naming the line of an operator
// that does not fit its values.
#pragma once

#include <optional>
#include <string_view>

#include "core/model/templates/jinja/value.hpp"

namespace perdure::jinja {

enum class Order { kLess, kEqual, kMore };

// `sign`: + - * / // % ** ~.
Value combined(Run& run, std::string_view sign, const Value& a, const Value& b);
Value negative(Run& run, const Value& value);
// Of numbers or of strings.
Order order_of(Run& run, const Value& a, const Value& b);
// `item in whole`.
bool contains(Run& run, const Value& whole, const Value& item);
// `sign`: == != < <= > >= in, not in.
bool compared(Run& run, std::string_view sign, const Value& a, const Value& b);

// `whole[first:last:step]`.
struct Slice {
  std::optional<int64_t> first, last, step;
};
Value sliced(Run& run, const Value& whole, const Slice& slice);

}  // namespace perdure::jinja
