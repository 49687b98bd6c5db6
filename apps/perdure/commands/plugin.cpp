// SPDX-License-Identifier: Apache-2.0

// perdure plugin: every candidate and what became of it, and one plugin in detail.
#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/plugin_info.hpp"
#include "apps/perdure/commands/subcommand.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/cpu.hpp"
#include "core/base/json/json_write.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

// Kernels that a loaded plugin brings; 0 for those that bring something else.
size_t kernel_count(const PluginHost& host, const PluginRecord& record) {
  if (record.kind != "kernels" || !record.loaded) return 0;
  for (const PluginHost::KernelSet& set : host.kernel_sets())
    if (set.plugin == record.name) return set.kernels.size();
  return 0;
}

std::string full_name(const PluginRecord& record) {
  return record.kind.empty() ? "?" : record.kind + "." + record.name;
}

const char* state_of(const PluginRecord& record) {
  return record.loaded ? "loaded" : record.shadowed ? "shadowed" : "refused";
}

std::string as_text(const PluginHost& host) {
  std::string text = fmt::format("CPU: {}\n", cpu_feature_names(cpu_features()));
  size_t width = 0;
  for (const PluginRecord& record : host.records())
    width = std::max(width, full_name(record).size());
  for (const PluginRecord& record : host.records()) {
    const size_t kernels = kernel_count(host, record);
    text += fmt::format("{:<{}} {:<9} {}{}\n", full_name(record), width, state_of(record),
                        record.origin, kernels > 0 ? fmt::format(", {} kernels", kernels) : "");
    if (!record.loaded && !record.shadowed)
      text += fmt::format("{:{}}   because {}\n", "", width, record.reason);
  }
  return text;
}

Json as_json(const PluginHost& host) {
  std::vector<Json> plugins;
  for (const PluginRecord& record : host.records()) {
    Json::Map entry{
        member("kind", record.kind),       member("name", record.name),
        member("origin", record.origin),   member("loaded", record.loaded),
        member("state", state_of(record)), member("kernels", kernel_count(host, record))};
    if (!record.loaded) entry.push_back(member("reason", record.reason));
    plugins.push_back(object(std::move(entry)));
  }
  return object({member("cpu", cpu_feature_names(cpu_features())), member("plugins", plugins)});
}

int run_list(const Arguments& arguments) {
  CommandLine line("plugin list",
                   "Lists every plugin found: loaded, shadowed by an earlier one of the same name, "
                   "or refused, with the reason.");
  line.add_json();
  if (!line.parse(arguments)) return 0;
  const PluginHost host(linked_plugins(), line.settings().plugins.load);
  host.load_all();
  print(line.json() ? json_text(as_json(host)) + "\n" : as_text(host));
  return 0;
}

int run_info(const Arguments& arguments) {
  std::vector<std::string> names;
  CommandLine line("plugin info NAME",
                   "Shows what a plugin provides: options, operations, kernels. NAME: full, or "
                   "attention.full where two kinds have a plugin of that name.");
  line.add_json().add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  if (names.empty()) throw UsageError("which plugin? perdure plugin info NAME");
  const PluginHost host(linked_plugins(), line.settings().plugins.load);
  const PluginInfo info = plugin_info(host, names[0]);
  print(line.json() ? json_text(info_json(info)) + "\n" : info_text(info));
  return 0;
}

}  // namespace

int run_plugin(const Arguments& arguments) {
  static constexpr Command kCommands[] = {
      {"list", "list every plugin found, and why it is not loaded", run_list},
      {"info", "show what a plugin provides: options, operations, kernels", run_info}};
  return run_subcommand("perdure plugin", "Shows plugins: strategies, kernels, threads and stores.",
                        kCommands, arguments);
}

}  // namespace perdure::app
