// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/configuration.hpp"

#include "core/base/hash.hpp"

namespace perdure::app {

std::string effective_configuration(const Engine& engine) {
  return dump_settings(engine.settings(), engine.shown_strategy_options());
}

std::string configuration_hash(const std::string& dump) {
  Hasher hasher;
  hasher.add(dump);
  return hasher.hex();
}

}  // namespace perdure::app
