// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/executor.hpp"

#include <algorithm>
#include <string>

#include "core/api/error.hpp"
#include "core/runtime/guarded_plugins.hpp"
#include "core/runtime/plugin_guard.hpp"

namespace perdure {
namespace {

// More ranges than participants, so that one who is late or slow leaves work to the others.
constexpr int64_t kRangesPerParticipant = 4;
// Waiting turns from spinning to sleeping after about this many checks (some tens of microseconds).
constexpr int kSpins = 2000;

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::string name_of(const PlanNode& node, const Plan& plan) {
  const auto number = static_cast<size_t>(&node - plan.nodes().data());
  return "node " + std::to_string(number) + " ('" + node.operation + "') of the graph '" +
         plan.graph_name() + "'" + (node.author.empty() ? "" : ", made by " + node.author);
}

std::string kernel_name(const PlanNode& node) {
  return "the kernel '" + std::string(node.kernel->name) + "' of " + node.plugin;
}

}  // namespace

// How far a node is. On a cache line of its own: every participant writes it.
struct alignas(64) Executor::NodeProgress {
  std::atomic<uint32_t> done{0};  // ranges finished
  uint32_t n_ranges = 0;
  int64_t n_items = 0;
  int64_t range_items = 1;
};

Executor::Executor(Threads& threads, size_t max_nodes, size_t scratch_bytes)
    : threads_(threads),
      n_participants_(std::max(1, threads.max_participants())),
      scratch_stride_((scratch_bytes + 63) / 64 * 64),
      scratch_(scratch_stride_ * static_cast<size_t>(n_participants_)),
      progress_(std::make_unique<NodeProgress[]>(max_nodes)),
      shares_(std::make_unique<std::atomic<uint32_t>[]>(max_nodes *
                                                        static_cast<size_t>(n_participants_))) {}

Executor::~Executor() = default;

void Executor::run(Plan& plan, const perdure_step& step) {
  for (PlanNode& node : plan.nodes()) node.call.step = &step;
  failed_.store(false, std::memory_order_relaxed);
  run_nodes(plan, step);
  if (failed_.load(std::memory_order_relaxed)) throw_failure(plan, step);
}

void Executor::run_checked(Plan& plan, const perdure_step& step, StepCheck& check) {
  for (PlanNode& node : plan.nodes()) node.call.step = &step;
  failed_.store(false, std::memory_order_relaxed);
  for (PlanNode& node : plan.nodes()) try {
      check.before(node);
      if (!run_node(node, step)) throw_failure(plan, step);
      check.after(node);
    } catch (const CheckFailure& fault) {
      throw Error(name_of(node, plan) + ", computed by " + kernel_name(node) + ": " + fault.what());
    }
}

void Executor::throw_failure(const Plan& plan, const perdure_step& step) const {
  const PlanNode& node = *failure_.node;
  if (failure_.reach.use != nullptr)
    throw Error(name_of(node, plan) + ": " + to_text(failure_.reach, node, step));
  if (failure_.undone) {
    const std::string threads = plugin_of(threads_);
    throw Error((threads.empty() ? "the threads" : threads) + " left " + name_of(node, plan) +
                " undone: `team` must run its function on the caller and return when all that "
                "were started have; set threads.backend to another plugin");
  }
  const std::string kernel = kernel_name(node);
  if (failure_.miscount)
    throw Error(kernel + " in " + name_of(node, plan) + " " + to_text(*failure_.miscount));
  if (failure_.status != PERDURE_OK)
    throw Error(kernel + " failed with status " + std::to_string(failure_.status) + " in " +
                name_of(node, plan));
  throw Error(kernel + " divides " + name_of(node, plan) + " into " +
              std::to_string(failure_.work.n_items) + " items, " +
              std::to_string(failure_.work.min_items) + " at a time; it may give 0 to " +
              std::to_string(node.most_items(step)) + " items, at least 1 at a time");
}

void Executor::run_nodes(Plan& plan, const perdure_step& step) noexcept {
  if (n_participants_ == 1) {
    run_alone(plan, step);
    return;
  }
  const bool shared = divide(plan, step);
  if (failed_.load(std::memory_order_relaxed)) return;
  if (!shared) {
    run_alone(plan, step);
    return;
  }
  plan_ = &plan;
  current_.store(0, std::memory_order_relaxed);
  threads_.team(
      [](void* self, int participant) { static_cast<Executor*>(self)->participate(participant); },
      this);
  check_team(plan, step);
}

void Executor::check_team(const Plan& plan, const perdure_step& step) noexcept {
  const auto& nodes = plan.nodes();
  for (size_t n = 0; n < nodes.size() && !failed_.load(std::memory_order_relaxed); ++n) {
    if (progress_[n].done.load(std::memory_order_acquire) < progress_[n].n_ranges)
      fail({.node = &nodes[n], .undone = true});
    else
      well_counted(nodes[n], step);
  }
}

bool Executor::well_counted(const PlanNode& node, const perdure_step& step) noexcept {
  const auto found = find_miscount(node, step);
  if (found) fail({.node = &node, .miscount = found});
  return !found;
}

bool Executor::divide_node(const PlanNode& node, const perdure_step& step,
                           perdure_work& work) noexcept {
  work = {0, 1};
  node.kernel->divide(&node.call, &work);
  if (work.n_items >= 0 && work.n_items <= node.most_items(step) && work.min_items >= 1)
    return true;
  fail({.node = &node, .work = work});
  return false;
}

bool Executor::within_bounds(const PlanNode& node, const perdure_step& step) noexcept {
  const OutOfBounds found = find_out_of_bounds(node, step);
  if (found.use != nullptr) fail({.node = &node, .reach = found});
  return found.use == nullptr;
}

void Executor::fail(const Failure& failure) noexcept {
  if (!failed_.exchange(true, std::memory_order_relaxed)) failure_ = failure;
}

void Executor::run_alone(Plan& plan, const perdure_step& step) noexcept {
  for (PlanNode& node : plan.nodes())
    if (!run_node(node, step)) return;
}

bool Executor::run_node(PlanNode& node, const perdure_step& step) noexcept {
  const PluginCall call(node.plugin, node.kernel->name);
  perdure_work work;
  if (!divide_node(node, step, work)) return false;
  if (work.n_items == 0) return true;
  if (!within_bounds(node, step)) return false;
  const int status = node.kernel->run(&node.call, 0, work.n_items, scratch_.data());
  if (status != PERDURE_OK) fail({.node = &node, .status = status});
  return status == PERDURE_OK && well_counted(node, step);
}

bool Executor::divide(Plan& plan, const perdure_step& step) noexcept {
  bool any = false;
  const auto& nodes = plan.nodes();
  for (size_t n = 0; n < nodes.size(); ++n) {
    const PluginCall call(nodes[n].plugin, nodes[n].kernel->name);
    perdure_work work;
    if (!divide_node(nodes[n], step, work)) return false;
    NodeProgress& p = progress_[n];
    const int64_t smallest = std::min(work.min_items, std::max<int64_t>(work.n_items, 1));
    const int64_t wanted = divide_up(work.n_items, n_participants_ * kRangesPerParticipant);
    p.n_items = work.n_items;
    p.range_items = std::max<int64_t>(divide_up(wanted, smallest), 1) * smallest;
    p.n_ranges = static_cast<uint32_t>(divide_up(work.n_items, p.range_items));
    p.done.store(0, std::memory_order_relaxed);
    for (int i = 0; i < n_participants_; ++i)
      shares_[n * static_cast<size_t>(n_participants_) + static_cast<size_t>(i)].store(
          0, std::memory_order_relaxed);
    any = any || p.n_ranges > 1;
  }
  return any;
}

void Executor::participate(int participant) noexcept {
  const size_t n_nodes = plan_->nodes().size();
  for (size_t n = current_.load(std::memory_order_acquire); n < n_nodes; ++n) {
    take_ranges(n, participant);
    wait_for(n);
    // Several may write here; none writes less than what is done, and a smaller value only costs a
    // late worker time.
    current_.store(n + 1, std::memory_order_release);
  }
}

void Executor::take_ranges(size_t n, int participant) noexcept {
  PlanNode& node = plan_->nodes()[n];
  NodeProgress& p = progress_[n];
  const auto n_shares = static_cast<uint32_t>(n_participants_);
  std::byte* scratch = scratch_.data() + scratch_stride_ * static_cast<size_t>(participant);
  uint32_t finished = 0;
  const PluginCall call(node.plugin, node.kernel->name);
  for (uint32_t i = 0; i < n_shares; ++i) {
    const uint32_t share = (static_cast<uint32_t>(participant) + i) % n_shares;
    const uint32_t first = p.n_ranges * share / n_shares;
    const uint32_t end = p.n_ranges * (share + 1) / n_shares;
    std::atomic<uint32_t>& taken = shares_[n * n_shares + share];
    while (first + taken.load(std::memory_order_relaxed) < end) {
      const uint32_t range = first + taken.fetch_add(1, std::memory_order_relaxed);
      if (range >= end) break;
      const int64_t begin = range * p.range_items;
      ++finished;
      // After a failure ranges are only counted, so that no thread waits for them.
      if (failed_.load(std::memory_order_relaxed)) continue;
      // Only here its inputs are sure to stay: no node ends before this range of it is counted.
      if (finished == 1 && !within_bounds(node, *node.call.step)) continue;
      const int64_t range_end = std::min(begin + p.range_items, p.n_items);
      const int status = node.kernel->run(&node.call, begin, range_end, scratch);
      if (status != PERDURE_OK) fail({.node = &node, .status = status});
    }
  }
  if (finished == 0) return;
  if (p.done.fetch_add(finished, std::memory_order_acq_rel) + finished == p.n_ranges)
    p.done.notify_all();
}

void Executor::wait_for(size_t n) noexcept {
  NodeProgress& p = progress_[n];
  int spins = 0;
  for (uint32_t done = p.done.load(std::memory_order_acquire); done < p.n_ranges;
       done = p.done.load(std::memory_order_acquire)) {
    if (++spins < kSpins)
      pause_cpu();
    else
      p.done.wait(done, std::memory_order_acquire);
  }
}

}  // namespace perdure
