// SPDX-License-Identifier: Apache-2.0

#include "core/config/scaling_map.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace perdure {
namespace {

// "4" and "4.0" are the same value.
bool same_value(const RawOption& a, const RawOption& b) {
  const auto x = scalar_to_real(a.text, a.quoted), y = scalar_to_real(b.text, b.quoted);
  return x && y ? *x == *y : a.text == b.text;
}

// Keys that change nothing for a text: who made the factors, and sections of the rotation for
// images, whose positions are all alike where there are none.
bool changes_nothing(const std::string& key) {
  static constexpr std::array kIdle = {"finetuned", "mrope_section"};
  return std::find(kIdle.begin(), kIdle.end(), key) != kIdle.end();
}

// The word for a form of scaling that we have under another name.
std::string own_word(const std::string& word) {
  if (word == "default" || word == "mrope") return "none";
  return word == "su" ? "longrope" : word;
}

double number(const StrategyChoice& choice, const char* name, double otherwise) {
  const auto found = choice.options.find(name);
  if (found == choice.options.end()) return otherwise;
  return scalar_to_real(found->second.text, found->second.quoted).value_or(otherwise);
}

// 0.1 m ln k + 1, YaRN's temperature.
double temperature(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
}

std::string shortest(double value) {
  char buffer[40];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

// The default, in any form.
void take_truncate(StrategyChoice& choice) {
  const auto found = choice.options.find("truncate");
  if (found != choice.options.end() && found->second.text == "true") choice.options.erase(found);
}

// With both, queries and keys are scaled by the quotient of two temperatures; mscale_all_dim alone
// leaves YaRN's own.
void take_mscale_all_dim(StrategyChoice& choice) {
  const auto found = choice.options.find("mscale_all_dim");
  if (found == choice.options.end()) return;
  const double all = number(choice, "mscale_all_dim", 0), one = number(choice, "mscale", 0);
  const double factor = number(choice, "factor", 0);
  if (all != 0 && one != 0) {
    if (factor == 0)
      throw UsageError(found->second.place.text +
                       ": rope_scaling: mscale_all_dim needs a factor beside it");
    const std::string quotient = shortest(temperature(factor, one) / temperature(factor, all));
    choice.options.emplace("attention_factor", RawOption{quotient, found->second.place});
    choice.options.erase("mscale");
  }
  choice.options.erase("mscale_all_dim");
}

}  // namespace

RawOption read_option(const MapReader& reader, const std::string& key, const YamlNode& value) {
  if (value.kind == YamlNode::Kind::kScalar) return {value.text, value.place, value.quoted};
  if (value.kind != YamlNode::Kind::kList)
    reader.fail(value, key, "must be a single value or a list of them");
  std::string text;
  for (const YamlNode& item : value.items) {
    if (item.kind != YamlNode::Kind::kScalar)
      reader.fail(item, key, "must be a list of single values");
    text += (text.empty() ? "" : ", ") + item.text;
  }
  return {text, value.place, true};
}

void read_scaling_map(const MapReader& reader, const YamlEntry& entry, StrategyChoice& choice) {
  for (const YamlEntry& inner : entry.value.entries) {
    if (inner.value.kind == YamlNode::Kind::kNull || changes_nothing(inner.key)) continue;
    const bool is_type = inner.key == "rope_type" || inner.key == "type";
    const std::string& name = is_type ? entry.key : inner.key;
    RawOption option = read_option(reader, entry.key + "." + inner.key, inner.value);
    if (is_type) option.text = own_word(option.text);
    const auto [there, is_new] = choice.options.emplace(name, option);
    if (is_new || same_value(there->second, option)) continue;
    if (is_type)
      reader.fail(inner.value, entry.key,
                  "gives two types, '" + there->second.text + "' and '" + option.text +
                      "'; type and rope_type must be the same");
    reader.fail(inner.value, entry.key, "says '" + name + "' twice, with different values");
  }
}

void use_own_words(StrategyChoice& choice) {
  const auto scaling = choice.options.find("rope_scaling");
  if (scaling == choice.options.end()) return;
  scaling->second.text = own_word(scaling->second.text);
  take_truncate(choice);
  take_mscale_all_dim(choice);
}

}  // namespace perdure
