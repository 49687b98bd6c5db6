// SPDX-License-Identifier: Apache-2.0

// Methods of strings and mappings.
#include <algorithm>
#include <span>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"
#include "core/model/templates/jinja/text_tools.hpp"

namespace perdure::jinja {
namespace {

using Change = MarkedText (*)(Run& run, MarkedText text);

const MarkedText& text(const Value& self) { return *text_of(self); }

template <Ends kEnds>
Value strip(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "a strip method", "chars", arguments);
  std::optional<std::string> characters;
  if (bound.find(0) != nullptr) characters = bound.text(0);
  return make_text(run, stripped(run, text(self), kEnds, characters));
}

template <Change kChange>
Value change(Run& run, const Value& self, const Arguments& arguments) {
  Bound(run, "this method", "", arguments);
  return make_text(run, kChange(run, text(self)));
}
MarkedText title_letters(Run& run, MarkedText text) { return titled(run, std::move(text), true); }

bool has_end(const MarkedText& whole, const Value& part, bool at_end) {
  const MarkedText* end = text_of(part);
  if (end == nullptr) return false;
  return at_end ? whole.text().ends_with(end->text()) : whole.text().starts_with(end->text());
}

// One string or a list of them.
template <bool kAtEnd>
Value check_end(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, kAtEnd ? "'endswith'" : "'startswith'", "part", arguments);
  const Value& part = bound.required(0);
  const List* parts = list_of(part);
  if (parts == nullptr) {
    run.work(bound.marked(0).size());
    return has_end(text(self), part, kAtEnd);
  }
  run.step(parts->items.size());
  return std::ranges::any_of(parts->items,
                             [&](const Value& item) { return has_end(text(self), item, kAtEnd); });
}

template <bool kFromRight>
Value split_text(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, kFromRight ? "'rsplit'" : "'split'", "sep,maxsplit", arguments);
  std::optional<std::string> separator;
  if (bound.find(0) != nullptr) separator = bound.text(0);
  return make_list(run, split(run, text(self), separator, bound.whole(1).value_or(-1), kFromRight));
}

Value split_lines(Run& run, const Value& self, const Arguments& arguments) {
  Bound(run, "'splitlines'", "", arguments);
  std::vector<Value> items;
  for (MarkedText& line : lines_of(run, text(self)))
    items.push_back(make_text(run, std::move(line)));
  return make_list(run, std::move(items));
}

Value replace(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "'replace'", "old,new,count", arguments);
  return make_text(
      run, replaced(run, text(self), bound.text(0), bound.marked(1), bound.whole(2).value_or(-1)));
}

Value join(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "'join'", "items", arguments);
  MarkedText joined;
  bool first = true;
  for (const Value& item : items_of(run, bound.required(0))) {
    if (text_of(item) == nullptr)
      run.fail("'join' of a list that holds " + std::string(kind_of(item)));
    run.work(text(self).size() + text(item).size());
    if (!first) joined += text(self);
    joined += text(item);
    first = false;
  }
  return make_text(run, std::move(joined));
}

// In characters.
Value find(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "'find'", "part", arguments);
  run.work(text(self).size());
  const size_t at = text(self).text().find(bound.text(0));
  if (at == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(length_of_text(std::string_view(text(self).text()).substr(0, at)));
}

Value count(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "'count'", "part", arguments);
  const std::string part = bound.text(0);
  if (part.empty()) run.fail("'count' of an empty string is not supported");
  run.work(text(self).size());
  int64_t n = 0;
  for (size_t at = text(self).text().find(part); at != std::string::npos;
       at = text(self).text().find(part, at + part.size()))
    ++n;
  return n;
}

template <bool kAtEnd>
Value remove_end(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, kAtEnd ? "'removesuffix'" : "'removeprefix'", "part", arguments);
  const size_t size = bound.marked(0).size();
  if (!has_end(text(self), bound.required(0), kAtEnd)) return self;
  return make_text(run, text(self).substr(kAtEnd ? 0 : size, text(self).size() - size));
}

// Whether there are characters, and all are ASCII digits.
Value is_digits(Run& run, const Value& self, const Arguments& arguments) {
  Bound(run, "'isdigit'", "", arguments);
  run.work(text(self).size());
  return !text(self).empty() &&
         std::ranges::all_of(text(self).text(), [](char c) { return c >= '0' && c <= '9'; });
}

// ---- mappings

Value get(Run& run, const Value& self, const Arguments& arguments) {
  const Bound bound(run, "'get'", "key,default", arguments);
  const MarkedText* key = text_of(bound.required(0));
  run.step(1 + map_of(self)->items.size() / 8);
  const Value* found = key == nullptr ? nullptr : map_of(self)->find(key->text());
  if (found != nullptr) return *found;
  return bound.find(1) != nullptr ? *bound.find(1) : None{};
}

Value items(Run& run, const Value& self, const Arguments& arguments) {
  return apply_filter(run, "items", self, arguments);
}
Value keys(Run& run, const Value& self, const Arguments& arguments) {
  Bound(run, "'keys'", "", arguments);
  return make_list(run, items_of(run, self));
}
Value values(Run& run, const Value& self, const Arguments& arguments) {
  Bound(run, "'values'", "", arguments);
  std::vector<Value> found;
  for (const auto& [key, value] : map_of(self)->items) found.push_back(value);
  return make_list(run, std::move(found));
}

constexpr Builtin kOfTexts[] = {
    {"strip", strip<Ends::kBoth>},
    {"lstrip", strip<Ends::kLeft>},
    {"rstrip", strip<Ends::kRight>},
    {"upper", change<in_upper_case>},
    {"lower", change<in_lower_case>},
    {"title", change<title_letters>},
    {"capitalize", change<capitalized>},
    {"startswith", check_end<false>},
    {"endswith", check_end<true>},
    {"split", split_text<false>},
    {"rsplit", split_text<true>},
    {"splitlines", split_lines},
    {"replace", replace},
    {"join", join},
    {"find", find},
    {"count", count},
    {"removeprefix", remove_end<false>},
    {"removesuffix", remove_end<true>},
    {"isdigit", is_digits},
};

constexpr Builtin kOfMaps[] = {
    {"get", get},
    {"items", items},
    {"keys", keys},
    {"values", values},
};

}  // namespace

std::optional<Value> find_method(const Value& value, std::string_view name) {
  std::span<const Builtin> methods;
  if (text_of(value) != nullptr) methods = kOfTexts;
  if (map_of(value) != nullptr) methods = kOfMaps;
  const auto found =
      std::ranges::find_if(methods, [&](const Builtin& method) { return method.name == name; });
  if (found == methods.end()) return std::nullopt;
  return std::make_shared<const Function>(Function{std::string(name), found->call, value});
}

}  // namespace perdure::jinja
