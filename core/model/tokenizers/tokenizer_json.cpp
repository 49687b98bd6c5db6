// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/tokenizer_json.hpp"

#include <algorithm>
#include <charconv>

#include "core/api/error.hpp"
#include "core/base/json/json_walk.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {
namespace {

// Of the tree; every added token takes eight.
constexpr size_t kMostValues = size_t{1} << 18;

}  // namespace

std::optional<JsonPlace> JsonPlace::find(const std::string& key) const {
  if (!std::holds_alternative<Json::Map>(value_->content())) fail("must be an object");
  const Json* member = value_->find(key);
  if (member == nullptr || std::holds_alternative<std::nullptr_t>(member->content()))
    return std::nullopt;
  return JsonPlace(*member, where_.empty() ? key : where_ + "." + key, *path_);
}

JsonPlace JsonPlace::at(const std::string& key) const {
  const auto member = find(key);
  if (member) return *member;
  const Json missing;
  JsonPlace(missing, where_.empty() ? key : where_ + "." + key, *path_).fail("is missing");
}

std::vector<JsonPlace> JsonPlace::list() const {
  const auto* list = std::get_if<Json::List>(&value_->content());
  if (list == nullptr) fail("must be a list");
  std::vector<JsonPlace> places;
  for (size_t i = 0; i < list->size(); ++i)
    places.emplace_back((*list)[i], where_ + "[" + std::to_string(i) + "]", *path_);
  return places;
}

bool JsonPlace::is_null() const {
  return std::holds_alternative<std::nullptr_t>(value_->content());
}

std::string JsonPlace::text() const {
  const auto* text = std::get_if<std::string>(&value_->content());
  if (text == nullptr) fail("must be a text");
  return *text;
}

int64_t JsonPlace::whole() const {
  const auto* whole = std::get_if<int64_t>(&value_->content());
  if (whole == nullptr) fail("must be a whole number");
  return *whole;
}

bool JsonPlace::flag(const std::string& key, bool otherwise) const {
  const auto member = find(key);
  if (!member) return otherwise;
  const auto* flag = std::get_if<bool>(&member->value_->content());
  if (flag == nullptr) member->fail("must be true or false");
  return *flag;
}

std::string JsonPlace::text(const std::string& key, const std::string& otherwise) const {
  const auto member = find(key);
  return member ? member->text() : otherwise;
}

void JsonPlace::fail(const std::string& what) const {
  throw Error(*path_ + ": key '" + where_ + "' " + what);
}

TokenizerJson::TokenizerJson(std::span<const std::byte> bytes, std::string path)
    : path_(std::move(path)) {
  walk_json(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_, 0,
      [this](const Keys& keys, JsonKind kind, std::string_view text) { visit(keys, kind, text); },
      JsonSize::kVocabulary);
  tree_ = grown_.take();
  if (!std::holds_alternative<Json::Map>(tree_.content()))
    throw Error(path_ + ": byte offset 0: a tokenizer.json is an object");
  if (n_halves_ != 2) fail_at_merge("must be of two tokens");
}

void TokenizerJson::visit(const Keys& keys, JsonKind kind, std::string_view text) {
  if (keys.size() > 1 && keys[0] == "model") {
    if (keys[1] == "vocab") return add_token(keys, kind, text);
    if (keys[1] == "merges") return add_merge(keys, kind, text);
  }
  if (++n_values_ > kMostValues)
    throw Error(path_ + ": key '" + json_key(keys) + "' is one value more than " +
                std::to_string(kMostValues) + ", not counting tokens and merges");
  grown_.add(path_, keys, kind, text);
}

// Kinds of models whose vocabulary is something else are refused later, by name.
void TokenizerJson::add_token(const Keys& keys, JsonKind kind, std::string_view text) {
  if (keys.size() == 2) {
    has_vocabulary_ = true;
    vocabulary_is_map_ = kind == JsonKind::kObject;
  }
  if (keys.size() == 2 || !vocabulary_is_map_) return;
  int64_t id = -1;
  if (kind == JsonKind::kInteger) std::from_chars(text.data(), text.data() + text.size(), id);
  if (keys.size() > 3 || id < 0 || id >= kMostTokens)
    throw Error(path_ + ": key '" + json_key(keys) + "' must be an id from 0 to " +
                std::to_string(kMostTokens - 1));
  tokens_.push_back({keep(keys[2]), id});
}

// "a b", or ["a", "b"] for tokens that have spaces.
void TokenizerJson::add_merge(const Keys& keys, JsonKind kind, std::string_view text) {
  if (keys.size() == 2) return;
  if (keys.size() == 4 && kind == JsonKind::kString) return add_half(text);
  if (keys.size() != 3 || (kind != JsonKind::kString && kind != JsonKind::kArray))
    fail_at_merge("must be a text or two");
  if (n_halves_ != 2) fail_at_merge("must be of two tokens");
  if (static_cast<int64_t>(merges_.size()) == kMostMerges)
    fail_at_merge("is one more than " + std::to_string(kMostMerges));
  merges_.emplace_back();
  if (kind == JsonKind::kArray) {
    n_halves_ = 0;
    return;
  }
  const size_t space = text.find(' ', 1);
  add_left(text.substr(0, space));
  if (space != text.npos) add_right(text.substr(space + 1));
}

void TokenizerJson::add_left(std::string_view text) {
  const Range kept = keep(text);
  merges_.back() = {.begin = kept.begin, .left = static_cast<uint32_t>(kept.size)};
}

void TokenizerJson::add_right(std::string_view text) {
  merges_.back().right = static_cast<uint32_t>(keep(text).size);
}

void TokenizerJson::add_half(std::string_view text) {
  if (n_halves_ == 2 || merges_.empty()) fail_at_merge("must be of two tokens");
  n_halves_++ == 0 ? add_left(text) : add_right(text);
}

TokenizerJson::Range TokenizerJson::keep(std::string_view text) {
  const Range range{texts_.size(), text.size()};
  texts_ += text;
  return range;
}

std::pair<std::string_view, std::string_view> TokenizerJson::merge(size_t i) const {
  const Merge& merge = merges_[i];
  return {text_of({merge.begin, merge.left}), text_of({merge.begin + merge.left, merge.right})};
}

void TokenizerJson::fail_at_merge(const std::string& what) const {
  throw Error(path_ + ": key 'model.merges[" +
              std::to_string(merges_.size() - (merges_.empty() ? 0 : 1)) + "]' " + what);
}

// A binary file may begin so by chance; it has a zero byte, and text has none.
bool is_json(std::span<const std::byte> file) {
  const std::string_view begin(reinterpret_cast<const char*>(file.data()),
                               std::min<size_t>(file.size(), 64));
  const size_t first = begin.find_first_not_of(" \t\r\n");
  return first != begin.npos && begin[first] == '{' && begin.find('\0') == begin.npos;
}

}  // namespace perdure
