// SPDX-License-Identifier: Apache-2.0

// Options of a plugin: the schema it states and the checked values it receives. The host does the
// checking, so that an unknown or ill-typed option is reported with file, line and the nearest
// valid name before the plugin is asked.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api/error.hpp"

namespace perdure {

enum class OptionType { kBool, kInt, kReal, kText };

using OptionValue = std::variant<bool, int64_t, double, std::string>;

// One option: its name in YAML, type, range, default, and a sentence for people.
struct OptionSpec {
  std::string name;
  OptionType type;
  OptionValue default_value;
  std::string help;
  double min = -std::numeric_limits<double>::infinity();  // kInt and kReal
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // kText: the valid values; empty = any text
  // Whether another value gives other numbers: then it is part of a memory's identity. False for
  // mere limits.
  bool changes_numbers = true;
  // Came after memories had been written without it: at its default it leaves no trace in their
  // identity.
  bool joined_later = false;
  // kInt and kReal: the word `auto` may be written for 0.
  bool zero_is_auto = false;
  // kInt and kReal: it may be written for the default, which may be outside the range.
  bool default_is_auto = false;

  // What the word `auto` stands for; nullopt where it is not a value.
  std::optional<OptionValue> auto_value() const {
    if (default_is_auto) return default_value;
    if (!zero_is_auto) return std::nullopt;
    return type == OptionType::kInt ? OptionValue(int64_t{0}) : OptionValue(0.0);
  }
};

// Checked option values: every option of the schema has one.
class Options {
 public:
  void set(const std::string& name, OptionValue value) { values_[name] = std::move(value); }

  // Errors: std::out_of_range or std::bad_variant_access if the plugin asks for what its schema
  // does not state.
  bool flag(const std::string& name) const { return std::get<bool>(values_.at(name)); }
  int64_t integer(const std::string& name) const { return std::get<int64_t>(values_.at(name)); }
  double real(const std::string& name) const { return std::get<double>(values_.at(name)); }
  const std::string& text(const std::string& name) const {
    return std::get<std::string>(values_.at(name));
  }

  // All values by name, sorted; the identity of a strategy is made from them.
  const std::map<std::string, OptionValue>& all() const { return values_; }

 private:
  std::map<std::string, OptionValue> values_;
};

}  // namespace perdure
