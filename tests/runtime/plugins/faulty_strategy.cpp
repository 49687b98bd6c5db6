// SPDX-License-Identifier: Apache-2.0

// A strategy that breaks one rule of its interface: the one that PERDURE_TEST_FAULT names. Without
// a fault it is a valid strategy, which adds nothing to the residual stream. Compiled twice, under
// two names.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/api/operations.hpp"
#include "core/api/plugin.h"
#include "core/api/strategy.hpp"
#include "sdk/kernel.hpp"

#ifndef FAULTY_NAME
#define FAULTY_NAME faulty
#endif
#define FAULTY_TEXT_OF(name) #name
#define FAULTY_TEXT(name) FAULTY_TEXT_OF(name)
#define FAULTY_PLUGIN(name) PERDURE_PLUGIN(attention, name, 0)

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

int overflow(int depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : overflow(depth + 1) + frame[0];
}

// Ends the process as the fault "<where> <how>" says.
void maybe_die(const std::string& where) {
  if (fault(where + " crashes")) *static_cast<volatile int*>(nullptr) = 1;
  if (fault(where + " aborts")) std::abort();
  if (fault(where + " exits")) std::exit(0);
  if (fault(where + " overflows")) overflow(1);
}

bool uses_own_operation() {
  return fault("own operation") || fault("prepare crashes") || fault("kernel crashes") ||
         fault("kernel aborts") || fault("kernel overflows");
}

class Strategy final : public AttentionStrategy {
 public:
  ~Strategy() override { maybe_die("destructor"); }

  Traits traits() const override {
    maybe_throw("traits");
    Traits traits{.constant_memory = true};
    if (fault("negative segment")) traits.segment_length = -4;
    if (fault("negative rows")) traits.max_rows_per_step = -1;
    if (fault("negative window")) traits.window_length = -1;
    if (fault("window with state")) traits.window_length = 8;
    if (fault("window too long")) traits.window_length = int64_t{1} << 30;
    if (fault("rows beyond source")) traits.segment_length = 8;
    return traits;
  }

  std::vector<StateSpec> states() const override {
    maybe_throw("states");
    if (fault("nameless state")) return {{.name = "", .columns = 1, .rows = 1}};
    if (fault("state twice"))
      return {{.name = "a", .columns = 1, .rows = 1}, {.name = "a", .columns = 1, .rows = 1}};
    if (fault("negative state")) return {{.name = "a", .columns = -1, .rows = 1}};
    if (fault("window with state")) return {{.name = "a", .columns = 1, .rows = 1}};
    if (fault("shared state")) return {{.name = "shared", .columns = 1, .rows = 1}};
    if (fault("state of another type"))
      return {{.name = "a", .columns = 1, .rows = 1, .type = PERDURE_F16}};
    if (fault("state of no stream"))
      return {
          {.name = "a", .columns = 1, .growth = Growth::kAppended, .rows = 8, .stream = "nowhere"}};
    if (fault("state of no weight"))
      return {{.name = "a",
               .columns = 1,
               .rows = 1,
               .initial = StateSpec::Initial::kWeight,
               .initial_weight = "nothing"}};
    if (fault("state anywhere"))
      return {{.name = "a", .columns = 1, .growth = Growth::kRing, .rows = 8}};
    if (fault("huge state")) return {{.name = "a", .columns = 1 << 30, .rows = int64_t{1} << 40}};
    return {};
  }

  Value mix(GraphBuilder& g, int64_t, Value x) override {
    maybe_throw("mix");
    maybe_die("mix");
    if (fault("no value")) return {};
    if (fault("value of no graph")) return {12345};
    if (fault("value of another graph")) return kept_.valid() ? kept_ : kept_ = op::add(g, x, x);
    if (fault("input of another graph")) {
      if (!kept_.valid()) kept_ = op::add(g, x, x);
      return op::add(g, x, kept_);
    }
    if (fault("other columns")) return op::slice(g, x, 0, 1);
    if (fault("integers")) return op::row_index(g);
    if (fault("weight")) return g.constant("c", 1, 4, std::vector<float>(4));
    if (fault("output")) g.output("logits", x);
    if (fault("state anywhere"))
      op::state_write(g, op::slice(g, x, 0, 1), g.state("a"), op::row_index(g, 4));
    if (uses_own_operation()) return g.apply("copy", {x});
    return op::add(g, x, x);
  }

  Value extra_block(GraphBuilder& g, int64_t, Value residual) override {
    return fault("odd block") ? op::slice(g, residual, 0, 1) : Value{};
  }

  int64_t phase_rows(Phase phase) const override {
    if (fault("phase without segments")) return phase == Phase::kEnd ? 2 : 0;
    return fault("negative phase") ? -1 : 0;
  }

  bool depends_on(std::string_view) const override {
    maybe_throw("depends_on");
    return true;
  }

  std::vector<ExtraRows> extra_rows() const override {
    if (fault("rows beyond source")) return {{.count = 99999, .source = "token_embd.weight"}};
    if (fault("extra rows")) return {{.count = -1, .source = "token_embd.weight"}};
    return {};
  }

  std::vector<InputStream> input_streams() const override {
    if (fault("stream without state"))
      return {{.name = "passages", .vocab_size = 8, .max_chunk = 4}};
    if (fault("input stream")) return {{.name = "passages", .vocab_size = 0, .max_chunk = 4}};
    return {};
  }

 private:
  Value kept_;  // of the first graph
};

void copy_row(const int&, const perdure_call& call, int64_t row) {
  maybe_die("kernel");
  const auto* in = kernels::row_of<float>(call.inputs[0], row);
  std::copy_n(in, kernels::columns(call.inputs[0]), kernels::row_of<float>(call.outputs[0], row));
}

std::vector<ValueType> copied(const std::vector<ValueType>& in, const Attributes&) {
  maybe_throw("result");
  return in;
}

int accept(const perdure_node*, void*) {
  maybe_die("prepare");
  return PERDURE_OK;
}
// A table of one kernel; built anew for every call, and never freed as the host keeps views of it.
std::span<const perdure_kernel> table() {
  static auto* const tables = new std::vector<std::unique_ptr<perdure_kernel>>;
  perdure_kernel* const kernel =
      tables
          ->emplace_back(std::make_unique<perdure_kernel>(
              kernels::make_row_kernel<int, copy_row>("copy_f32_scalar", "copy", accept)))
          .get();
  if (fault("kernel without run")) kernel->run = nullptr;
  if (fault("kernel without name")) kernel->name = nullptr;
  if (fault("kernel for nothing")) kernel->op = "copyy";
  if (fault("kernel of another size")) kernel->struct_size = 8;
  if (fault("kernels nowhere")) return {static_cast<const perdure_kernel*>(nullptr), 3};
  return {kernel, 1};
}

class Plugin final : public AttentionPlugin {
  std::string_view name() const override {
    return fault("other name") ? "elsewhere" : FAULTY_TEXT(FAULTY_NAME);
  }
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
    if (fault("option of the host")) option.name = "layers";
    if (fault("odd option")) option.name = "a b";
    if (fault("option of another type")) option.default_value = true;
    if (fault("option out of range")) option.default_value = int64_t{9};
    if (fault("option twice")) return {option, option};
    return {option};
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo&, const Options&,
                                            std::span<const int64_t>) const override {
    maybe_throw("create");
    maybe_die("create");
    if (fault("no strategy")) return nullptr;
    return std::make_unique<Strategy>();
  }

  std::span<const perdure_kernel> kernels() const override {
    maybe_throw("kernels");
    if (fault("shared state")) return {};  // the twin has the same
    return table();
  }

  std::vector<Operation> operations() const override {
    maybe_throw("operations");
    if (fault("shared state")) return {};
    Operation copy{.name = "copy", .result = copied};
    if (fault("operation of the host")) copy.name = "add";
    if (fault("no result")) copy.result = nullptr;
    if (fault("operation twice")) return {copy, copy};
    return {copy};
  }
};

}  // namespace

FAULTY_PLUGIN(FAULTY_NAME) {
  static const Plugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}
