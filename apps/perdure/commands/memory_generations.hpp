// SPDX-License-Identifier: Apache-2.0

// perdure memory log, restore and prune; and what all commands of `memory` share.
#pragma once

#include <memory>

#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "core/base/json/json.hpp"

namespace perdure::app {

// A store and the plugins that it lives on.
struct OpenStore {
  explicit OpenStore(const Settings& settings);
  PluginHost plugins;
  std::unique_ptr<MemoryStore> store;
};

// Name, generation, bytes and time as members of an object.
Json::Map stored_members(const StoredSnapshot& snapshot);

int run_log(const Arguments& arguments);
int run_restore(const Arguments& arguments);
int run_prune(const Arguments& arguments);

}  // namespace perdure::app
