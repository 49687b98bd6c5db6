// SPDX-License-Identifier: Apache-2.0

#include "core/engine/identity.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/engine/engine_impl.hpp"

namespace perdure {
namespace {

constexpr std::string_view kLayers = "layers ";

// The options of a strategy, none if there is no such plugin. `text`: "PLUGIN version 1".
std::vector<OptionSpec> schema_of(const std::string& text, const PluginHost& plugins) {
  try {
    return plugins.attention(text.substr(0, text.find(' '))).options();
  } catch (const UsageError&) {
    return {};
  }
}

// A real number that stands there with 17 digits, in the fewest that read back to it; other values
// as they are.
std::string shortest(const std::string& value) {
  double real = 0;
  const char* const end = value.data() + value.size();
  const bool has_point = value.find('.') != std::string::npos;  // a hash has none
  const auto [stop, error] = std::from_chars(value.data(), end, real);
  if (!has_point || error != std::errc() || stop != end) return value;
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, real).ptr);
}

std::string shown_value(const StrategyLine& line, const std::vector<OptionSpec>& schema) {
  if (line.name == "eval_length" && line.value == "0") return "none";
  const auto spec = std::ranges::find(schema, line.name, &OptionSpec::name);
  if (spec == schema.end()) return shortest(line.value);
  if (spec->type == OptionType::kBool) return line.value == "1" ? "true" : "false";
  const auto by_itself = spec->auto_value();
  return by_itself && value_text(*by_itself) == line.value ? "auto" : shortest(line.value);
}

}  // namespace

std::optional<StrategyLine> strategy_line(const std::string& line) {
  if (!line.starts_with(kLayers)) return std::nullopt;
  const size_t space = line.find(' ', kLayers.size());
  const size_t colon = line.find(": ", kLayers.size());
  if (space == std::string::npos || colon == std::string::npos || colon < space)
    return std::nullopt;
  return StrategyLine{line.substr(kLayers.size(), space - kLayers.size()),
                      line.substr(space + 1, colon - space - 1), line.substr(colon + 2)};
}

std::string shown_identity(const std::string& identity, const PluginHost& plugins) {
  std::string text;
  std::vector<OptionSpec> schema;
  std::istringstream in(identity);
  for (std::string line; std::getline(in, line);) {
    const auto of_strategy = strategy_line(line);
    if (of_strategy && of_strategy->name == kStrategyName) {
      schema = schema_of(of_strategy->value, plugins);
    } else if (of_strategy) {
      line.resize(line.size() - of_strategy->value.size());
      line += shown_value(*of_strategy, schema);
    } else if (const size_t colon = line.find(": "); colon != std::string::npos) {
      line = line.substr(0, colon + 2) + shortest(line.substr(colon + 2));
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace perdure
