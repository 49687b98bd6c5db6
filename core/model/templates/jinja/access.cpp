// SPDX-License-Identifier: Apache-2.0

// What stands behind the dot and in the brackets of a value.
#include <algorithm>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"

namespace perdure::jinja {
namespace {

void require_defined(Run& run, const Value& value) {
  if (const auto* undefined = std::get_if<Undefined>(&value))
    run.fail("'" + shown(undefined->name) + "' is undefined");
}

// The index of one of `size` items, from the end if it is below 0.
std::optional<size_t> index_among(const Value& key, size_t size) {
  if (!is_whole(key)) return std::nullopt;
  const int64_t index = whole_of(key);
  const int64_t at = index < 0 ? index + static_cast<int64_t>(size) : index;
  if (at < 0 || at >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(at);
}

Value undefined_item(Run& run, const Value& key) {
  return Undefined{shown(written(run, key).text())};
}

Value character_of(Run& run, const MarkedText& text, const Value& key) {
  run.work(text.size());
  const auto index = index_among(key, length_of_text(text.text()));
  if (!index) return undefined_item(run, key);
  size_t at = 0;
  for (size_t i = 0; i < *index; ++i) at += character_at(text.text(), at);
  return make_text(run, text.substr(at, character_at(text.text(), at)));
}

const Value* find_member(Run& run, const Value& value, std::string_view name) {
  if (const auto* space = std::get_if<std::shared_ptr<Namespace>>(&value)) {
    const auto found = (*space)->names.find(name);
    return found == (*space)->names.end() ? nullptr : &found->second;
  }
  const Map* map = map_of(value);
  if (map == nullptr) return nullptr;
  run.step(1 + map->items.size() / 8);
  return map->find(name);
}

}  // namespace

Value attribute_of(Run& run, const Value& value, std::string_view name) {
  require_defined(run, value);
  if (auto method = find_method(value, name)) return *std::move(method);
  const Value* member = find_member(run, value, name);
  return member != nullptr ? *member : Undefined{std::string(name)};
}

Value item_of(Run& run, const Value& value, const Value& key) {
  require_defined(run, value);
  if (const MarkedText* name = text_of(key)) {
    const Value* member = find_member(run, value, name->text());
    return member != nullptr ? *member : attribute_of(run, value, name->text());
  }
  if (const MarkedText* text = text_of(value)) return character_of(run, *text, key);
  const List* list = list_of(value);
  const auto index = list == nullptr ? std::nullopt : index_among(key, list->items.size());
  return index ? list->items[*index] : undefined_item(run, key);
}

}  // namespace perdure::jinja
