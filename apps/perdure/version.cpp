// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/version.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <vector>

#include "core/base/cpu.hpp"
#include "core/base/json/json_write.hpp"
#include "core/runtime/plugin_host.hpp"
#include "plugins/linked_plugins.hpp"

// Made by cmake/commit.cmake.
extern const char* const kPerdureCommit;

namespace perdure::app {
namespace {

#ifdef __clang__
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

std::vector<std::string> instruction_sets() {
  std::set<std::string> names;
  const PluginHost host(linked_plugins(), {});
  for (const PluginHost::KernelSet& set : host.kernel_sets())
    for (const perdure_kernel& kernel : set.kernels) names.insert(kernel.isa);
  return {names.begin(), names.end()};
}

}  // namespace

std::string version_and_commit() {
  return fmt::format("{} (commit {})", PERDURE_VERSION, kPerdureCommit);
}

std::string version_text() {
  return fmt::format("perdure {}\nbuilt by {}, {}\nkernels for {}; this machine has {}\n",
                     version_and_commit(), kCompiler, PERDURE_BUILD_TYPE,
                     fmt::join(instruction_sets(), ", "), cpu_feature_names(cpu_features()));
}

std::string version_json() {
  return json_text(object({member("version", PERDURE_VERSION), member("commit", kPerdureCommit),
                           member("compiler", kCompiler), member("build", PERDURE_BUILD_TYPE),
                           member("kernels", instruction_sets()),
                           member("machine", cpu_feature_names(cpu_features()))})) +
         "\n";
}

}  // namespace perdure::app
