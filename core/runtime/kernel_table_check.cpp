// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/kernel_table_check.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "core/api/error.hpp"

namespace perdure {
namespace {

constexpr const char* kRebuild = "; rebuild it against this program's core/api/kernel.h";
// No structure of this kind will ever be as large: a size beyond it is a stray number.
constexpr uint32_t kLargestStruct = 4096;
constexpr size_t kMostParams = size_t{1} << 20;
constexpr uint32_t kPluginMinSize =
    offsetof(perdure_kernel_plugin, kernels) + sizeof(perdure_kernel_plugin::kernels);

bool is_empty(const char* text) { return text == nullptr || *text == '\0'; }

void check_size(uint32_t size, uint32_t smallest, const char* what) {
  if (size < smallest || size > kLargestStruct)
    throw Error(std::string(what) + " has " + std::to_string(size) +
                " bytes, but this program's ABI needs at least " + std::to_string(smallest) +
                kRebuild);
}

void check_names(const perdure_kernel& kernel, std::set<std::string_view>& names) {
  if (is_empty(kernel.name))
    throw Error("one of its kernels has no name; call it <op>_<type>_<isa>");
  const std::string name = kernel.name;
  if (is_empty(kernel.op)) throw Error("its kernel '" + name + "' says no operation; fill in `op`");
  if (is_empty(kernel.isa))
    throw Error("its kernel '" + name +
                "' says no instruction set; fill in `isa`, \"scalar\" if it needs none");
  if (!names.insert(kernel.name).second)
    throw Error("two of its kernels are called '" + name + "'; give each a name of its own");
}

void check_functions(const perdure_kernel& kernel) {
  const std::string name = kernel.name;
  if (!kernel.prepare || !kernel.divide || !kernel.run)
    throw Error("its kernel '" + name + "' lacks prepare, divide or run; write all three");
  if ((kernel.packed_bytes == nullptr) != (kernel.pack == nullptr))
    throw Error("its kernel '" + name +
                "' has only one of packed_bytes and pack; write both or none");
  if (kernel.params_bytes > kMostParams)
    throw Error("its kernel '" + name + "' wants " + std::to_string(kernel.params_bytes) +
                " bytes for the parameters of a node; at most " + std::to_string(kMostParams) +
                " are sensible");
  if (kernel.items > PERDURE_ITEMS_ELEMENTS)
    throw Error("its kernel '" + name + "' states the unknown unit of items " +
                std::to_string(kernel.items) + "; see enum perdure_items");
}

}  // namespace

std::vector<perdure_kernel> read_kernels(const perdure_kernel* kernels, size_t n) {
  std::vector<perdure_kernel> result;
  if (n == 0) return result;
  const uint32_t size = kernels->struct_size;
  check_size(size, PERDURE_KERNEL_MIN_SIZE, "its first kernel");
  std::set<std::string_view> names;
  for (size_t i = 0; i < n; ++i) {
    perdure_kernel kernel{};
    const char* from = reinterpret_cast<const char*>(kernels) + i * size;
    std::memcpy(&kernel, from, std::min<size_t>(size, sizeof kernel));
    if (kernel.struct_size != size)
      throw Error("its kernels have different struct_size; all need sizeof(perdure_kernel)");
    kernel.struct_size = sizeof kernel;
    check_names(kernel, names);
    check_functions(kernel);
    result.push_back(kernel);
  }
  return result;
}

std::vector<perdure_kernel> read_kernel_table(const perdure_kernel_plugin* plugin) {
  if (plugin == nullptr)
    throw Error("its entry function returned no kernel table; return its address");
  if (plugin->abi != PERDURE_KERNEL_ABI)
    throw Error("its kernel table has ABI " + std::to_string(plugin->abi) +
                ", but this program's has ABI " + std::to_string(PERDURE_KERNEL_ABI) + kRebuild);
  check_size(plugin->struct_size, kPluginMinSize, "its kernel table");
  if (plugin->n_kernels == 0 || plugin->kernels == nullptr)
    throw Error("its kernel table is empty; list at least one kernel");
  return read_kernels(plugin->kernels, plugin->n_kernels);
}

}  // namespace perdure
