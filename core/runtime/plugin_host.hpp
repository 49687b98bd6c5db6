// SPDX-License-Identifier: Apache-2.0

// Finds, judges and loads plugins. A library's ELF note is read from the file first; what does not fit (ABI, build id,
// CPU, permissions) is refused with a sentence before any of its code runs. Loaded libraries stay for ever.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/api/kernel.h"
#include "core/api/plugin.h"
#include "core/api/store.hpp"
#include "core/api/strategy.hpp"
#include "core/api/threads.hpp"

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
  std::string reason;      // why not; empty if loaded
};

// Thread safety: const methods may be called by several threads.
class PluginHost {
 public:
  // Order: `explicit_paths` (failure to load one is an Error), PERDURE_PLUGIN_PATH, the user's and the system's plugin
  // folders, then what is linked in. The first plugin of a (kind, name) wins; later ones are recorded as shadowed.
  PluginHost(std::span<const StaticPlugin> linked, std::span<const std::string> explicit_paths);
  ~PluginHost();

  const std::vector<PluginRecord>& records() const;

  // Kernel tables by plugin name, in the order found. Names of kernels come with their plugin's name.
  struct KernelSet {
    std::string plugin;
    std::span<const perdure_kernel> kernels;
  };
  std::span<const KernelSet> kernel_sets() const;

  // Errors: UsageError naming the nearest plugin of that kind.
  const AttentionPlugin& attention(const std::string& name) const;
  const ThreadsPlugin& threads(const std::string& name) const;
  const StorePlugin& store(const std::string& name) const;

  // Names of loaded plugins of a kind, sorted.
  std::vector<std::string> names(const std::string& kind) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perdure
