// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/configuration.hpp"

#include "core/base/hash.hpp"

namespace perdure::app {

std::vector<Options> shown_strategy_options(const Engine& engine) {
  const auto& attention = engine.settings().attention;
  std::vector<Options> shown;
  for (const Options& options : engine.strategy_options()) {
    const StrategyChoice& choice =
        shown.empty() ? attention.choice : attention.layers[shown.size() - 1].choice;
    const AttentionPlugin& plugin = engine.plugins().attention(choice.strategy);
    shown.push_back(shown_options(options, plugin.options()));
  }
  return shown;
}

std::string effective_configuration(const Engine& engine) {
  return dump_settings(engine.settings(), shown_strategy_options(engine));
}

std::string configuration_hash(const std::string& dump) {
  Hasher hasher;
  hasher.add(dump);
  return hasher.hex();
}

}  // namespace perdure::app
