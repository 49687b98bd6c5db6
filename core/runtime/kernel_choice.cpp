// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/kernel_choice.hpp"

#include <algorithm>
#include <set>

#include "core/base/cpu.hpp"
#include "core/base/dtype.hpp"

namespace perdure {
namespace {

std::string describe(const perdure_node& node) {
  std::string text = std::string(node.op) + "(";
  for (uint32_t i = 0; i < node.n_inputs; ++i) {
    const perdure_tensor& t = node.inputs[i].tensor;
    text += (i ? ", " : "") + std::string(dtype_name(t.dtype)) + "[" + std::to_string(t.shape[0]) +
            ", " + std::to_string(t.shape[1]) + "]";
  }
  text += ")";
  for (uint32_t i = 0; i < node.n_attributes; ++i)
    text += (i ? ", " : " {") + std::string(node.attributes[i].name);
  return text + (node.n_attributes ? "}" : "");
}

std::string describe(const PluginHost::KernelSet& set) {
  const bool has_kind = set.plugin.find('.') != std::string::npos;
  return std::string("the plugin ") + (has_kind ? "" : "kernels.") + set.plugin + " (" +
         set.origin + ")";
}

bool lists(const perdure_kernel& kernel, std::string_view attribute) {
  if (kernel.attributes)
    for (const char* const* name = kernel.attributes; *name; ++name)
      if (attribute == *name) return true;
  return false;
}

bool knows_attributes(const perdure_kernel& kernel, const perdure_node& node) {
  return std::all_of(node.attributes, node.attributes + node.n_attributes,
                     [&](const perdure_attribute& a) { return lists(kernel, a.name); });
}

}  // namespace

KernelChooser::KernelChooser(std::span<const PluginHost::KernelSet> sets,
                             std::span<const PluginHost::KernelSet> own,
                             const OperationTable& operations, KernelPolicy policy)
    : sets_(sets), own_(own), operations_(operations), policy_(std::move(policy)) {
  check_policy();
  std::vector<std::string> order = policy_.prefer;
  if (std::find(order.begin(), order.end(), "scalar") == order.end()) order.push_back("scalar");
  size_t preference = 0;
  for (const auto& name : order) {
    for (const auto& set : sets_)
      if (set.plugin == name) add_set(set, preference);
    ++preference;
  }
  for (const auto& set : own)
    for (const perdure_kernel& kernel : set.kernels)
      add(set, kernel, is_asked_for(kernel) ? preference : preference + 1);
  for (auto& [name, candidates] : by_operation_)
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.preference != b.preference ? a.preference < b.preference
                                                           : a.kernel->rank > b.kernel->rank;
                     });
}

void KernelChooser::add_set(const PluginHost::KernelSet& set, size_t preference) {
  for (const perdure_kernel& kernel : set.kernels)
    if (policy_.isa == "auto" || policy_.isa == kernel.isa || !operations_.is_built_in(kernel.op))
      add(set, kernel, preference);
}

bool KernelChooser::is_asked_for(const perdure_kernel& kernel) const {
  const std::string_view isa = kernel.isa;
  if (isa == "scalar") return true;
  if (policy_.isa != "auto") return isa == policy_.isa;
  return std::ranges::any_of(sets_, [&](const PluginHost::KernelSet& set) {
    return std::ranges::count(policy_.prefer, set.plugin) > 0 &&
           std::ranges::any_of(set.kernels, [&](const auto& k) { return isa == k.isa; });
  });
}

void KernelChooser::add(const PluginHost::KernelSet& set, const perdure_kernel& kernel,
                        size_t preference) {
  if (!fits_cpu(kernel)) return;
  auto& table = keeps_promise(kernel) ? by_operation_ : without_promise_;
  table[kernel.op].push_back({&kernel, &set, preference});
}

bool KernelChooser::fits_cpu(const perdure_kernel& kernel) const {
  return (kernel.cpu_features & ~policy_.cpu_features) == 0;
}

bool KernelChooser::keeps_promise(const perdure_kernel& kernel) const {
  return !policy_.reproducible || (kernel.flags & PERDURE_KERNEL_NOT_REPRODUCIBLE) == 0;
}

std::vector<KernelChooser::Candidate> KernelChooser::pinned(std::string_view op,
                                                            std::string_view name) const {
  std::vector<Candidate> found;
  for (const auto& sets : {sets_, own_})
    for (const auto& set : sets)
      for (const perdure_kernel& kernel : set.kernels)
        if (name == kernel.name && op == kernel.op && fits_cpu(kernel))
          found.push_back({&kernel, &set, 0});
  return found;
}

void KernelChooser::check_policy() const {
  std::vector<std::string> plugins;
  std::set<std::string> isas;
  for (const auto& set : sets_) {
    plugins.push_back(set.plugin);
    for (const auto& kernel : set.kernels)
      if (fits_cpu(kernel)) isas.insert(kernel.isa);
  }
  auto join = [](const auto& words) {
    std::string text;
    for (const auto& w : words) text += (text.empty() ? "" : ", ") + w;
    return text;
  };
  for (const auto& name : policy_.prefer)
    if (std::find(plugins.begin(), plugins.end(), name) == plugins.end())
      throw UsageError("kernels.prefer names '" + name +
                       "', but the loaded kernel plugins are: " + join(plugins));
  if (policy_.isa != "auto" && !isas.contains(policy_.isa))
    throw UsageError("kernels.isa is '" + policy_.isa +
                     "', but what kernels have and this CPU can run is: " + join(isas));
  for (const auto& [op, name] : policy_.pin)
    if (pinned(op, name).empty())
      throw UsageError(
          "kernels.pin wants '" + name + "' for " + op +
          ", but no loaded kernel of that name can run on this CPU; see 'perdure plugin list'");
  for (const auto& [op, name] : policy_.pin)
    for (const Candidate& candidate : pinned(op, name))
      if (!keeps_promise(*candidate.kernel))
        throw UsageError("kernels.pin wants '" + name + "' for " + op +
                         ", but that kernel does not promise equal bits for equal rows; set "
                         "kernels.reproducible: false to use it");
}

ChosenKernel KernelChooser::choose(const perdure_node& node) const {
  auto take = [&](const Candidate& candidate, ChosenKernel& chosen) {
    const perdure_kernel& kernel = *candidate.kernel;
    if (!knows_attributes(kernel, node)) return false;
    perdure_node own = node;
    own.context = kernel.context;
    chosen = {&kernel, describe(*candidate.set), {}};
    const PluginCall call(chosen.plugin, kernel.name);
    chosen.params.assign(std::max<size_t>(kernel.params_bytes, 1), std::byte{0});
    return kernel.prepare(&own, chosen.params.data()) == PERDURE_OK;
  };
  ChosenKernel chosen;
  if (const auto pin = policy_.pin.find(node.op); pin != policy_.pin.end()) {
    for (const Candidate& candidate : pinned(pin->first, pin->second))
      if (take(candidate, chosen)) return chosen;
    throw UsageError("kernels.pin wants '" + pin->second + "', but it does not take " +
                     describe(node));
  }
  if (const auto it = by_operation_.find(node.op); it != by_operation_.end())
    for (const Candidate& candidate : it->second)
      if (take(candidate, chosen)) return chosen;
  if (const auto it = without_promise_.find(node.op); it != without_promise_.end())
    for (const Candidate& candidate : it->second)
      if (take(candidate, chosen))
        throw UsageError(
            "the only kernels that take " + describe(node) +
            " do not promise equal bits for equal rows; set kernels.reproducible: false "
            "to use them");
  if (policy_.isa != "auto")
    throw UsageError("kernels.isa is '" + policy_.isa + "', but no kernel of it takes " +
                     describe(node) + "; use 'auto'");
  throw Error("no loaded kernel takes " + describe(node));
}

std::string KernelChooser::fusion_obstacle(std::span<const std::string> parts,
                                           const std::string& composite) const {
  const auto best = [&](const std::string& op) -> const Candidate* {
    const auto it = by_operation_.find(op);
    return it == by_operation_.end() || it->second.empty() ? nullptr : &it->second.front();
  };
  const Candidate* own = best(composite);
  if (!own) return "no loaded kernel computes " + composite;
  for (const std::string& part : parts) {
    if (policy_.pin.contains(part)) return "kernels.pin names a kernel for " + part;
    const Candidate* of_part = best(part);
    if (of_part && of_part->preference < own->preference)
      return describe(*of_part->set) + " is preferred and computes " + part + " but not " +
             composite;
  }
  return "";
}

}  // namespace perdure
