// SPDX-License-Identifier: Apache-2.0

// A strategy that breaks one rule of its interface: the one that PERDURE_TEST_FAULT names. Without
// a fault it is a valid strategy, which adds nothing to the residual stream.
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/api/operations.hpp"
#include "core/api/plugin.h"
#include "core/api/strategy.hpp"
#include "sdk/kernel.hpp"

namespace {
using namespace perdure;

bool fault(std::string_view name) {
  const char* wanted = std::getenv("PERDURE_TEST_FAULT");
  return wanted && name == wanted;
}

struct NotAnException {};

// Throws what the fault "<where> <what>" says.
void maybe_throw(const std::string& where) {
  if (fault(where + " throws")) throw std::out_of_range("no such page");
  if (fault(where + " throws a number")) throw 7;
  if (fault(where + " throws an object")) throw NotAnException{};
  if (fault(where + " throws Error")) throw Error("the model lacks what this needs");
  if (fault(where + " throws UsageError")) throw UsageError("one cannot have both");
}

class Strategy final : public AttentionStrategy {
 public:
  Traits traits() const override {
    maybe_throw("traits");
    Traits traits{.constant_memory = true};
    if (fault("negative segment")) traits.segment_length = -4;
    if (fault("negative rows")) traits.max_rows_per_step = -1;
    if (fault("negative window")) traits.window_length = -1;
    return traits;
  }

  std::vector<StateSpec> states() const override {
    maybe_throw("states");
    if (fault("nameless state")) return {{.name = "", .columns = 1, .rows = 1}};
    if (fault("state twice"))
      return {{.name = "a", .columns = 1, .rows = 1}, {.name = "a", .columns = 1, .rows = 1}};
    if (fault("negative state")) return {{.name = "a", .columns = -1, .rows = 1}};
    if (fault("huge state")) return {{.name = "a", .columns = 1 << 30, .rows = int64_t{1} << 40}};
    return {};
  }

  Value mix(GraphBuilder& g, int64_t, Value x) override {
    maybe_throw("mix");
    if (fault("no value")) return {};
    if (fault("own operation")) return g.apply("copy", {x});
    return op::add(g, x, x);
  }

  int64_t phase_rows(Phase) const override { return fault("negative phase") ? -1 : 0; }

  std::vector<ExtraRows> extra_rows() const override {
    if (fault("extra rows")) return {{.count = -1, .source = "token_embd.weight"}};
    return {};
  }

  std::vector<InputStream> input_streams() const override {
    if (fault("input stream")) return {{.name = "passages", .vocab_size = 0, .max_chunk = 4}};
    return {};
  }
};

void copy_row(const int&, const perdure_call&, int64_t) {}

std::vector<ValueType> copied(const std::vector<ValueType>& in, const Attributes&) {
  maybe_throw("result");
  return in;
}

int decline(const perdure_node*, void*) { return PERDURE_DECLINED; }
// A table of one kernel; built anew for every call, and never freed as the host keeps views of it.
std::span<const perdure_kernel> table() {
  static auto* const tables = new std::vector<std::unique_ptr<perdure_kernel>>;
  perdure_kernel* const kernel =
      tables
          ->emplace_back(std::make_unique<perdure_kernel>(
              kernels::make_row_kernel<int, copy_row>("copy_f32_scalar", "copy", decline)))
          .get();
  if (fault("kernel without run")) kernel->run = nullptr;
  if (fault("kernel without name")) kernel->name = nullptr;
  if (fault("kernel of another size")) kernel->struct_size = 8;
  if (fault("kernels nowhere")) return {static_cast<const perdure_kernel*>(nullptr), 3};
  return {kernel, 1};
}

class Plugin final : public AttentionPlugin {
  std::string_view name() const override { return fault("other name") ? "elsewhere" : "faulty"; }
  int version() const override {
    maybe_throw("version");
    return 1;
  }

  std::vector<OptionSpec> options() const override {
    maybe_throw("options");
    OptionSpec option{.name = "size",
                      .type = OptionType::kInt,
                      .default_value = int64_t{4},
                      .help = "Nothing depends on it.",
                      .min = 1,
                      .max = 8};
    if (fault("nameless option")) option.name = "";
    if (fault("odd option")) option.name = "a b";
    if (fault("option of another type")) option.default_value = true;
    if (fault("option out of range")) option.default_value = int64_t{9};
    if (fault("option twice")) return {option, option};
    return {option};
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo&, const Options&,
                                            std::span<const int64_t>) const override {
    maybe_throw("create");
    if (fault("no strategy")) return nullptr;
    return std::make_unique<Strategy>();
  }

  std::span<const perdure_kernel> kernels() const override {
    maybe_throw("kernels");
    return table();
  }

  std::vector<Operation> operations() const override {
    maybe_throw("operations");
    Operation copy{.name = "copy", .result = copied};
    if (fault("no result")) copy.result = nullptr;
    if (fault("operation twice")) return {copy, copy};
    return {copy};
  }
};

}  // namespace

PERDURE_PLUGIN(attention, faulty, 0) {
  static const Plugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}
