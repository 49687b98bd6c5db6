// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/base/utf8.hpp"
#include "core/model/templates/jinja/json_text.hpp"

namespace perdure::jinja {
namespace {

// What a value costs beside the bytes of its text.
constexpr size_t kValueBytes = 64;

template <class T>
const T* pointed(const Value& value) {
  const auto* pointer = std::get_if<std::shared_ptr<const T>>(&value);
  return pointer == nullptr ? nullptr : pointer->get();
}

// A method holds the mapping that it belongs to.
int depth_of(const Value& value) {
  if (const List* list = list_of(value)) return list->depth;
  if (const Map* map = map_of(value)) return map->depth;
  const Function* method = pointed<Function>(value);
  return method == nullptr ? 0 : depth_of(method->self);
}

int depth_with(Run& run, int depth, const Value& item) {
  const int with = std::max(depth, depth_of(item) + 1);
  if (with > kMostValueDepth)
    run.fail("a list is nested deeper than " + std::to_string(kMostValueDepth) + " levels");
  if (std::holds_alternative<std::shared_ptr<Namespace>>(item))
    run.fail("a namespace in a list, a map or a namespace is not supported");
  return with;
}

bool are_equal_lists(Run& run, const List& a, const List& b) {
  return a.items.size() == b.items.size() &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(),
                    [&](const Value& x, const Value& y) { return are_equal(run, x, y); });
}

bool are_equal_maps(Run& run, const Map& a, const Map& b) {
  if (a.items.size() != b.items.size()) return false;
  return std::ranges::all_of(a.items, [&](const auto& item) {
    run.step(b.items.size());
    const Value* other = b.find(item.first->text());
    return other != nullptr && are_equal(run, item.second, *other);
  });
}

std::vector<Value> characters(Run& run, const MarkedText& text) {
  std::vector<Value> items;
  for (size_t at = 0, size = 0; at < text.size(); at += size) {
    size = character_at(text.text(), at);
    items.push_back(make_text(run, text.substr(at, size)));
  }
  return items;
}

std::string integer_part(std::string digits, int exponent) {
  const auto whole = static_cast<size_t>(exponent + 1);
  if (digits.size() <= whole) return digits + std::string(whole - digits.size(), '0') + ".0";
  return digits.insert(whole, ".");
}

}  // namespace

const Value* Map::find(std::string_view key) const {
  const auto found =
      std::ranges::find_if(items, [&](const auto& item) { return item.first->text() == key; });
  return found == items.end() ? nullptr : &found->second;
}

Value make_text(Run& run, MarkedText text) {
  run.work(text.size() + kValueBytes);
  return std::make_shared<const MarkedText>(std::move(text));
}

Value make_text(Run& run, std::string_view text, Origin origin) {
  return make_text(run, MarkedText(std::string(text), origin));
}

Value make_list(Run& run, std::vector<Value> items) {
  run.work(items.size() * kValueBytes);
  int depth = 1;
  for (const Value& item : items) depth = depth_with(run, depth, item);
  return std::make_shared<const List>(List{std::move(items), depth});
}

Value make_map(Run& run, std::vector<std::pair<Text, Value>> items) {
  run.work(items.size() * kValueBytes);
  Map map;
  for (auto& [key, value] : items) {
    run.step(1 + map.items.size());
    map.depth = depth_with(run, map.depth, value);
    const auto same = std::ranges::find_if(
        map.items, [&](const auto& item) { return item.first->text() == key->text(); });
    if (same == map.items.end())
      map.items.emplace_back(std::move(key), std::move(value));
    else
      same->second = std::move(value);
  }
  return std::make_shared<const Map>(std::move(map));
}

bool is_undefined(const Value& value) { return std::holds_alternative<Undefined>(value); }
bool is_none(const Value& value) { return std::holds_alternative<None>(value); }
const MarkedText* text_of(const Value& value) { return pointed<MarkedText>(value); }
const List* list_of(const Value& value) { return pointed<List>(value); }
const Map* map_of(const Value& value) { return pointed<Map>(value); }
bool is_whole(const Value& value) {
  return std::holds_alternative<int64_t>(value) || std::holds_alternative<bool>(value);
}
bool is_number(const Value& value) {
  return is_whole(value) || std::holds_alternative<double>(value);
}
int64_t whole_of(const Value& value) {
  const bool* flag = std::get_if<bool>(&value);
  return flag != nullptr ? *flag : std::get<int64_t>(value);
}
double real_of(const Value& value) {
  const double* real = std::get_if<double>(&value);
  return real != nullptr ? *real : static_cast<double>(whole_of(value));
}

bool is_truthy(const Value& value) {
  if (is_undefined(value) || is_none(value)) return false;
  if (is_number(value)) return real_of(value) != 0;
  if (const MarkedText* text = text_of(value)) return !text->empty();
  if (const List* list = list_of(value)) return !list->items.empty();
  if (const Map* map = map_of(value)) return !map->items.empty();
  return true;
}

std::string_view kind_of(const Value& value) {
  constexpr std::string_view kKinds[] = {
      "an undefined value", "none",   "a truth value", "an integer",  "a number",
      "a string",           "a list", "a mapping",     "a namespace", "a function"};
  return kKinds[value.index()];
}

bool are_equal(Run& run, const Value& a, const Value& b) {
  run.step();
  if (is_number(a) && is_number(b))
    return is_whole(a) && is_whole(b) ? whole_of(a) == whole_of(b) : real_of(a) == real_of(b);
  if (a.index() != b.index()) return false;
  if (const MarkedText* text = text_of(a)) {
    run.work(text->size());
    return text->text() == text_of(b)->text();
  }
  if (const List* list = list_of(a)) return are_equal_lists(run, *list, *list_of(b));
  if (const Map* map = map_of(a)) return are_equal_maps(run, *map, *map_of(b));
  if (const auto* space = std::get_if<std::shared_ptr<Namespace>>(&a))
    return *space == std::get<std::shared_ptr<Namespace>>(b);
  return is_undefined(a) || is_none(a);
}

std::vector<Value> items_of(Run& run, const Value& value) {
  if (is_undefined(value)) return {};
  if (const MarkedText* text = text_of(value)) return characters(run, *text);
  std::vector<Value> items;
  if (const List* list = list_of(value)) {
    run.work(list->items.size() * kValueBytes);
    items = list->items;
  } else if (const Map* map = map_of(value)) {
    run.work(map->items.size() * kValueBytes);
    for (const auto& [key, item] : map->items) items.emplace_back(key);
  } else {
    run.fail(std::string(kind_of(value)) + " cannot be walked through");
  }
  return items;
}

size_t character_at(std::string_view text, size_t at) { return utf8_character(text.substr(at)); }

size_t length_of_text(std::string_view text) {
  size_t length = 0;
  for (size_t at = 0; at < text.size(); at += character_at(text, at)) ++length;
  return length;
}

MarkedText written(Run& run, const Value& value) {
  const MarkedText* text = text_of(value);
  MarkedText result = text != nullptr       ? *text
                      : is_undefined(value) ? MarkedText()
                                            : python_text(run, value);
  run.work(result.size());
  return result;
}

// Shortest digits that give the same number, as 1e-05, 0.001, 12.5, 1e+16.
std::string real_text(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value),
                                 std::chars_format::scientific);
  const std::string scientific(buffer, end.ptr);
  const size_t e = scientific.find('e');
  const int exponent = std::atoi(scientific.c_str() + e + 1);
  std::string digits = scientific.substr(0, e);
  std::erase(digits, '.');
  std::string text;
  if (exponent < -4 || exponent >= 16)
    text = scientific;
  else if (exponent < 0)
    text = "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  else
    text = integer_part(std::move(digits), exponent);
  return (std::signbit(value) ? "-" : "") + text;
}

}  // namespace perdure::jinja
