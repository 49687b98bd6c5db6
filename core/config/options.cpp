// SPDX-License-Identifier: Apache-2.0

// Options of a plugin, checked against the schema that the plugin states.
#include <algorithm>
#include <cmath>

#include "core/config/map_reader.hpp"
#include "core/config/settings.hpp"

namespace perdure {
namespace {

[[noreturn]] void fail(const RawOption& raw, const OptionSpec& spec, const std::string& expected) {
  throw UsageError(raw.place.text + ": option '" + spec.name + "' must be " + expected +
                   ", but is '" + raw.text + "'");
}

OptionValue convert(const RawOption& raw, const OptionSpec& spec) {
  const std::optional<OptionValue> by_itself = spec.auto_value();
  if (by_itself && raw.text == "auto" && !raw.quoted) return *by_itself;
  switch (spec.type) {
    case OptionType::kBool:
      if (const auto flag = scalar_to_bool(raw.text, raw.quoted)) return *flag;
      fail(raw, spec, "true or false");
    case OptionType::kInt: {
      const auto number = scalar_to_int(raw.text, raw.quoted);
      const auto in_range = [&](double value) { return value >= spec.min && value <= spec.max; };
      if (number && (in_range(static_cast<double>(*number)) || by_itself == OptionValue(*number)))
        return *number;
      fail(raw, spec,
           whole_number_text(raw.text, raw.quoted, std::isfinite(spec.max)) +
               range_text(spec.min, spec.max));
    }
    case OptionType::kReal: {
      const auto number = scalar_to_real(raw.text, raw.quoted);
      if (number && *number >= spec.min && *number <= spec.max) return *number;
      fail(raw, spec, "a number" + range_text(spec.min, spec.max));
    }
    case OptionType::kText:
      break;
  }
  const auto& choices = spec.choices;
  if (!choices.empty() && std::find(choices.begin(), choices.end(), raw.text) == choices.end())
    throw UsageError(raw.place.text + ": option '" + spec.name + "' cannot be '" + raw.text +
                     "'; " + suggestion(raw.text, choices));
  return raw.text;
}

}  // namespace

Options resolve_options(const StrategyChoice& choice, const std::vector<OptionSpec>& schema,
                        const std::string& what) {
  Options options;
  std::vector<std::string> names;
  for (const OptionSpec& spec : schema) {
    options.set(spec.name, spec.default_value);
    names.push_back(spec.name);
  }
  for (const auto& [name, raw] : choice.options) {
    const auto spec = std::find(names.begin(), names.end(), name);
    if (spec == names.end()) {
      const std::string hint = names.empty() ? "it has no options" : suggestion(name, names);
      throw UsageError(raw.place.text + ": unknown option '" + name + "' of " + what + "; " + hint);
    }
    options.set(name, convert(raw, schema[static_cast<size_t>(spec - names.begin())]));
  }
  return options;
}

Options shown_options(const Options& options, const std::vector<OptionSpec>& schema) {
  Options shown;
  for (const OptionSpec& spec : schema) {
    const OptionValue& value = options.all().at(spec.name);
    const bool is_default = value == spec.default_value;
    const bool is_number = spec.type == OptionType::kInt || spec.type == OptionType::kReal;
    if (value == OptionValue(std::string()) || (is_number && is_default && spec.joined_later))
      continue;
    if (spec.auto_value() == value)
      shown.set(spec.name, std::string("auto"));
    else
      shown.set(spec.name, value);
  }
  return shown;
}

}  // namespace perdure
