// SPDX-License-Identifier: Apache-2.0

// What templates find without defining it: filters, tests, functions, and methods of values. One
// line of a table each; what is in no table is not supported, and said so by name.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/model/templates/jinja/value.hpp"

namespace perdure::jinja {

bool is_filter(std::string_view name);
bool is_test(std::string_view name);

// Errors of the following: UsageError naming the line and what is wrong.

// `value | name(arguments)`. Requires: is_filter(name).
Value apply_filter(Run& run, std::string_view name, const Value& value, const Arguments& arguments);
// `value is name(arguments)`. Requires: is_test(name).
bool passes_test(Run& run, std::string_view name, const Value& value, const Arguments& arguments);
// range, namespace, ...; nullptr if there is none.
std::shared_ptr<const Function> find_function(std::string_view name);
// The method of a string or a mapping; nothing if it has none of that name.
std::optional<Value> find_method(const Value& value, std::string_view name);

// What `value.name` and `value[key]` give; undefined if there is nothing. Errors: UsageError if
// `value` is undefined itself.
Value attribute_of(Run& run, const Value& value, std::string_view name);
Value item_of(Run& run, const Value& value, const Value& key);

// ---- for the tables

// Arguments by the names of parameters ("old,new,count"), in that order.
class Bound {
 public:
  // `what`: the filter, test or function, for messages. Errors: UsageError for too many arguments
  // and unknown names.
  Bound(Run& run, std::string_view what, std::string_view parameters, const Arguments& arguments);

  // nullptr if it was not given, or given as none.
  const Value* find(size_t at) const;
  // Errors of the following: UsageError if it was not given or is of another type.
  const Value& required(size_t at) const;
  std::string text(size_t at) const;
  const MarkedText& marked(size_t at) const;
  std::optional<int64_t> whole(size_t at) const;
  bool flag(size_t at, bool otherwise) const;
  bool has_any() const;

 private:
  [[noreturn]] void fail(size_t at, std::string_view what) const;
  std::string_view parameter(size_t at) const;

  Run& run_;
  std::string_view what_, parameters_;
  std::vector<const Value*> values_;
};

struct Builtin {
  std::string_view name;
  Function::Call call;
};

}  // namespace perdure::jinja
