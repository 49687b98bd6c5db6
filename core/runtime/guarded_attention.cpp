// SPDX-License-Identifier: Apache-2.0

// The guard of strategies.
#include "core/base/dtype.hpp"
#include "core/config/settings.hpp"
#include "core/graph/operation_table.hpp"
#include "core/runtime/declaration_check.hpp"
#include "core/runtime/guarded_builder.hpp"
#include "core/runtime/guarded_plugins.hpp"
#include "core/runtime/kernel_table_check.hpp"

namespace perdure {
namespace {

// More rows than a phase of any model has.
constexpr int64_t kMostPhaseRows = int64_t{1} << 24;

class Guard {
 public:
  explicit Guard(PluginOrigin origin) : origin_(std::move(origin)) {}

  template <typename Function>
  decltype(auto) call(const std::string& what, Function&& function) const {
    return call_plugin(origin_, what, std::forward<Function>(function));
  }

  // The same for what a plugin declares.
  template <typename Function>
  auto declared(const std::string& what, Function&& function) const {
    auto declaration = call(what, std::forward<Function>(function));
    refuse(problem_of(declaration));
    return declaration;
  }

  void refuse(const std::string& problem) const {
    if (!problem.empty()) plugin_fault(origin_, problem);
  }

  const PluginOrigin& origin() const { return origin_; }

 private:
  PluginOrigin origin_;
};

std::string in_layer(const char* what, int64_t layer) {
  return std::string(what) + " of layer " + std::to_string(layer);
}

// What is wrong with a value that joins the residual stream, of which `like` is one.
std::string mismatch(const ValueType& type, const ValueType& like) {
  if (type.kind == like.kind && type.dtype == like.dtype && type.columns == like.columns) return "";
  const auto text = [](const ValueType& t) {
    const char* kind = t.kind == ValueKind::kRows ? "rows" : "no rows of the step";
    return std::string(kind) + " of " + std::to_string(t.columns) + " values of type " +
           dtype_name(t.dtype);
  };
  return text(type) + "; it must give " + text(like);
}

class GuardedStrategy final : public AttentionStrategy {
 public:
  GuardedStrategy(std::unique_ptr<AttentionStrategy> inner, const Guard& guard,
                  std::span<const OptionSpec> options)
      : inner_(owned(std::move(inner), guard.origin(), "the destructor of a strategy")),
        guard_(guard) {
    if (!inner_) guard_.refuse("returned no strategy from create");
    // Asked for when a memory is saved: too late to learn that it throws.
    for (const OptionSpec& option : options) depends_on(option.name);
  }

  Traits traits() const override {
    return guard_.declared("traits", [&] { return inner_->traits(); });
  }

  std::vector<StateSpec> states() const override {
    return guard_.declared("states", [&] { return inner_->states(); });
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const std::string what = in_layer("mix", layer);
    GuardedBuilder own(g);
    const Value result = guard_.call(what, [&] { return inner_->mix(own, layer, x); });
    if (!result.valid()) guard_.refuse("returned no value from " + what);
    require_like(g, result, x, what);
    return result;
  }

  Value extra_block(GraphBuilder& g, int64_t layer, Value residual) override {
    const std::string what = in_layer("extra_block", layer);
    GuardedBuilder own(g);
    const Value result =
        guard_.call(what, [&] { return inner_->extra_block(own, layer, residual); });
    if (result.valid()) require_like(g, result, residual, what);
    return result;
  }

  int64_t phase_rows(Phase phase) const override {
    const int64_t rows = guard_.call("phase_rows", [&] { return inner_->phase_rows(phase); });
    if (rows < 0 || rows > kMostPhaseRows)
      guard_.refuse("asks for " + std::to_string(rows) + " rows in phase_rows");
    return rows;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    GuardedBuilder own(g);
    guard_.call("contribute", [&] { inner_->contribute(phase, own); });
  }

  std::vector<ExtraRows> extra_rows() const override {
    return guard_.declared("extra_rows", [&] { return inner_->extra_rows(); });
  }

  std::vector<InputStream> input_streams() const override {
    return guard_.declared("input_streams", [&] { return inner_->input_streams(); });
  }

  void contribute_input(const std::string& stream, GraphBuilder& g) override {
    GuardedBuilder own(g);
    guard_.call("contribute_input", [&] { inner_->contribute_input(stream, own); });
  }

  bool depends_on(std::string_view option) const override {
    return guard_.call("depends_on", [&] { return inner_->depends_on(option); });
  }

  void finish(GraphBuilder& g, Value x) override {
    GuardedBuilder own(g);
    guard_.call("finish", [&] { inner_->finish(own, x); });
  }

 private:
  void require_like(const GraphBuilder& g, Value result, Value like,
                    const std::string& what) const {
    const ValueType type = guard_.call(what, [&] { return g.type(result); });
    if (const std::string problem = mismatch(type, g.type(like)); !problem.empty())
      guard_.refuse("returned from " + what + " " + problem);
  }

  PluginOwned<AttentionStrategy> inner_;
  Guard guard_;
};

// What the type rule of an operation gave for inputs of these types.
std::string problem_of(const std::vector<ValueType>& results, const std::vector<ValueType>& inputs,
                       const std::vector<int>& writes) {
  for (const ValueType& type : results)
    if (type.columns < 1 || type.rows < 0)
      return "a result of " + std::to_string(type.rows) + " rows and " +
             std::to_string(type.columns) + " columns";
  for (const int input : writes)
    if (static_cast<size_t>(input) >= inputs.size() ||
        inputs[static_cast<size_t>(input)].kind != ValueKind::kState)
      return "a written input " + std::to_string(input) + ", which is no state";
  return "";
}

// The type rule of an operation is the plugin's code too.
Operation guarded(Operation operation, const Guard& guard) {
  operation.result = [guard, what = "the types of '" + operation.name + "'", name = operation.name,
                      writes = operation.writes, inner = std::move(operation.result)](
                         const std::vector<ValueType>& inputs, const Attributes& attributes) {
    auto results = guard.call(what, [&] { return inner(inputs, attributes); });
    if (const std::string problem = problem_of(results, inputs, writes); !problem.empty())
      guard.refuse("wants the operation '" + name + "' to have " + problem);
    return results;
  };
  return operation;
}

class GuardedPlugin final : public AttentionPlugin {
 public:
  GuardedPlugin(const AttentionPlugin& plugin, PluginOrigin origin)
      : plugin_(plugin), guard_(std::move(origin)) {
    name_ = guard_.call("name", [&] { return std::string(plugin_.name()); });
    if (name_ != guard_.origin().name)
      guard_.refuse("calls its strategy '" + name_ + "' in name(); make both names equal");
    version_ = guard_.call("version", [&] { return plugin_.version(); });
    options_ = guard_.call("options", [&] { return plugin_.options(); });
    guard_.refuse(problem_of(options_, attention_keys()));
    operations_ = guard_.declared("operations", [&] { return plugin_.operations(); });
    guard_.call("operations", [&] { refuse_taken_names(); });
    for (Operation& operation : operations_) operation = guarded(std::move(operation), guard_);
    kernels_ = guard_.call("kernels", [&] { return checked(plugin_.kernels()); });
  }

  std::string_view name() const override { return name_; }
  int version() const override { return version_; }
  std::vector<OptionSpec> options() const override { return options_; }
  std::vector<Operation> operations() const override { return operations_; }
  std::span<const perdure_kernel> kernels() const override { return kernels_; }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<GuardedStrategy>(
        guard_.call("create", [&] { return plugin_.create(model, options, layers); }), guard_,
        options_);
  }

 private:
  static std::vector<perdure_kernel> checked(std::span<const perdure_kernel> kernels) {
    if (kernels.data() == nullptr && !kernels.empty())
      throw Error("its kernels are nowhere; return those of an array that lives for ever");
    return read_kernels(kernels.data(), kernels.size());
  }

  // Errors: Error if an operation has the name of a built-in one.
  void refuse_taken_names() const {
    OperationTable built_in;
    for (const Operation& operation : operations_) built_in.add(operation);
  }

  const AttentionPlugin& plugin_;
  Guard guard_;
  std::string name_;
  int version_ = 0;
  std::vector<OptionSpec> options_;
  std::vector<Operation> operations_;
  std::vector<perdure_kernel> kernels_;
};

}  // namespace

std::unique_ptr<AttentionPlugin> guard(const AttentionPlugin& plugin, PluginOrigin origin) {
  return std::make_unique<GuardedPlugin>(plugin, std::move(origin));
}

}  // namespace perdure
