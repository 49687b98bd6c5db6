// SPDX-License-Identifier: Apache-2.0

// Finds, judges and loads plugins. A library's ELF note is read from the file first; what does not
// fit (ABI, build id, CPU, permissions) is refused with a sentence before any of its code runs. The
// code of what fits runs when it is requested by name, in a child process first. Loaded
// libraries stay for ever.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/api/kernel.h"
#include "core/api/store.hpp"
#include "core/api/strategy.hpp"
#include "core/api/threads.hpp"
#include "core/runtime/plugin_guard.hpp"

namespace perdure {

// A plugin linked into the program.
struct StaticPlugin {
  const char* kind;
  const char* name;
  const void* (*entry)();
};

// One candidate and what became of it.
struct PluginRecord {
  std::string kind, name;  // "kernels", "simd"; empty if the file states nothing
  std::string origin;      // "built in" or the file's path
  bool loaded = false;
  std::string reason = {};    // why not; empty if loaded, or if it fits and nobody needed it yet
  bool shadowed = false;      // it fits, but another one of its name came first
  std::string build_id = {};  // as stated (core/api/plugin.h); empty for kernels
};

// Plugins are loaded by those const methods that give them out. Thread safety: const methods may be
// called by several threads.
class PluginHost {
 public:
  // Where plugins come from, in this order; the first of a (kind, name) wins, later ones are
  // recorded as shadowed:
  //   1. `explicit_paths` (absolute; one that does not fit is an Error here, one that cannot be
  //      loaded is an Error where it is asked for),
  //   2. PERDURE_PLUGIN_PATH: absolute files or folders, separated by colons,
  //   3. `linked`: what is built in,
  //   4. $XDG_DATA_HOME/perdure/plugins (~/.local/share/perdure/plugins),
  //   5. ../lib/perdure beside the program's folder.
  // So what is requested in this run precedes what is built in, and what merely lies in a
  // folder does not. Of a folder the *.so in alphabetical order; never the current directory.
  // Candidates of 2 to 5 that do not fit are recorded and otherwise ignored.
  PluginHost(std::span<const StaticPlugin> linked, std::span<const std::string> explicit_paths);
  ~PluginHost();

  // Loads whatever is not shadowed. Errors: Error if a plugin of an explicit path cannot be loaded.
  void load_all() const;
  std::vector<PluginRecord> records() const;

  // Kernel tables by plugin name, in the order found. Names of kernels come with their plugin's
  // name. All of them are loaded. Errors: as of load_all().
  struct KernelSet {
    std::string plugin;  // "simd"
    std::string origin;  // as in PluginRecord
    std::vector<perdure_kernel> kernels;
  };
  std::span<const KernelSet> kernel_sets() const;

  // Errors: UsageError that says why the plugin of that name was refused, or names the nearest one;
  // Error if it came by an explicit path and cannot be loaded.
  const AttentionPlugin& attention(const std::string& name) const;
  const ThreadsPlugin& threads(const std::string& name) const;
  const StorePlugin& store(const std::string& name) const;

  // Where the loaded plugin of that kind and name came from. Requires: it was given out.
  PluginOrigin origin(const std::string& kind, const std::string& name) const;

  // Names of plugins of a kind that are loaded or fit, sorted.
  std::vector<std::string> names(const std::string& kind) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perdure
