// SPDX-License-Identifier: Apache-2.0

// Graphs built in code, planned, and run on teams of every temper.
#include "core/runtime/executor.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "core/api/operations.hpp"
#include "core/base/cpu.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/runtime/teams.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kMaxRows = 8;
constexpr int64_t kWidth = 48, kVocab = 31;

// The operation `probe` copies its input and tells the test who computes which row of which node.
using Probe = std::function<void(int64_t node, int64_t row)>;
Probe probe;

int prepare_probe(const perdure_node* node, void* params) {
  *static_cast<int64_t*>(params) = perdure_attribute_int(node, "node", 0);
  return PERDURE_OK;
}
void divide_probe(const perdure_call* call, perdure_work* work) { *work = {call->step->n_rows, 1}; }
int run_probe(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const perdure_tensor& x = call->inputs[0].tensor;
  const perdure_tensor& y = call->outputs[0].tensor;
  for (int64_t row = begin; row < end; ++row) {
    if (probe) probe(*static_cast<const int64_t*>(call->params), row);
    std::memcpy(static_cast<char*>(y.data) + row * y.row_stride_bytes,
                static_cast<char*>(x.data) + row * x.row_stride_bytes,
                static_cast<size_t>(x.row_stride_bytes));
  }
  return PERDURE_OK;
}

const char* const kProbeAttributes[] = {"node", nullptr};

perdure_kernel probe_kernel() {
  perdure_kernel kernel{};
  kernel.struct_size = sizeof kernel;
  kernel.name = "probe_f32_scalar";
  kernel.op = "probe";
  kernel.isa = "scalar";
  kernel.params_bytes = sizeof(int64_t);
  kernel.prepare = prepare_probe;
  kernel.divide = divide_probe;
  kernel.run = run_probe;
  kernel.attributes = kProbeAttributes;
  return kernel;
}

// Weights by name, filled at random.
class Weights {
 public:
  explicit Weights(uint32_t seed) : random_(seed) {}
  void add(const std::string& name, int64_t rows, int64_t columns) {
    auto& data = data_[name];
    data.resize(static_cast<size_t>(rows * columns));
    for (float& v : data) v = std::uniform_real_distribution<float>(-1, 1)(random_);
    tensors_[name] = {sizeof(perdure_tensor),
                      PERDURE_F32,
                      0,
                      2,
                      {rows, columns, 1, 1},
                      columns * 4,
                      data.data(),
                      nullptr,
                      0};
  }
  const perdure_tensor* find(std::string_view name) const {
    const auto it = tensors_.find(name);
    return it == tensors_.end() ? nullptr : &it->second;
  }
  const float* row(const std::string& name, int64_t r) const {
    return data_.at(name).data() + r * tensors_.at(name).shape[1];
  }

 private:
  std::mt19937 random_;
  std::map<std::string, std::vector<float>> data_;
  std::map<std::string, perdure_tensor, std::less<>> tensors_;
};

// A graph with everything that a plan of it needs.
struct Compiled {
  Compiled(const Weights& weights, const std::function<Value(GraphBuilder&)>& build,
           const perdure_kernel& probing = probe_kernel())
      : kernels{{"attention.test", "this test", {probing}}} {
    operations.add(
        {"probe", OperationKind::kRowWise, [](const std::vector<ValueType>& in, const Attributes&) {
           return std::vector<ValueType>{in[0]};
         }});
    Builder builder(
        "test", operations, [&](std::string_view n) { return weights.find(n); }, states);
    builder.output("y", build(builder));
    graph = builder.finish();
    chooser.emplace(host.kernel_sets(), kernels, operations,
                    KernelPolicy{{}, "auto", {}, cpu_features()});
    plan.emplace(graph, kMaxRows, 0, *chooser, StateNumbers{}, packed);
    arena = Buffer(plan->arena_bytes());
    plan->bind(arena.data());
  }

  // The rows of "y" for these token ids.
  std::vector<float> run(Executor& executor, const std::vector<int64_t>& tokens) {
    std::vector<perdure_row> rows;
    for (size_t i = 0; i < tokens.size(); ++i)
      rows.push_back({static_cast<int64_t>(i), tokens[i], 0, PERDURE_ROLE_TOKEN, 0});
    const auto n_rows = static_cast<int64_t>(rows.size());
    const perdure_session session{0, n_rows, nullptr};
    perdure_step step{};
    step.struct_size = sizeof step;
    step.n_rows = n_rows;
    step.rows = rows.data();
    step.n_sessions = 1;
    step.sessions = &session;
    std::memset(arena.data(), 0xff, arena.size());
    executor.run(*plan, step);
    const perdure_tensor& y = plan->output("y");
    const auto* data = static_cast<const float*>(y.data);
    return {data, data + n_rows * y.shape[1]};
  }
  std::vector<float> run(Threads& threads, const std::vector<int64_t>& tokens) {
    Executor executor(threads, plan->nodes().size(), plan->scratch_bytes());
    return run(executor, tokens);
  }

  PluginHost host{linked_plugins(), {}};
  std::vector<PluginHost::KernelSet> kernels;
  OperationTable operations;
  StateTypes states;
  Graph graph;
  std::optional<KernelChooser> chooser;
  PackedWeights packed;
  std::optional<Plan> plan;
  Buffer arena;
};

// Embedding, then `depth` residual blocks of a norm, two products and a gate.
Compiled deep_graph(const Weights& weights, int depth) {
  return Compiled(weights, [&](GraphBuilder& g) {
    Value x = op::row_input(g, g.weight("table"));
    for (int i = 0; i < depth; ++i) {
      const Value h = op::rms_norm(g, x, g.weight("norm"), 1e-5);
      x = op::add(g, x,
                  op::mat_mul(g, op::silu(g, op::mat_mul(g, h, g.weight("up"))), g.weight("down")));
      x = g.apply("probe", {x}, {{"node", int64_t{i}}});
    }
    return x;
  });
}

Weights deep_weights() {
  Weights weights(3);
  weights.add("table", kVocab, kWidth);
  weights.add("norm", 1, kWidth);
  weights.add("up", 3 * kWidth, kWidth);
  weights.add("down", kWidth, 3 * kWidth);
  return weights;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Waits for `condition`, but not for ever.
bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

TEST_CASE("a graph of two nodes built in code is planned and run") {
  Weights weights(1);
  weights.add("table", kVocab, kWidth);
  weights.add("w", 5, kWidth);
  Compiled compiled(weights, [](GraphBuilder& g) {
    return op::mat_mul(g, op::row_input(g, g.weight("table")), g.weight("w"));
  });
  REQUIRE(compiled.plan->nodes().size() == 2);
  AbsentTeam alone(1);
  const std::vector<int64_t> tokens{4, 30, 0};
  const auto y = compiled.run(alone, tokens);
  REQUIRE(y.size() == 3 * 5);
  for (size_t r = 0; r < tokens.size(); ++r)
    for (int64_t o = 0; o < 5; ++o) {
      double expected = 0;
      for (int64_t i = 0; i < kWidth; ++i)
        expected += double{weights.row("table", tokens[r])[i]} * weights.row("w", o)[i];
      CHECK(y[r * 5 + static_cast<size_t>(o)] == doctest::Approx(expected).epsilon(1e-5));
    }
}

TEST_CASE("any number of threads gives the bits of one") {
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 6);
  AbsentTeam alone(1);
  for (const std::vector<int64_t>& tokens :
       {std::vector<int64_t>{7}, {1, 2}, {3, 1, 4, 1, 5, 9, 2, 6}}) {
    const auto expected = compiled.run(alone, tokens);
    for (int count : {2, 3, 4, 7}) {
      StandardTeam team(count);
      CHECK(same_bits(compiled.run(team, tokens), expected));
    }
  }
}

TEST_CASE("a row has the same bits whatever rows share its step") {
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 3);
  AbsentTeam alone(1);
  const auto together = compiled.run(alone, {3, 1, 4, 1, 5});
  for (size_t r = 0; r < 5; ++r) {
    const auto single = compiled.run(alone, {std::vector<int64_t>{3, 1, 4, 1, 5}[r]});
    CHECK(same_bits(single, {together.begin() + static_cast<ptrdiff_t>(r * kWidth),
                             together.begin() + static_cast<ptrdiff_t>((r + 1) * kWidth)}));
  }
}

TEST_CASE("workers that never come cost nothing but time") {
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 6);
  AbsentTeam alone(1), absent(5);
  const std::vector<int64_t> tokens{3, 1, 4, 1, 5, 9, 2, 6};
  CHECK(same_bits(compiled.run(absent, tokens), compiled.run(alone, tokens)));
}

TEST_CASE("work that a team leaves undone is no result") {
  class IdleTeam final : public Threads {
    int max_participants() const override { return 3; }
    void team(void (*)(void*, int), void*) noexcept override {}
  };
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 6);
  IdleTeam idle;
  CHECK_THROWS_WITH_AS(compiled.run(idle, {3, 1, 4, 1, 5, 9, 2, 6}), doctest::Contains("undone"),
                       Error);
  AbsentTeam alone(1), absent(5);
  CHECK(same_bits(compiled.run(absent, {3, 1}), compiled.run(alone, {3, 1})));
}

TEST_CASE("a worker that comes in mid-step joins at the current node") {
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 6);
  AbsentTeam alone(1);
  const std::vector<int64_t> tokens{3, 1, 4, 1, 5, 9, 2, 6};
  const auto expected = compiled.run(alone, tokens);

  LateTeam team;
  constexpr int64_t kArrival = 3;  // the probe during which the worker comes
  const std::thread::id caller = std::this_thread::get_id();
  std::mutex mutex;
  std::set<int64_t> nodes_of_worker;
  std::atomic<bool> worker_at_work{false};
  bool came = false;
  probe = [&](int64_t node, int64_t) {
    if (std::this_thread::get_id() != caller) {
      const std::lock_guard lock(mutex);
      nodes_of_worker.insert(node);
      worker_at_work = true;
    } else if (node == kArrival && !came) {
      // The caller is in the middle of this node and goes on only when the worker has a part of it.
      team.let_in();
      came = eventually([&] { return worker_at_work.load(); });
    }
  };
  const auto y = compiled.run(team, tokens);
  probe = nullptr;
  CHECK(came);
  CHECK(same_bits(y, expected));
  CHECK(*nodes_of_worker.begin() == kArrival);
}

TEST_CASE("every row of every node is computed exactly once") {
  const Weights weights = deep_weights();
  constexpr int kDepth = 6;
  Compiled compiled = deep_graph(weights, kDepth);
  StandardTeam team(4);
  Executor executor(team, compiled.plan->nodes().size(), compiled.plan->scratch_bytes());
  std::atomic<int> times[kDepth][kMaxRows] = {};
  probe = [&](int64_t node, int64_t row) { ++times[node][row]; };
  constexpr int kRuns = 200;
  for (int i = 0; i < kRuns; ++i) compiled.run(executor, {3, 1, 4, 1, 5, 9, 2, 6});
  probe = nullptr;
  for (auto& node : times)
    for (auto& row : node) CHECK(row == kRuns);
}

TEST_CASE("a thousand steps of changing size on four threads give the bits of one") {
  const Weights weights = deep_weights();
  Compiled compiled = deep_graph(weights, 4);
  AbsentTeam alone(1);
  StandardTeam team(4);
  Executor one(alone, compiled.plan->nodes().size(), compiled.plan->scratch_bytes());
  Executor four(team, compiled.plan->nodes().size(), compiled.plan->scratch_bytes());
  std::mt19937 random(5);
  for (int i = 0; i < 1000; ++i) {
    std::vector<int64_t> tokens(1 + random() % kMaxRows);
    for (auto& token : tokens) token = random() % kVocab;
    const auto expected = compiled.run(one, tokens);
    REQUIRE(same_bits(compiled.run(four, tokens), expected));
  }
}

namespace {

// What the kernel `faulty` does in `divide` and `run`.
struct Fault {
  perdure_work work;
  int status;
};

perdure_kernel faulty_kernel(const Fault& fault) {
  perdure_kernel kernel = probe_kernel();
  kernel.name = "faulty_f32_scalar";
  kernel.divide = [](const perdure_call* call, perdure_work* work) {
    *work = static_cast<const Fault*>(call->context)->work;
  };
  kernel.run = [](const perdure_call* call, int64_t begin, int64_t end, void* scratch) -> int {
    run_probe(call, begin, end, scratch);
    return static_cast<const Fault*>(call->context)->status;
  };
  kernel.context = &fault;
  return kernel;
}

// What comes of a step of 5 rows on so many threads.
std::string outcome(const Fault& fault, Threads& threads) {
  Weights weights(1);
  weights.add("w", kVocab, kWidth);
  Compiled compiled(
      weights,
      [](GraphBuilder& g) {
        return g.apply("probe", {op::row_input(g, g.weight("w"))}, {{"node", int64_t{1}}});
      },
      faulty_kernel(fault));
  try {
    compiled.run(threads, {3, 1, 4, 1, 5});
  } catch (const Error& e) {
    return e.what();
  }
  return "done";
}

}  // namespace

TEST_CASE("a kernel that fails ends the step with an error that names plugin, kernel and node") {
  AbsentTeam alone(1);
  StandardTeam team(4);
  for (Threads* threads : std::initializer_list<Threads*>{&alone, &team}) {
    CHECK(outcome({{5, 1}, PERDURE_OK}, *threads) == "done");
    CHECK(outcome({{5, 1}, PERDURE_FAILED}, *threads) ==
          "the kernel 'faulty_f32_scalar' of the plugin attention.test (this test) failed with "
          "status 2 in node 1 ('probe') of the graph 'test'");
  }
}

TEST_CASE("a kernel that divides its work into more items than there are rows is refused") {
  AbsentTeam alone(1);
  StandardTeam team(4);
  for (Threads* threads : std::initializer_list<Threads*>{&alone, &team}) {
    for (const perdure_work work : {perdure_work{6, 1}, {-1, 1}, {INT64_MAX, 1}, {5, 0}, {5, -3}}) {
      CHECK(outcome({work, PERDURE_OK}, *threads).find("it may give 0 to 5 items, at least 1") !=
            std::string::npos);
    }
    CHECK(outcome({{5, INT64_MAX}, PERDURE_OK}, *threads) == "done");
    CHECK(outcome({{0, 1}, PERDURE_OK}, *threads) == "done");
  }
}

TEST_CASE("a kernel that asks for absurd scratch or an absurd packed weight is refused") {
  Weights weights(1);
  weights.add("w", kVocab, kWidth);
  const auto refusal = [&](const perdure_kernel& kernel) -> std::string {
    try {
      const Compiled compiled(
          weights,
          [](GraphBuilder& g) {
            const Value w = g.weight("w");
            return g.apply("probe", {op::row_input(g, w), w}, {{"node", int64_t{1}}});
          },
          kernel);
    } catch (const Error& e) {
      return e.what();
    }
    return "taken";
  };
  perdure_kernel scratch = probe_kernel(), packed = probe_kernel();
  CHECK(refusal(scratch) == "taken");
  scratch.scratch_bytes = [](const perdure_node*, const void*) { return SIZE_MAX - 64; };
  CHECK(refusal(scratch).find("bytes for the scratch of a node 'probe'") != std::string::npos);
  packed.packed_bytes = [](const perdure_node*, const void*, uint32_t) { return SIZE_MAX / 2; };
  packed.pack = [](const perdure_node*, const void*, uint32_t, void*) -> int { return PERDURE_OK; };
  CHECK(refusal(packed).find("bytes for the packed weight of a node 'probe'") != std::string::npos);
  packed.packed_bytes = [](const perdure_node*, const void*, uint32_t) { return size_t{64}; };
  packed.pack = [](const perdure_node*, const void*, uint32_t, void*) -> int {
    return PERDURE_FAILED;
  };
  CHECK(refusal(packed).find("could not pack input 1 of a node 'probe' (status 2)") !=
        std::string::npos);
}
