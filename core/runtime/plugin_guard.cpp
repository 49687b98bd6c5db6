// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_guard.hpp"

#include <exception>
#include <new>
#include <typeinfo>

#include "core/api/error.hpp"

namespace perdure {
namespace {

template <typename Kind>
[[noreturn]] void rethrow_named(const PluginOrigin& origin, const Kind& error) {
  if (origin.file.empty() || typeid(error) != typeid(Kind)) throw;
  throw Kind(std::string(error.what()) + "; reported by " + origin.text());
}

// Written and read by its own thread only; a signal handler interrupts that thread.
thread_local const PluginCall* current_call = nullptr;

}  // namespace

PluginCall::PluginCall(std::string_view plugin, std::string_view what) noexcept
    : plugin_(plugin), what_(what), outer_(current_call) {
  current_call = this;
}

PluginCall::~PluginCall() { current_call = outer_; }

const PluginCall* PluginCall::current() noexcept { return current_call; }

std::string PluginOrigin::text() const {
  return "the plugin " + kind + "." + name + " (" + (file.empty() ? "built in" : file) + ")";
}

void plugin_fault(const PluginOrigin& origin, const std::string& problem) {
  throw Error(origin.text() + " " + problem);
}

void rethrow_from_plugin(const PluginOrigin& origin, const std::string& what) {
  try {
    throw;
  } catch (const UsageError& e) {
    rethrow_named(origin, e);
  } catch (const Error& e) {
    rethrow_named(origin, e);
  } catch (const std::bad_alloc&) {
    plugin_fault(origin, "ran out of memory in " + what);
  } catch (const std::exception& e) {
    plugin_fault(origin, "failed in " + what + ": " + e.what());
  } catch (...) {
    plugin_fault(origin, "failed in " + what + " with an exception of unknown type");
  }
}

}  // namespace perdure
