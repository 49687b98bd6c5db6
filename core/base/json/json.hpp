// SPDX-License-Identifier: Apache-2.0

// A small JSON tree for files of our own, so that no Boost.JSON type leaves this room. For text of
// any size that is not trusted there is json_walk.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/json/json_walk.hpp"

namespace perdure {

// A value and everything below it.
class Json {
 public:
  using List = std::vector<Json>;
  using Map = std::vector<std::pair<std::string, Json>>;  // in the order of the text
  using Content = std::variant<std::nullptr_t, bool, int64_t, double, std::string, List, Map>;

  Json() = default;
  explicit Json(Content content) : content_(std::move(content)) {}

  // Uses up to about 100 times the text's size.
  // Errors: Error with `name` and byte offset or key for malformed text, duplicate keys, numbers
  // that do not fit 64 bits, and more than eight levels.
  static Json parse(std::string_view text, const std::string& name);

  // Errors of the following: Error that says what was expected and what is there.
  bool flag() const;
  int64_t integer() const;
  double real() const;  // integers too
  const std::string& text() const&;
  const List& list() const&;
  const Map& map() const&;
  // What they return would not outlive a temporary.
  const std::string& text() && = delete;
  const List& list() && = delete;
  const Map& map() && = delete;

  // A member of an object. `find` gives nullptr if there is none; `at` throws Error naming the key.
  const Json* find(std::string_view key) const;
  const Json& at(std::string_view key) const;

  const Content& content() const { return content_; }

  // A scalar as text: true, 12, 0.5, the string itself. Errors: Error for lists and maps.
  std::string scalar_text() const;

 private:
  friend class JsonTree;
  Content content_ = nullptr;
};

// A tree grown from the values that a walk visits, or from some of them: with a value all
// containers around it must be given.
class JsonTree {
 public:
  // `name` is for messages. Requires: in the walk's order. Errors: Error for a number that does not
  // fit 64 bits.
  void add(const std::string& name, const std::vector<std::string>& keys, JsonKind kind,
           std::string_view text);
  // Null if nothing was added. The tree is empty afterwards.
  Json take() {
    open_.clear();
    return std::exchange(root_, Json());
  }

 private:
  Json root_;
  std::vector<Json*> open_;  // open_[n]: the container whose values stand under n + 1 keys
};

}  // namespace perdure
