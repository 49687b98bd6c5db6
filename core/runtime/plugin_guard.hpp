// SPDX-License-Identifier: Apache-2.0

// Calls into C++ plugins. Whatever a plugin throws or returns that it must not becomes an Error of
// one sentence that names the plugin and its file.
#pragma once

#include <string>
#include <utility>

namespace perdure {

// Whose code is called.
struct PluginOrigin {
  std::string kind, name;
  std::string file;  // empty: built into the program

  // "the plugin attention.mine (/lib/mine.so)"
  std::string text() const;
};

// Errors: Error that the plugin `problem`, for example "returned no strategy from create".
[[noreturn]] void plugin_fault(const PluginOrigin& origin, const std::string& problem);

// The exception in flight, thrown by the plugin in `what`, as an Error. Errors in the sense of
// core/api/error.hpp are answers and keep their type and text; those of a foreign plugin also name
// it. Requires: called in a catch block.
[[noreturn]] void rethrow_from_plugin(const PluginOrigin& origin, const std::string& what);

// Calls `function`. Errors: whatever it throws, as rethrow_from_plugin says.
template <typename Function>
decltype(auto) call_plugin(const PluginOrigin& origin, const std::string& what,
                           Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (...) {
    rethrow_from_plugin(origin, what);
  }
}

}  // namespace perdure
