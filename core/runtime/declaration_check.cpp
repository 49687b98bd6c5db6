// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/declaration_check.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace perdure {
namespace {

// More values than any machine has room for; sizes up to it never overflow.
constexpr int64_t kMostValues = int64_t{1} << 56;
constexpr int64_t kMostTokens = int64_t{1} << 40;
// Nodes name sets of roles by the bits of an I64 (state_write).
constexpr int32_t kLastRole = 62;

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

bool is_word(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// The problem of the first element that has one; names must differ.
template <typename Element, typename Check>
std::string first_problem(std::span<const Element> elements, const std::string& what,
                          const Check& check) {
  std::set<std::string_view> names;
  for (const Element& element : elements) {
    if (element.name.empty()) return "declares " + what + " without a name";
    if (!names.insert(element.name).second)
      return "declares " + what + " " + quoted(element.name) + " twice";
    if (const std::string problem = check(element); !problem.empty())
      return "declares " + what + " " + quoted(element.name) + " " + problem;
  }
  return "";
}

std::string problem_of_number(const OptionSpec& option, double value) {
  if (std::isnan(option.min) || std::isnan(option.max) || option.min > option.max)
    return "with a range that holds nothing";
  if (option.auto_value() == option.default_value) return "";
  if (!(value >= option.min && value <= option.max)) return "with a default outside its range";
  return "";
}

std::string problem_of_option(const OptionSpec& option) {
  if (!is_word(option.name)) return "with other characters than letters, digits, '_' and '-'";
  const auto type = static_cast<size_t>(option.type);
  if (type > static_cast<size_t>(OptionType::kText)) return "with an unknown type";
  if (option.default_value.index() != type) return "with a default of another type";
  if (option.type == OptionType::kInt)
    return problem_of_number(option, static_cast<double>(std::get<int64_t>(option.default_value)));
  if (option.type == OptionType::kReal)
    return problem_of_number(option, std::get<double>(option.default_value));
  const auto* text = std::get_if<std::string>(&option.default_value);
  if (text && !option.choices.empty() && std::ranges::count(option.choices, *text) == 0)
    return "with a default that is none of its choices";
  return "";
}

std::string problem_of_operation(const Operation& operation) {
  if (!operation.result) return "without a function `result` that says its types";
  if (std::any_of(operation.writes.begin(), operation.writes.end(), [](int i) { return i < 0; }))
    return "that writes an input with a negative number";
  return "";
}

std::string problem_of_state(const StateSpec& state) {
  if (state.growth != Growth::kFixed && state.growth != Growth::kAppended &&
      state.growth != Growth::kRing && state.growth != Growth::kCounted)
    return "with an unknown way to grow";
  if (state.columns < 1 || state.rows < 1 || state.sinks < 0)
    return "of " + std::to_string(state.rows) + " rows, " + std::to_string(state.columns) +
           " columns and " + std::to_string(state.sinks) +
           " sinks; rows and columns must be positive";
  if (state.columns > kMostValues || state.sinks > kMostValues ||
      state.rows > kMostValues / state.columns || state.sinks > kMostValues / state.columns)
    return "of " + std::to_string(state.rows) + " rows and " + std::to_string(state.columns) +
           " columns, more than any machine has room for";
  if (state.tokens_per_row < 0 || state.tokens_per_row > kMostTokens)
    return "with " + std::to_string(state.tokens_per_row) +
           " tokens per row; the number must be positive, or 0 for one";
  return "";
}

std::string problem_of_stream(const InputStream& stream) {
  if (stream.name.empty()) return "declares an input stream without a name";
  const std::string named = "declares the input stream " + quoted(stream.name);
  if (stream.vocab_size < 1) return named + " without a vocabulary";
  if (stream.max_chunk < 1 || stream.max_chunk > kMostTokens)
    return named + " with chunks of " + std::to_string(stream.max_chunk) +
           " tokens; the number must be positive";
  return "";
}

std::string problem_of_length(const std::string& what, int64_t n) {
  if (n >= 0 && n <= kMostTokens) return "";
  return "declares " + what + std::to_string(n) +
         " tokens; the number must be positive, or 0 for none";
}

}  // namespace

std::string problem_of(std::span<const OptionSpec> options,
                       std::span<const std::string_view> taken) {
  return first_problem(options, "the option", [&](const OptionSpec& option) -> std::string {
    if (std::ranges::count(taken, option.name) > 0)
      return "that is a key of the program's own; give it another name";
    return problem_of_option(option);
  });
}

std::string problem_of(std::span<const Operation> operations) {
  return first_problem(operations, "the operation", problem_of_operation);
}

std::string problem_of(std::span<const StateSpec> states) {
  return first_problem(states, "the state", problem_of_state);
}

std::string problem_of(std::span<const InputStream> streams) {
  for (const InputStream& stream : streams)
    if (std::string problem = problem_of_stream(stream); !problem.empty()) return problem;
  return "";
}

std::string problem_of(const Traits& traits) {
  for (const auto& [what, n] : {std::pair{"segments of ", traits.segment_length},
                                std::pair{"steps of at most ", traits.max_rows_per_step},
                                std::pair{"a window of ", traits.window_length}})
    if (std::string problem = problem_of_length(what, n); !problem.empty()) return problem;
  return "";
}

std::string problem_of(std::span<const ExtraRows> extra_rows) {
  for (const ExtraRows& extra : extra_rows)
    if (extra.count < 1 || extra.count > kMostTokens || extra.role < 1 || extra.role > kLastRole ||
        extra.source.empty())
      return "asks for " + std::to_string(extra.count) + " extra rows of " + quoted(extra.source) +
             " with role " + std::to_string(extra.role) +
             "; the count must be positive, the role 1 to " + std::to_string(kLastRole) +
             " and the source named";
  return "";
}

}  // namespace perdure
