// SPDX-License-Identifier: Apache-2.0

// The lines of an identity (Engine::identity): what they say of strategies, and how people read
// them.
#pragma once

#include <optional>
#include <string>

#include "core/runtime/plugin_host.hpp"

namespace perdure {

// "layers 0,1 NAME: VALUE", a line about the strategy of some layers. The first one of a strategy
// is called kStrategyName and has the value "PLUGIN version 1".
struct StrategyLine {
  std::string layers, name, value;
};
inline constexpr const char* kStrategyName = "strategy";

// nullopt for all other lines. Pure.
std::optional<StrategyLine> strategy_line(const std::string& line);

// An identity with options in the words of a configuration: `auto`, `true`, 1e-05. Options of
// strategies that `plugins` does not have stay as they are. Never part of a snapshot.
std::string shown_identity(const std::string& identity, const PluginHost& plugins);

}  // namespace perdure
