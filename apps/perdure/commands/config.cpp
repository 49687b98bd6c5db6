// SPDX-License-Identifier: Apache-2.0

// perdure config: the effective configuration, as YAML that reproduces the run.
#include <fmt/format.h>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/configuration.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

// With a model everything is checked as a run would check it; without one, as far as it goes. A
// library that the configuration names runs code: without leave its options stay as written.
std::string effective(const Settings& settings, bool load_plugins) {
  if (!settings.plugins.load.empty() && !load_plugins) return dump_settings(settings);
  if (!settings.model.path.empty())
    return effective_configuration(Engine(settings, linked_plugins()));
  if (settings.attention.choice.strategy.empty()) return dump_settings(settings);
  const PluginHost plugins(linked_plugins(), settings.plugins.load);
  const auto resolve = [&](const StrategyChoice& choice) {
    const std::vector<OptionSpec> schema = plugins.attention(choice.strategy).options();
    return shown_options(resolve_options(choice, schema, "attention." + choice.strategy), schema);
  };
  std::vector<Options> resolved{resolve(settings.attention.choice)};
  for (const LayerOverride& layer : settings.attention.layers)
    resolved.push_back(resolve(layer.choice));
  return dump_settings(settings, resolved);
}

}  // namespace

int run_config(const Arguments& arguments) {
  CommandLine line("config [MODEL]",
                   "Prints the effective configuration: defaults, file and --set combined.");
  bool load_plugins = false;
  line.add_flag("load-plugins", &load_plugins,
                "load the libraries of plugins.load, to check and complete their options")
      .add_json()
      .add_model_word();
  if (!line.parse(arguments)) return 0;
  const Settings settings = line.settings();
  const std::string dump = effective(settings, load_plugins);
  print(line.json() ? dump_as_json(dump) + "\n" : dump);
  if (!settings.plugins.load.empty() && !load_plugins)
    note(
        "options are shown as written; --load-plugins runs the libraries of plugins.load to "
        "complete them",
        line.quiet());
  note("configuration " + configuration_hash(dump), line.quiet());
  return 0;
}

}  // namespace perdure::app
