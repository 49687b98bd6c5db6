// SPDX-License-Identifier: Apache-2.0

// What may stand behind `is`.
#include <algorithm>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"
#include "core/model/templates/jinja/operators.hpp"

namespace perdure::jinja {
namespace {

using Holds = bool (*)(Run& run, const Value& value, const Value* argument);

struct Test {
  std::string_view name;
  Holds holds;
  bool has_argument = false;
};

bool is_text(const Value& value) { return text_of(value) != nullptr; }
bool is_list(const Value& value) { return list_of(value) != nullptr; }
bool is_map(const Value& value) { return map_of(value) != nullptr; }
bool is_flag(const Value& value) { return std::holds_alternative<bool>(value); }
bool is_integer(const Value& value) { return std::holds_alternative<int64_t>(value); }

int64_t whole(Run& run, const Value& value) {
  if (!is_whole(value)) run.fail(std::string(kind_of(value)) + " is not an integer");
  return whole_of(value);
}

bool is_divisible(Run& run, const Value& value, const Value* by) {
  const int64_t divisor = whole(run, *by);
  if (divisor == 0) run.fail("division by zero");
  return divisor == -1 || whole(run, value) % divisor == 0;
}

bool is_in_case(Run& run, const Value& value, char from, char to) {
  const MarkedText text = written(run, value);
  return std::ranges::none_of(text.text(), [&](char c) { return c >= from && c <= to; }) &&
         std::ranges::any_of(
             text.text(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

template <bool (*kCheck)(const Value&)>
bool checks(Run&, const Value& value, const Value*) {
  return kCheck(value);
}
template <bool kWanted>
bool is_exactly(Run&, const Value& value, const Value*) {
  const bool* flag = std::get_if<bool>(&value);
  return flag != nullptr && *flag == kWanted;
}
bool is_equal(Run& run, const Value& value, const Value* other) {
  return are_equal(run, value, *other);
}
bool differs(Run& run, const Value& value, const Value* other) {
  return !are_equal(run, value, *other);
}
template <Order... kOrders>
bool is_ordered(Run& run, const Value& value, const Value* other) {
  const Order order = order_of(run, value, *other);
  return ((order == kOrders) || ...);
}

constexpr Holds kLess = is_ordered<Order::kLess>, kMore = is_ordered<Order::kMore>,
                kAtMost = is_ordered<Order::kLess, Order::kEqual>,
                kAtLeast = is_ordered<Order::kMore, Order::kEqual>;

constexpr Test kTests[] = {
    {"defined", [](Run&, const Value& v, const Value*) { return !is_undefined(v); }},
    {"undefined", checks<is_undefined>},
    {"none", checks<is_none>},
    {"string", checks<is_text>},
    {"mapping", checks<is_map>},
    {"sequence",
     [](Run&, const Value& v, const Value*) { return is_text(v) || is_list(v) || is_map(v); }},
    {"iterable",
     [](Run&, const Value& v, const Value*) {
       return is_text(v) || is_list(v) || is_map(v) || is_undefined(v);
     }},
    {"number", checks<is_number>},
    {"integer", checks<is_integer>},
    {"float", [](Run&, const Value& v, const Value*) { return std::holds_alternative<double>(v); }},
    {"boolean", checks<is_flag>},
    {"true", is_exactly<true>},
    {"false", is_exactly<false>},
    {"callable",
     [](Run&, const Value& v, const Value*) {
       return std::holds_alternative<std::shared_ptr<const Function>>(v);
     }},
    {"odd", [](Run& run, const Value& v, const Value*) { return whole(run, v) % 2 != 0; }},
    {"even", [](Run& run, const Value& v, const Value*) { return whole(run, v) % 2 == 0; }},
    {"divisibleby", is_divisible, true},
    {"upper", [](Run& run, const Value& v, const Value*) { return is_in_case(run, v, 'a', 'z'); }},
    {"lower", [](Run& run, const Value& v, const Value*) { return is_in_case(run, v, 'A', 'Z'); }},
    {"in", [](Run& run, const Value& v, const Value* in) { return contains(run, *in, v); }, true},
    {"eq", is_equal, true},
    {"equalto", is_equal, true},
    {"sameas", is_equal, true},
    {"ne", differs, true},
    {"lt", kLess, true},
    {"lessthan", kLess, true},
    {"gt", kMore, true},
    {"greaterthan", kMore, true},
    {"le", kAtMost, true},
    {"ge", kAtLeast, true},
};

const Test* find_test(std::string_view name) {
  const auto found =
      std::ranges::find_if(kTests, [&](const Test& test) { return test.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

}  // namespace

bool is_test(std::string_view name) { return find_test(name) != nullptr; }

bool passes_test(Run& run, std::string_view name, const Value& value, const Arguments& arguments) {
  const Test& test = *find_test(name);
  const Bound bound(run, "the test '" + std::string(name) + "'", test.has_argument ? "other" : "",
                    arguments);
  return test.holds(run, value, test.has_argument ? &bound.required(0) : nullptr);
}

}  // namespace perdure::jinja
