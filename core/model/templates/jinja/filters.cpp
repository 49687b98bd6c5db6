// SPDX-License-Identifier: Apache-2.0

// What may stand behind `|`.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"
#include "core/model/templates/jinja/json_text.hpp"
#include "core/model/templates/jinja/text_tools.hpp"

namespace perdure::jinja {
namespace {

using Change = MarkedText (*)(Run& run, MarkedText text);

void require_no_arguments(Run& run, const Arguments& arguments, std::string_view name) {
  Bound(run, "the filter '" + std::string(name) + "'", "", arguments);
}

// ---- texts

Value trim(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'trim'", "chars", arguments);
  std::optional<std::string> characters;
  if (bound.find(0) != nullptr) characters = bound.text(0);
  return make_text(run, stripped(run, written(run, value), Ends::kBoth, characters));
}

template <Change kChange>
Value change_text(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "upper, lower, title or capitalize");
  return make_text(run, kChange(run, written(run, value)));
}

MarkedText title_words(Run& run, MarkedText text) { return titled(run, std::move(text), false); }

Value as_text(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "string");
  return text_of(value) != nullptr ? value : make_text(run, written(run, value));
}

Value replace(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'replace'", "old,new,count", arguments);
  return make_text(run, replaced(run, written(run, value), bound.text(0), bound.marked(1),
                                 bound.whole(2).value_or(-1)));
}

Value indent(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'indent'", "width,first,blank", arguments);
  const Value* width = bound.find(0);
  std::string indentation;
  if (width != nullptr && text_of(*width) != nullptr) {
    indentation = bound.text(0);
  } else {
    const int64_t spaces = std::max<int64_t>(0, bound.whole(0).value_or(4));
    run.work(static_cast<size_t>(spaces));
    indentation.assign(static_cast<size_t>(spaces), ' ');
  }
  return make_text(run, indented(run, written(run, value), indentation, bound.flag(1, false),
                                 bound.flag(2, false)));
}

void read_separators(Run& run, const Value& value, JsonStyle& style) {
  const List* pair = list_of(value);
  if (pair == nullptr || pair->items.size() != 2 || text_of(pair->items[0]) == nullptr ||
      text_of(pair->items[1]) == nullptr)
    run.fail("the separators of 'tojson' are not two strings");
  style.item_separator = text_of(pair->items[0])->text();
  style.key_separator = text_of(pair->items[1])->text();
}

// As transformers defines it: without escapes for HTML.
Value to_json(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'tojson'", "ensure_ascii,indent,separators,sort_keys",
                    arguments);
  JsonStyle style;
  style.ensure_ascii = bound.flag(0, false);
  if (const auto spaces = bound.whole(1)) {
    style.indent = std::clamp<int64_t>(*spaces, 0, 64);
    style.item_separator = ",";
  }
  if (bound.find(2) != nullptr) read_separators(run, *bound.find(2), style);
  style.sort_keys = bound.flag(3, false);
  return make_text(run, json_text(run, value, style));
}

// ---- numbers

int64_t whole_of_real(double real, int64_t otherwise) {
  constexpr double kMost = 9.2e18;
  return std::fabs(real) < kMost ? static_cast<int64_t>(real) : otherwise;
}

template <class T>
std::optional<T> parsed(std::string_view text) {
  T number{};
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Value to_whole(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'int'", "default", arguments);
  const int64_t otherwise = bound.whole(0).value_or(0);
  if (is_whole(value)) return whole_of(value);
  if (is_number(value)) return whole_of_real(real_of(value), otherwise);
  if (text_of(value) == nullptr) return otherwise;
  const std::string text = stripped(run, *text_of(value), Ends::kBoth, {}).text();
  if (const auto whole = parsed<int64_t>(text)) return *whole;
  const auto real = parsed<double>(text);
  return real ? whole_of_real(*real, otherwise) : otherwise;
}

Value to_real(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'float'", "default", arguments);
  const Value otherwise = bound.find(0) != nullptr ? *bound.find(0) : Value(0.0);
  if (is_number(value)) return real_of(value);
  if (text_of(value) == nullptr) return otherwise;
  const auto real = parsed<double>(stripped(run, *text_of(value), Ends::kBoth, {}).text());
  return real ? Value(*real) : otherwise;
}

Value absolute(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "abs");
  if (!is_number(value)) run.fail("'abs' of " + std::string(kind_of(value)));
  if (!is_whole(value)) return std::fabs(real_of(value));
  const int64_t whole = whole_of(value);
  if (whole == INT64_MIN) run.fail("a number becomes too large");
  return whole < 0 ? -whole : whole;
}

// ---- lists and mappings

Value length(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "length");
  if (const MarkedText* text = text_of(value)) {
    run.work(text->size());
    return static_cast<int64_t>(length_of_text(text->text()));
  }
  if (const List* list = list_of(value)) return static_cast<int64_t>(list->items.size());
  if (const Map* map = map_of(value)) return static_cast<int64_t>(map->items.size());
  if (is_undefined(value)) return int64_t{0};
  run.fail(std::string(kind_of(value)) + " has no length");
}

template <bool kLast>
Value end_item(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, kLast ? "last" : "first");
  const std::vector<Value> items = items_of(run, value);
  if (items.empty()) return Undefined{kLast ? "last item" : "first item"};
  return kLast ? items.back() : items.front();
}

Value to_list(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "list");
  return list_of(value) != nullptr ? value : make_list(run, items_of(run, value));
}

Value reversed(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "reverse");
  std::vector<Value> items = items_of(run, value);
  std::ranges::reverse(items);
  if (text_of(value) == nullptr) return make_list(run, std::move(items));
  MarkedText text;
  for (const Value& item : items) text += *text_of(item);
  return make_text(run, std::move(text));
}

Value without_doubles(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "unique");
  std::vector<Value> items;
  for (const Value& item : items_of(run, value))
    if (std::ranges::none_of(items, [&](const Value& i) { return are_equal(run, i, item); }))
      items.push_back(item);
  return make_list(run, std::move(items));
}

Value to_items(Run& run, const Value& value, const Arguments& arguments) {
  require_no_arguments(run, arguments, "items");
  const Map* map = map_of(value);
  if (map == nullptr && !is_undefined(value)) run.fail("'items' of " + std::string(kind_of(value)));
  std::vector<Value> items;
  if (map != nullptr)
    for (const auto& [key, item] : map->items) items.push_back(make_list(run, {Value(key), item}));
  return make_list(run, std::move(items));
}

// "a.b" is the b of the a.
Value path_of(Run& run, Value value, std::string_view path) {
  while (true) {
    const size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    const auto index = parsed<int64_t>(name);
    value = item_of(run, value, index ? Value(*index) : make_text(run, name));
    if (dot == path.npos || is_undefined(value)) return value;
    path.remove_prefix(dot + 1);
  }
}

Value join(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'join'", "d,attribute", arguments);
  const MarkedText between = bound.find(0) != nullptr ? written(run, *bound.find(0)) : MarkedText();
  MarkedText text;
  bool first = true;
  for (const Value& item : items_of(run, value)) {
    run.work(between.size());
    if (!first) text += between;
    text += written(run, bound.find(1) != nullptr ? path_of(run, item, bound.text(1)) : item);
    first = false;
  }
  return make_text(run, std::move(text));
}

Value or_default(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'default'", "default_value,boolean", arguments);
  if (!is_undefined(value) && (!bound.flag(1, false) || is_truthy(value))) return value;
  return arguments.positional.empty() && arguments.named.empty() ? make_text(run, "")
                                                                 : bound.required(0);
}

// The arguments from `first` on.
Arguments rest_of(const Arguments& arguments, size_t first) {
  return {{arguments.positional.begin() + static_cast<std::ptrdiff_t>(first),
           arguments.positional.end()},
          arguments.named};
}

std::string word_at(Run& run, const Arguments& arguments, size_t at, std::string_view what) {
  const MarkedText* text =
      at < arguments.positional.size() ? text_of(arguments.positional[at]) : nullptr;
  if (text == nullptr) run.fail(std::string(what) + " is missing or no string");
  return text->text();
}

// A test by its name at `at`; without one, whether a value is true.
bool passes(Run& run, const Value& value, const Arguments& arguments, size_t at) {
  if (at >= arguments.positional.size()) return is_truthy(value);
  const std::string name = word_at(run, arguments, at, "the name of a test");
  if (!is_test(name)) run.fail("the test '" + shown(name) + "' is not supported");
  return passes_test(run, name, value, rest_of(arguments, at + 1));
}

template <bool kWanted, bool kAttribute>
Value choose(Run& run, const Value& value, const Arguments& arguments) {
  std::vector<Value> items;
  for (const Value& item : items_of(run, value)) {
    run.step();
    const Value looked_at =
        kAttribute ? path_of(run, item, word_at(run, arguments, 0, "the name of an attribute"))
                   : item;
    if (passes(run, looked_at, arguments, kAttribute ? 1 : 0) == kWanted) items.push_back(item);
  }
  return make_list(run, std::move(items));
}

Value mapped_attribute(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "the filter 'map'", "attribute,default", arguments);
  std::vector<Value> items;
  for (const Value& item : items_of(run, value)) {
    Value found = path_of(run, item, bound.text(0));
    if (is_undefined(found) && bound.find(1) != nullptr) found = *bound.find(1);
    items.push_back(std::move(found));
  }
  return make_list(run, std::move(items));
}

Value map(Run& run, const Value& value, const Arguments& arguments) {
  if (arguments.positional.empty()) return mapped_attribute(run, value, arguments);
  const std::string name = word_at(run, arguments, 0, "the name of a filter");
  if (!is_filter(name)) run.fail("the filter '" + shown(name) + "' is not supported");
  std::vector<Value> items;
  for (const Value& item : items_of(run, value))
    items.push_back(apply_filter(run, name, item, rest_of(arguments, 1)));
  return make_list(run, std::move(items));
}

constexpr Builtin kFilters[] = {
    {"trim", trim},
    {"upper", change_text<in_upper_case>},
    {"lower", change_text<in_lower_case>},
    {"title", change_text<title_words>},
    {"capitalize", change_text<capitalized>},
    {"string", as_text},
    {"safe", as_text},
    {"replace", replace},
    {"indent", indent},
    {"tojson", to_json},
    {"int", to_whole},
    {"float", to_real},
    {"abs", absolute},
    {"length", length},
    {"count", length},
    {"first", end_item<false>},
    {"last", end_item<true>},
    {"list", to_list},
    {"reverse", reversed},
    {"unique", without_doubles},
    {"items", to_items},
    {"join", join},
    {"default", or_default},
    {"d", or_default},
    {"select", choose<true, false>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<false, true>},
    {"map", map},
};

const Builtin* find_filter(std::string_view name) {
  const auto found =
      std::ranges::find_if(kFilters, [&](const Builtin& filter) { return filter.name == name; });
  return found == std::end(kFilters) ? nullptr : found;
}

}  // namespace

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

Value apply_filter(Run& run, std::string_view name, const Value& value,
                   const Arguments& arguments) {
  const Deeper deeper(run);  // map('map', 'map', ...)
  run.step();
  return find_filter(name)->call(run, value, arguments);
}

}  // namespace perdure::jinja
