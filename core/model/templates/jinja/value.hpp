// SPDX-License-Identifier: Apache-2.0

// What a template's expressions give: immutable values (only a namespace changes), cheap to copy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/model/templates/jinja/run.hpp"
#include "core/model/templates/marked_text.hpp"

namespace perdure::jinja {

struct List;
struct Map;
struct Namespace;
struct Function;

// The value of a name that was not set; `name` as the template has it.
struct Undefined {
  std::string name;
};
struct None {};

using Text = std::shared_ptr<const MarkedText>;
using Value = std::variant<Undefined, None, bool, int64_t, double, Text,
                           std::shared_ptr<const List>, std::shared_ptr<const Map>,
                           std::shared_ptr<Namespace>, std::shared_ptr<const Function>>;

// `depth`: of lists and maps in each other, 1 for one that holds none.
struct List {
  std::vector<Value> items = {};
  int depth = 1;
};

// In the order in which keys were set; small, so it is searched from the front.
struct Map {
  std::vector<std::pair<Text, Value>> items = {};
  int depth = 1;

  const Value* find(std::string_view key) const;
};

// namespace(): what loops may change. Holds no other namespace, so nothing holds itself.
struct Namespace {
  std::map<std::string, Value, std::less<>> names;
};

struct Arguments {
  std::vector<Value> positional = {};
  std::vector<std::pair<std::string, Value>> named = {};
};

struct MacroNode;  // syntax.hpp

// A macro of the template, or a function or method of this interpreter with the value it belongs
// to.
struct Function {
  using Call = Value (*)(Run& run, const Value& self, const Arguments& arguments);

  std::string name;
  Call call = nullptr;
  Value self = None{};
  const MacroNode* macro = nullptr;
};

// ---- making values. Errors: UsageError if the run has used up what it may.
Value make_text(Run& run, MarkedText text);
Value make_text(Run& run, std::string_view text, Origin origin = Origin::kTemplate);
Value make_list(Run& run, std::vector<Value> items);
// Of equal keys the last one counts.
Value make_map(Run& run, std::vector<std::pair<Text, Value>> items);

// ---- looking into values
bool is_undefined(const Value& value);
bool is_none(const Value& value);
bool is_truthy(const Value& value);
// nullptr if it is not of that type.
const MarkedText* text_of(const Value& value);
const List* list_of(const Value& value);
const Map* map_of(const Value& value);
// True and false are 1 and 0.
bool is_number(const Value& value);
bool is_whole(const Value& value);
// Requires: is_number() or is_whole().
double real_of(const Value& value);
int64_t whole_of(const Value& value);
// "a list": for messages.
std::string_view kind_of(const Value& value);

// As Python compares. Errors: UsageError if that takes too long.
bool are_equal(Run& run, const Value& a, const Value& b);
// What loops, `in` and filters walk through: items, keys, characters, nothing of what is undefined.
// Errors: UsageError for other values.
std::vector<Value> items_of(Run& run, const Value& value);
// The character that begins at `at`, in bytes; a byte that is none counts as one.
size_t character_at(std::string_view text, size_t at);
// Characters.
size_t length_of_text(std::string_view text);

// What `{{ value }}` writes: as Python's str().
MarkedText written(Run& run, const Value& value);
// As Python writes a number.
std::string real_text(double value);

}  // namespace perdure::jinja
