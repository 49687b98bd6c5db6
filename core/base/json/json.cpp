// SPDX-License-Identifier: Apache-2.0

// The tree of json.hpp, grown by a walk over the text.
#include "core/base/json/json.hpp"

#include <array>
#include <charconv>

#include "core/api/error.hpp"

namespace perdure {
namespace {

const char* kind_name(const Json::Content& content) {
  constexpr std::array names{"null", "a bool", "an integer", "a real", "a text", "a list", "a map"};
  return names[content.index()];
}

template <typename T>
const T& expect(const Json::Content& content) {
  if (const T* value = std::get_if<T>(&content)) return *value;
  throw Error("expected " + std::string(kind_name(T{})) + ", found " + kind_name(content));
}

Json::Content number(const std::string& name, JsonKind kind, std::string_view text) {
  int64_t integer = 0;
  double real = 0;
  const char* end = text.data() + text.size();
  const auto status = kind == JsonKind::kInteger ? std::from_chars(text.data(), end, integer).ec
                                                 : std::from_chars(text.data(), end, real).ec;
  if (status != std::errc())
    throw Error(name + ": the number " + std::string(text) + " is too large");
  return kind == JsonKind::kInteger ? Json::Content(integer) : Json::Content(real);
}

Json::Content content_of(const std::string& name, JsonKind kind, std::string_view text) {
  switch (kind) {
    case JsonKind::kObject:
      return Json::Map{};
    case JsonKind::kArray:
      return Json::List{};
    case JsonKind::kString:
      return std::string(text);
    case JsonKind::kInteger:
    case JsonKind::kReal:
      return number(name, kind, text);
    case JsonKind::kBool:
      return text == "true";
    case JsonKind::kNull:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

void JsonTree::add(const std::string& name, const std::vector<std::string>& keys, JsonKind kind,
                   std::string_view text) {
  open_.resize(keys.size());
  Json* place = &root_;
  if (!open_.empty()) {
    Json::Content& holder = open_.back()->content_;
    if (auto* list = std::get_if<Json::List>(&holder))
      place = &list->emplace_back();
    else
      place = &std::get<Json::Map>(holder).emplace_back(keys.back(), Json()).second;
  }
  place->content_ = content_of(name, kind, text);
  open_.push_back(place);
}

Json Json::parse(std::string_view text, const std::string& name) {
  JsonTree tree;
  walk_json(text, name, 0, [&](const auto& keys, JsonKind kind, std::string_view scalar) {
    tree.add(name, keys, kind, scalar);
  });
  return tree.take();
}

bool Json::flag() const { return expect<bool>(content_); }
int64_t Json::integer() const { return expect<int64_t>(content_); }
double Json::real() const {
  if (const int64_t* i = std::get_if<int64_t>(&content_)) return static_cast<double>(*i);
  return expect<double>(content_);
}
const std::string& Json::text() const& { return expect<std::string>(content_); }
const Json::List& Json::list() const& { return expect<List>(content_); }
const Json::Map& Json::map() const& { return expect<Map>(content_); }

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : map())
    if (name == key) return &value;
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  throw Error("the key \"" + std::string(key) + "\" is missing");
}

std::string Json::scalar_text() const {
  if (const auto* flag = std::get_if<bool>(&content_)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&content_)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&content_)) {
    std::array<char, 32> digits;
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), *real).ptr};
  }
  return text();
}

}  // namespace perdure
