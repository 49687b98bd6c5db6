// SPDX-License-Identifier: Apache-2.0

// Calls into C++ plugins. Whatever a plugin throws or returns that it must not becomes an Error of
// one sentence that names the plugin and its file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
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

// Says, as long as it lives, which plugin's code this thread runs: all that is left to tell when
// that code ends the process. Calls nest. Borrows both texts. Costs two writes to memory.
class PluginCall {
 public:
  // `plugin`: as PluginOrigin::text; `what` it does: "mix of layer 3", or the
  // name of a kernel.
  PluginCall(std::string_view plugin, std::string_view what) noexcept;
  ~PluginCall();
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

  std::string_view plugin() const noexcept { return plugin_; }
  std::string_view what() const noexcept { return what_; }
  // The innermost call of this thread; nullptr if none. Async-signal-safe.
  static const PluginCall* current() noexcept;

 private:
  std::string_view plugin_, what_;
  const PluginCall* outer_;
};

// Calls `function`. Errors: whatever it throws, as rethrow_from_plugin says.
template <typename Function>
decltype(auto) call_plugin(const PluginOrigin& origin, const std::string& what,
                           Function&& function) {
  const std::string plugin = origin.text();
  const PluginCall call(plugin, what);
  try {
    return std::forward<Function>(function)();
  } catch (...) {
    rethrow_from_plugin(origin, what);
  }
}

// Deletes an object of a plugin as a call into that plugin.
struct PluginDelete {
  std::string plugin;  // as PluginOrigin::text
  const char* what;    // "the destructor of a strategy"

  template <typename Object>
  void operator()(Object* object) const noexcept {
    const PluginCall call(plugin, what);
    delete object;
  }
};

template <typename Object>
using PluginOwned = std::unique_ptr<Object, PluginDelete>;

template <typename Object>
PluginOwned<Object> owned(std::unique_ptr<Object> object, const PluginOrigin& origin,
                          const char* what) {
  return {object.release(), PluginDelete{origin.text(), what}};
}

}  // namespace perdure
