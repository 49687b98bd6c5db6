// SPDX-License-Identifier: Apache-2.0

// What the tests of stores share: stores opened as a configuration that says nothing opens them,
// snapshots of any bytes, and processes.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/api/error.hpp"
#include "core/api/store.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::testing {

using Bytes = std::vector<std::byte>;

inline const StorePlugin& plugin_of(const StaticPlugin& linked) {
  return *static_cast<const StorePlugin*>(linked.entry());
}

// The options are at their defaults.
inline std::unique_ptr<MemoryStore> open_store(const StorePlugin& plugin, const std::string& path,
                                               StoreRules rules = {}) {
  Options options;
  for (const OptionSpec& spec : plugin.options()) options.set(spec.name, spec.default_value);
  return plugin.open({.path = path, .rules = rules, .options = options, .warn = {}});
}

inline Bytes blob(size_t size, int seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 131 + static_cast<size_t>(seed)) & 255);
  return bytes;
}

inline std::string failure(const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Runs `body` in a process of its own; its result is the exit status.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace perdure::testing
