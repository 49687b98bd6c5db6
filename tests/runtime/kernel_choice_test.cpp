// SPDX-License-Identifier: Apache-2.0

// Which kernel takes a node. (Preference, instruction sets and pins are also tested through the
// engine.)
#include "core/runtime/kernel_choice.hpp"

#include <doctest/doctest.h>

#include "core/api/error.hpp"

using namespace perdure;

namespace {

int take(const perdure_node*, void*) { return PERDURE_OK; }
void divide(const void*, const perdure_step*, perdure_work* work) { *work = {0, 1}; }
void run(const perdure_call*, int64_t, int64_t, void*) {}

perdure_kernel add_kernel(const char* name, int32_t rank, uint32_t flags) {
  perdure_kernel kernel{};
  kernel.struct_size = sizeof kernel;
  kernel.name = name;
  kernel.op = "add";
  kernel.isa = "scalar";
  kernel.rank = rank;
  kernel.prepare = take;
  kernel.divide = divide;
  kernel.run = run;
  kernel.flags = flags;
  return kernel;
}

const perdure_kernel kKernels[] = {
    add_kernel("add_steady_scalar", 0, 0),
    add_kernel("add_hasty_scalar", 1, PERDURE_KERNEL_NOT_REPRODUCIBLE)};
const PluginHost::KernelSet kSets[] = {{"mine", kKernels}};

// The kernel of `add` under that policy.
std::string chosen(KernelPolicy policy) {
  static const OperationTable operations;
  policy.prefer = {"mine"};
  const KernelChooser chooser(kSets, {}, operations, std::move(policy));
  perdure_node node{};
  node.op = "add";
  return chooser.choose(node).kernel->name;
}

}  // namespace

TEST_CASE("a kernel that does not promise equal bits is taken only where that is allowed") {
  CHECK(chosen({}) == "add_steady_scalar");
  CHECK(chosen({.reproducible = false}) == "add_hasty_scalar");
}

TEST_CASE("a node that only kernels without that promise take is refused, and the key is named") {
  static const OperationTable operations;
  const std::span<const perdure_kernel> hasty(kKernels + 1, 1);
  const PluginHost::KernelSet sets[] = {{"mine", hasty}};
  perdure_node node{};
  node.op = "add";
  const KernelChooser chooser(sets, {}, operations, {.prefer = {"mine"}});
  CHECK_THROWS_WITH_AS(chooser.choose(node),
                       doctest::Contains("set kernels.reproducible: false to use them"),
                       UsageError);
  const KernelChooser own(sets, hasty, operations, {.prefer = {}});
  CHECK_THROWS_WITH_AS(own.choose(node), doctest::Contains("do not promise equal bits"),
                       UsageError);
}

TEST_CASE("pinning a kernel that does not promise equal bits is refused where they are asked for") {
  const std::map<std::string, std::string> pin{{"add", "add_hasty_scalar"}};
  CHECK_THROWS_WITH_AS(chosen({.pin = pin}), doctest::Contains("set kernels.reproducible: false"),
                       UsageError);
  CHECK(chosen({.pin = pin, .reproducible = false}) == "add_hasty_scalar");
}
