// SPDX-License-Identifier: Apache-2.0

// Which kernel computes a node: the one the user pinned, else the first that takes it among the
// preferred plugins in order, else `scalar`. Decided once, when a plan is compiled.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/kernel.h"
#include "core/graph/operation_table.hpp"
#include "core/runtime/plugin_host.hpp"

namespace perdure {

struct KernelPolicy {
  std::vector<std::string> prefer;         // plugin names; "scalar" follows as the last resort
  std::string isa = "auto";                // or the one instruction set that may be used
  std::map<std::string, std::string> pin;  // operation -> kernel name
  uint64_t cpu_features = 0;               // what may be used here
  bool reproducible = true;  // only kernels whose bits for a row do not depend on other rows
};

// The kernel that took a node, with what its `prepare` wrote.
struct ChosenKernel {
  const perdure_kernel* kernel = nullptr;
  std::string plugin;  // for people: "the plugin kernels.simd (built in)"
  std::vector<std::byte> params;
};

// Immutable; any thread.
class KernelChooser {
 public:
  // `sets`: of kernel plugins. `own`: of strategies, for their own operations; of these the ones
  // come first that are scalar or of an instruction set that the policy lets built-in operations
  // have. Borrows everything for its life.
  // Errors: UsageError if `prefer` names no loaded kernel plugin, `isa` no instruction set that a
  // loaded kernel has and this CPU can run, or `pin` no kernel of that operation that can run here
  // and is reproducible where that is asked for.
  KernelChooser(std::span<const PluginHost::KernelSet> sets,
                std::span<const PluginHost::KernelSet> own, const OperationTable& operations,
                KernelPolicy policy);

  // Errors: UsageError if a pinned kernel, a forced instruction set or whatever is reproducible
  // does not take the node; Error if nothing does.
  ChosenKernel choose(const perdure_node& node) const;

  // Why a composite may not stand for its parts; empty if it may: no part is pinned, and no part
  // has a more preferred plugin.
  std::string fusion_obstacle(std::span<const std::string> parts,
                              const std::string& composite) const;

 private:
  struct Candidate {
    const perdure_kernel* kernel;
    const PluginHost::KernelSet* set;
    size_t preference;  // place of its plugin; smaller is preferred
  };
  void add_set(const PluginHost::KernelSet& set, size_t preference);
  void add(const PluginHost::KernelSet& set, const perdure_kernel& kernel, size_t preference);
  void check_policy() const;
  bool fits_cpu(const perdure_kernel& kernel) const;
  bool keeps_promise(const perdure_kernel& kernel) const;
  // Whether a kernel of a strategy's own operation is of an instruction set that is asked for.
  bool is_asked_for(const perdure_kernel& kernel) const;
  // Kernels of that operation and name that this CPU can run.
  std::vector<Candidate> pinned(std::string_view op, std::string_view name) const;

  std::map<std::string, std::vector<Candidate>, std::less<>> by_operation_;
  // What could be used if the policy did not ask for equal bits.
  std::map<std::string, std::vector<Candidate>, std::less<>> without_promise_;
  std::span<const PluginHost::KernelSet> sets_;
  std::span<const PluginHost::KernelSet> own_;
  const OperationTable& operations_;
  KernelPolicy policy_;
};

}  // namespace perdure
