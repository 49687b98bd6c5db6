// SPDX-License-Identifier: Apache-2.0

// C++ plugins behind guards: objects of the same interfaces that pass every call on to the plugin,
// turn what it throws into Errors that name it, and refuse results that break the contract. The
// host gives out guards only, so code that uses a plugin needs no checks of its own. An interface
// that gets another virtual function gets it here too (tools/lint/guards.py).
#pragma once

#include <memory>
#include <string>

#include "core/api/store.hpp"
#include "core/api/strategy.hpp"
#include "core/api/threads.hpp"
#include "core/runtime/plugin_guard.hpp"

namespace perdure {

// The plugin must live for ever. What a guard creates may outlive the guard.
// Errors: Error that names the plugin if what it states about itself cannot be right.
std::unique_ptr<AttentionPlugin> guard(const AttentionPlugin& plugin, PluginOrigin origin);
std::unique_ptr<ThreadsPlugin> guard(const ThreadsPlugin& plugin, PluginOrigin origin);
std::unique_ptr<StorePlugin> guard(const StorePlugin& plugin, PluginOrigin origin);

// The plugin of threads that a guard has created, for messages; empty for others.
std::string plugin_of(const Threads& threads);

}  // namespace perdure
