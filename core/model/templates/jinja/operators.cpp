// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/operators.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace perdure::jinja {
namespace {

[[noreturn]] void fail_operator(Run& run, std::string_view sign, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b})
    if (const auto* undefined = std::get_if<Undefined>(value))
      run.fail("'" + shown(undefined->name) + "' is undefined");
  run.fail("'" + std::string(sign) + "' between " + std::string(kind_of(a)) + " and " +
           std::string(kind_of(b)) + " is not supported");
}

[[noreturn]] void fail_large(Run& run) { run.fail("a number becomes too large"); }

int64_t floor_quotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

int64_t power(Run& run, int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; --exponent) {
    run.step();
    if (__builtin_mul_overflow(result, base, &result)) fail_large(run);
  }
  return result;
}

Value of_wholes(Run& run, std::string_view sign, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  const bool divides = sign == "//" || sign == "%";
  if (divides && b == -1) return of_wholes(run, sign == "//" ? "*" : "-", a, sign == "//" ? b : a);
  if (sign == "+") overflow = __builtin_add_overflow(a, b, &result);
  if (sign == "-") overflow = __builtin_sub_overflow(a, b, &result);
  if (sign == "*") overflow = __builtin_mul_overflow(a, b, &result);
  if (sign == "//") result = floor_quotient(a, b);
  if (sign == "%") result = a - floor_quotient(a, b) * b;
  if (overflow) fail_large(run);
  return result;
}

Value of_reals(std::string_view sign, double a, double b) {
  if (sign == "+") return a + b;
  if (sign == "-") return a - b;
  if (sign == "*") return a * b;
  if (sign == "/") return a / b;
  if (sign == "//") return std::floor(a / b);
  if (sign == "%") return a - std::floor(a / b) * b;
  return std::pow(a, b);
}

Value of_numbers(Run& run, std::string_view sign, const Value& a, const Value& b) {
  if ((sign == "/" || sign == "//" || sign == "%") && real_of(b) == 0) run.fail("division by zero");
  const bool wholes = is_whole(a) && is_whole(b);
  if (sign == "**" && wholes && whole_of(b) >= 0) return power(run, whole_of(a), whole_of(b));
  if (wholes && sign != "/" && sign != "**") return of_wholes(run, sign, whole_of(a), whole_of(b));
  return of_reals(sign, real_of(a), real_of(b));
}

Value joined_texts(Run& run, const MarkedText& a, const MarkedText& b) {
  run.work(a.size());
  MarkedText both = a;
  both += b;
  return make_text(run, std::move(both));
}

Value joined_lists(Run& run, const List& a, const List& b) {
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return make_list(run, std::move(items));
}

Value repeated(Run& run, const MarkedText& text, int64_t count) {
  MarkedText result;
  for (; count > 0 && !text.empty(); --count) {
    run.work(text.size());
    result += text;
  }
  return make_text(run, std::move(result));
}

bool contains_text(Run& run, const MarkedText& whole, const Value& item) {
  const MarkedText* part = text_of(item);
  if (part == nullptr)
    run.fail("'in' looks for " + std::string(kind_of(item)) + " in a string, which has none");
  run.work(whole.size());
  return whole.text().find(part->text()) != std::string::npos;
}

// The indices that a slice takes of `size` items, as Python.
std::vector<size_t> indices_of(Run& run, const Slice& slice, int64_t size) {
  const int64_t step = slice.step.value_or(1);
  if (step == 0) run.fail("the step of a slice is zero");
  const int64_t lowest = step < 0 ? -1 : 0, highest = step < 0 ? size - 1 : size;
  const auto bound = [&](const std::optional<int64_t>& given, int64_t otherwise) {
    if (!given) return otherwise;
    return std::clamp(*given < 0 ? *given + size : *given, lowest, highest);
  };
  const int64_t first = bound(slice.first, step < 0 ? highest : lowest);
  const int64_t last = bound(slice.last, step < 0 ? lowest : highest);
  // A longer step than there are items reaches the first one only, and cannot overflow.
  const int64_t stride = std::clamp(step, -size - 1, size + 1);
  std::vector<size_t> indices;
  for (int64_t i = first; stride < 0 ? i > last : i < last; i += stride)
    indices.push_back(static_cast<size_t>(i));
  return indices;
}

Value sliced_text(Run& run, const MarkedText& text, const Slice& slice) {
  run.work(text.size() * sizeof(size_t));
  std::vector<size_t> begins{0};
  for (size_t at = 0; at < text.size(); begins.push_back(at)) at += character_at(text.text(), at);
  MarkedText result;
  for (const size_t i : indices_of(run, slice, std::ssize(begins) - 1))
    result += text.substr(begins[i], begins[i + 1] - begins[i]);
  return make_text(run, std::move(result));
}

}  // namespace

Value combined(Run& run, std::string_view sign, const Value& a, const Value& b) {
  run.step();
  if (sign == "~") return joined_texts(run, written(run, a), written(run, b));
  if (is_number(a) && is_number(b)) return of_numbers(run, sign, a, b);
  const MarkedText *text = text_of(a), *other = text_of(b);
  if (sign == "+" && text != nullptr && other != nullptr) return joined_texts(run, *text, *other);
  if (sign == "*" && text != nullptr && is_whole(b)) return repeated(run, *text, whole_of(b));
  if (sign == "+" && list_of(a) != nullptr && list_of(b) != nullptr)
    return joined_lists(run, *list_of(a), *list_of(b));
  fail_operator(run, sign, a, b);
}

Value negative(Run& run, const Value& value) {
  if (!is_number(value)) run.fail("a sign before " + std::string(kind_of(value)));
  if (is_whole(value)) return of_wholes(run, "-", 0, whole_of(value));
  return -real_of(value);
}

Order order_of(Run& run, const Value& a, const Value& b) {
  run.step();
  if (is_number(a) && is_number(b)) {
    const bool wholes = is_whole(a) && is_whole(b);
    const bool less = wholes ? whole_of(a) < whole_of(b) : real_of(a) < real_of(b);
    const bool more = wholes ? whole_of(a) > whole_of(b) : real_of(a) > real_of(b);
    return less ? Order::kLess : more ? Order::kMore : Order::kEqual;
  }
  const MarkedText *text = text_of(a), *other = text_of(b);
  if (text == nullptr || other == nullptr) fail_operator(run, "<", a, b);
  run.work(std::min(text->size(), other->size()));
  const int order = text->text().compare(other->text());
  return order < 0 ? Order::kLess : order > 0 ? Order::kMore : Order::kEqual;
}

bool contains(Run& run, const Value& whole, const Value& item) {
  run.step();
  if (is_undefined(whole)) return false;
  if (const MarkedText* text = text_of(whole)) return contains_text(run, *text, item);
  if (const List* list = list_of(whole))
    return std::ranges::any_of(list->items,
                               [&](const Value& other) { return are_equal(run, item, other); });
  const Map* map = map_of(whole);
  if (map == nullptr) run.fail("'in' does not fit " + std::string(kind_of(whole)));
  run.step(map->items.size());
  return text_of(item) != nullptr && map->find(text_of(item)->text()) != nullptr;
}

bool compared(Run& run, std::string_view sign, const Value& a, const Value& b) {
  if (sign == "==") return are_equal(run, a, b);
  if (sign == "!=") return !are_equal(run, a, b);
  if (sign == "in") return contains(run, b, a);
  if (sign == "not in") return !contains(run, b, a);
  const Order order = order_of(run, a, b);
  if (order == Order::kEqual) return sign.size() == 2;
  return (order == Order::kLess) == (sign[0] == '<');
}

Value sliced(Run& run, const Value& whole, const Slice& slice) {
  if (const MarkedText* text = text_of(whole)) return sliced_text(run, *text, slice);
  const List* list = list_of(whole);
  if (list == nullptr) {
    if (const auto* undefined = std::get_if<Undefined>(&whole))
      run.fail("'" + shown(undefined->name) + "' is undefined");
    run.fail(std::string(kind_of(whole)) + " cannot be sliced");
  }
  run.work(list->items.size() * sizeof(size_t));
  std::vector<Value> items;
  for (const size_t i : indices_of(run, slice, std::ssize(list->items)))
    items.push_back(list->items[i]);
  return make_list(run, std::move(items));
}

}  // namespace perdure::jinja
