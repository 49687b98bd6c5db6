// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/plugin_info.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/base/cpu.hpp"
#include "core/config/map_reader.hpp"
#include "core/graph/operation_table.hpp"
#include "core/model/architectures/architecture.hpp"

namespace perdure::app {
namespace {

std::string full_name(const PluginRecord& record) { return record.kind + "." + record.name; }

// The record that comes first of those that `name` means.
PluginRecord find(const PluginHost& host, const std::string& name) {
  std::vector<PluginRecord> found;
  std::vector<std::string> names;
  for (const PluginRecord& record : host.records()) {
    if (record.kind.empty()) continue;
    if (!record.shadowed) names.push_back(full_name(record));
    if (record.name != name && full_name(record) != name) continue;
    if (std::ranges::none_of(found, [&](const auto& r) { return r.kind == record.kind; }))
      found.push_back(record);
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    throw UsageError("there is no plugin '" + name + "'; " + suggestion(name, names));
  throw UsageError("'" + name + "' may be " + full_name(found[0]) + " or " + full_name(found[1]) +
                   "; write one of them");
}

// The record after the plugin was loaded: another one may have taken its place.
PluginRecord loaded_record(const PluginHost& host, const PluginRecord& wanted) {
  for (const PluginRecord& record : host.records())
    if (record.loaded && record.kind == wanted.kind && record.name == wanted.name) return record;
  for (const PluginRecord& record : host.records())
    if (record.kind == wanted.kind && record.name == wanted.name && !record.reason.empty())
      throw UsageError("the plugin " + full_name(record) + " (" + record.origin +
                       ") was refused: " + record.reason);
  return wanted;
}

void add_strategy(PluginInfo& info, const AttentionPlugin& plugin) {
  info.version = plugin.version();
  info.options = plugin.options();
  info.operations = plugin.operations();
  info.kernels.assign(plugin.kernels().begin(), plugin.kernels().end());
}

void add_kernels(PluginInfo& info, const PluginHost& host) {
  for (const PluginHost::KernelSet& set : host.kernel_sets())
    if (set.plugin == info.record.name) info.kernels.assign(set.kernels.begin(), set.kernels.end());
}

// Operations that graphs of this program may have, as far as no foreign library has to be run for
// it: built-in ones, those of architectures, and those of strategies that are loaded.
std::set<std::string, std::less<>> known_operations(const PluginHost& host) {
  std::set<std::string, std::less<>> known;
  for (const Architecture& architecture : architectures())
    if (architecture.operations != nullptr)
      for (const Operation& operation : architecture.operations()) known.insert(operation.name);
  for (const PluginRecord& record : host.records())
    if (record.kind == "attention" && !record.shadowed &&
        (record.loaded || record.origin == "built in"))
      for (const Operation& operation : host.attention(record.name).operations())
        known.insert(operation.name);
  return known;
}

// Kernels of the plugin for operations that no strategy has: of a later version, of a strategy that
// is not loaded, or misspelt.
std::vector<std::string> unknown_operations(const PluginInfo& info, const PluginHost& host) {
  const OperationTable built_in;
  const auto others = known_operations(host);
  std::set<std::string> unknown;
  for (const perdure_kernel& kernel : info.kernels)
    if (built_in.find(kernel.op) == nullptr && !others.contains(kernel.op))
      unknown.insert(kernel.op);
  return {unknown.begin(), unknown.end()};
}

const char* type_name(OptionType type) {
  constexpr std::array kNames = {"true or false", "integer", "number", "text"};
  return kNames[static_cast<size_t>(type)];
}

std::string value_text(const OptionSpec& option) {
  const auto text = [&](const auto& value) -> std::string {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
    if constexpr (std::is_same_v<T, std::string>) return value.empty() ? "none" : value;
    return option.auto_value() == option.default_value ? "auto" : fmt::format("{}", value);
  };
  return std::visit(text, option.default_value);
}

// "1 to 64", "at least 1"; empty if any value will do.
std::string range_text(const OptionSpec& option) {
  const bool from = std::isfinite(option.min), to = std::isfinite(option.max);
  if (from && to) return fmt::format(", {} to {}", option.min, option.max);
  if (from) return fmt::format(", at least {}", option.min);
  return to ? fmt::format(", at most {}", option.max) : "";
}

std::string option_text(const OptionSpec& option) {
  std::string kind = option.choices.empty() ? type_name(option.type) + range_text(option)
                                            : fmt::format("{}", fmt::join(option.choices, " | "));
  return fmt::format("  {:<24} {}; default {}\n  {:<24} {}\n", option.name, kind,
                     value_text(option), "", option.help);
}

std::string kernel_text(const perdure_kernel& kernel) {
  const std::string needs = cpu_feature_names(kernel.cpu_features);
  return fmt::format("  {:<34} {:<18} {:<12} rank {}{}{}\n", kernel.name, kernel.op, kernel.isa,
                     kernel.rank, needs.empty() ? "" : ", needs " + needs,
                     kernel.flags & PERDURE_KERNEL_NOT_REPRODUCIBLE ? ", not reproducible" : "");
}

const char* kind_text(const Operation& operation) {
  return operation.kind == OperationKind::kRowWise ? "row by row" : "by session";
}

Json option_json(const OptionSpec& option) {
  constexpr std::array kNames = {"bool", "int", "real", "text"};
  Json::Map members{
      member("name", option.name), member("type", kNames[static_cast<size_t>(option.type)]),
      member("help", option.help),
      std::visit([](const auto& v) { return member("default", v); }, option.default_value),
      member("changes_numbers", option.changes_numbers)};
  if (std::isfinite(option.min)) members.push_back(member("min", option.min));
  if (std::isfinite(option.max)) members.push_back(member("max", option.max));
  if (!option.choices.empty()) members.push_back(member("choices", option.choices));
  return object(std::move(members));
}

Json kernel_json(const perdure_kernel& kernel) {
  return object({member("name", kernel.name), member("operation", kernel.op),
                 member("isa", kernel.isa), member("rank", kernel.rank),
                 member("needs", cpu_feature_names(kernel.cpu_features)),
                 member("reproducible", (kernel.flags & PERDURE_KERNEL_NOT_REPRODUCIBLE) == 0)});
}

template <typename Element, typename Text>
std::string section(const char* title, const std::vector<Element>& elements, const Text& text) {
  if (elements.empty()) return "";
  std::string result = fmt::format("\n{}\n", title);
  for (const Element& element : elements) result += text(element);
  return result;
}

template <typename Element, typename ToJson>
std::vector<Json> list(const std::vector<Element>& elements, const ToJson& to_json) {
  std::vector<Json> result;
  for (const Element& element : elements) result.push_back(to_json(element));
  return result;
}

}  // namespace

PluginInfo plugin_info(const PluginHost& host, const std::string& name) {
  const PluginRecord record = find(host, name);
  PluginInfo info{.record = record};
  if (record.kind == "attention") add_strategy(info, host.attention(record.name));
  if (record.kind == "kernels") add_kernels(info, host);
  if (record.kind == "threads") host.threads(record.name);
  if (record.kind == "stores") info.options = host.store(record.name).options();
  info.record = loaded_record(host, record);
  info.unknown_operations = unknown_operations(info, host);
  return info;
}

std::string info_text(const PluginInfo& info) {
  std::string text =
      fmt::format("{}\n  file      {}\n", full_name(info.record), info.record.origin);
  if (!info.record.build_id.empty()) text += fmt::format("  build id  {}\n", info.record.build_id);
  if (info.record.kind == "attention") text += fmt::format("  version   {}\n", info.version);
  text += section("options", info.options, option_text);
  text += section("operations", info.operations, [](const Operation& operation) {
    return fmt::format("  {:<24} {}\n", operation.name, kind_text(operation));
  });
  text += section("kernels", info.kernels, kernel_text);
  if (!info.unknown_operations.empty())
    text += fmt::format(
        "\n  {}: no operation of this program or of a strategy that is loaded; kernels for it "
        "never "
        "run here\n",
        fmt::join(info.unknown_operations, ", "));
  return text;
}

Json info_json(const PluginInfo& info) {
  return object({member("kind", info.record.kind), member("name", info.record.name),
                 member("origin", info.record.origin), member("build_id", info.record.build_id),
                 member("version", info.version),
                 member("options", list(info.options, option_json)),
                 member("operations", list(info.operations,
                                           [](const Operation& operation) {
                                             return object({member("name", operation.name),
                                                            member("kind", kind_text(operation))});
                                           })),
                 member("kernels", list(info.kernels, kernel_json)),
                 member("unknown_operations", info.unknown_operations)});
}

}  // namespace perdure::app
