// SPDX-License-Identifier: Apache-2.0

// Which kernel takes a node. (Preference, instruction sets and pins are also tested through the
// engine.)
#include "core/runtime/kernel_choice.hpp"

#include <doctest/doctest.h>

#include "core/api/error.hpp"

using namespace perdure;

namespace {

int take(const perdure_node*, void*) { return PERDURE_OK; }
void divide(const perdure_call*, perdure_work* work) { *work = {0, 1}; }
int run(const perdure_call*, int64_t, int64_t, void*) { return PERDURE_OK; }

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
const PluginHost::KernelSet kSets[] = {{"mine", "built in", {kKernels[0], kKernels[1]}}};

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
  const PluginHost::KernelSet sets[] = {{"mine", "built in", {kKernels[1]}}};
  perdure_node node{};
  node.op = "add";
  const KernelChooser chooser(sets, {}, operations, {.prefer = {"mine"}});
  CHECK_THROWS_WITH_AS(chooser.choose(node),
                       doctest::Contains("set kernels.reproducible: false to use them"),
                       UsageError);
  const KernelChooser own(sets, sets, operations, {.prefer = {}});
  CHECK_THROWS_WITH_AS(own.choose(node), doctest::Contains("do not promise equal bits"),
                       UsageError);
}

TEST_CASE("pinning a kernel that does not promise equal bits is refused where they are asked for") {
  const std::map<std::string, std::string> pin{{"add", "add_hasty_scalar"}};
  CHECK_THROWS_WITH_AS(chosen({.pin = pin}), doctest::Contains("set kernels.reproducible: false"),
                       UsageError);
  CHECK(chosen({.pin = pin, .reproducible = false}) == "add_hasty_scalar");
}

namespace {

const char* const kWindow[] = {"window", nullptr};

// The kernel that gets a node with those attributes, of one that knows `window` and, less
// preferred, one that knows none.
std::string chosen_for(const std::vector<const char*>& attributes) {
  static const OperationTable operations;
  perdure_kernel knowing = add_kernel("add_knowing_scalar", 0, 0);
  knowing.attributes = kWindow;
  const PluginHost::KernelSet sets[] = {
      {"mine", "built in", {add_kernel("add_plain_scalar", 1, 0), knowing}}};
  const KernelChooser chooser(sets, {}, operations, {.prefer = {"mine"}});
  std::vector<perdure_attribute> named;
  for (const char* name : attributes) named.push_back({.name = name});
  perdure_node node{};
  node.op = "add";
  node.n_attributes = static_cast<uint32_t>(named.size());
  node.attributes = named.data();
  try {
    return chooser.choose(node).kernel->name;
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("a kernel is not offered a node with an attribute that it does not list") {
  CHECK(chosen_for({}) == "add_plain_scalar");
  CHECK(chosen_for({"window"}) == "add_knowing_scalar");
  CHECK(chosen_for({"window", "slope"}) == "no loaded kernel takes add() {window, slope}");
}

TEST_CASE("a kernel gets its context when it is asked for a node") {
  static const OperationTable operations;
  static const int mark = 0;
  perdure_kernel kernel = add_kernel("add_context_scalar", 0, 0);
  kernel.context = &mark;
  kernel.prepare = [](const perdure_node* node, void*) -> int {
    return node->context == &mark ? PERDURE_OK : PERDURE_DECLINED;
  };
  const PluginHost::KernelSet sets[] = {{"mine", "built in", {kernel}}};
  const KernelChooser chooser(sets, {}, operations, {.prefer = {"mine"}});
  perdure_node node{};
  node.op = "add";
  CHECK(chooser.choose(node).plugin == "the plugin kernels.mine (built in)");
}

TEST_CASE("a strategy's own kernels follow the instruction sets that are asked for") {
  static const OperationTable operations;
  perdure_kernel fast = add_kernel("add_fast", 1, 0), own_fast = fast;
  fast.isa = own_fast.isa = "fast";
  own_fast.op = "own";
  perdure_kernel own_scalar = add_kernel("own_scalar", 0, 0);
  own_scalar.op = "own";
  perdure_kernel own_odd = own_fast;
  own_odd.name = "own_odd";
  own_odd.isa = "odd";
  own_odd.rank = 2;
  const PluginHost::KernelSet sets[] = {{"quick", "built in", {fast}},
                                        {"scalar", "built in", {kKernels[0]}}};
  const auto chosen_of = [&](std::vector<perdure_kernel> kernels, KernelPolicy policy) {
    const PluginHost::KernelSet own[] = {{"attention.mine", "a strategy", std::move(kernels)}};
    const KernelChooser chooser(sets, own, operations, std::move(policy));
    perdure_node node{};
    node.op = "own";
    return std::string(chooser.choose(node).kernel->name);
  };
  const std::vector<perdure_kernel> all{own_odd, own_fast, own_scalar};
  CHECK(chosen_of(all, {.prefer = {"quick"}}) == "add_fast");
  CHECK(chosen_of(all, {.prefer = {"scalar"}}) == "own_scalar");
  CHECK(chosen_of(all, {.prefer = {"quick"}, .isa = "scalar"}) == "own_scalar");
  CHECK(chosen_of(all, {.prefer = {"quick"}, .isa = "fast"}) == "add_fast");
  CHECK(chosen_of({own_odd}, {.prefer = {"scalar"}}) == "own_odd");
}
