// SPDX-License-Identifier: Apache-2.0

// One plugin in detail, for `perdure plugin info`.
#pragma once

#include <string>
#include <vector>

#include "core/base/json/json_write.hpp"
#include "core/runtime/plugin_host.hpp"

namespace perdure::app {

struct PluginInfo {
  PluginRecord record;
  int version = 0;                    // of a strategy
  std::vector<OptionSpec> options;    // of a strategy or a store
  std::vector<Operation> operations;  // of a strategy
  std::vector<perdure_kernel> kernels;
  // Of kernels: those that neither this program nor a strategy that is built in or loaded has.
  std::vector<std::string> unknown_operations;
};

// `name`: "sliding_window" or "attention.sliding_window". Loads that plugin.
// Errors: UsageError if there is none or several of that name, or if it was refused.
PluginInfo plugin_info(const PluginHost& host, const std::string& name);

std::string info_text(const PluginInfo& info);
Json info_json(const PluginInfo& info);

}  // namespace perdure::app
