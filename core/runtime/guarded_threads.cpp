// SPDX-License-Identifier: Apache-2.0

// The guard of threads plugins.
#include <atomic>
#include <thread>

#include "core/runtime/guarded_plugins.hpp"
#include "core/runtime/signal_stack.hpp"

namespace perdure {
namespace {

// Buffers are made for every participant.
constexpr int kMostParticipants = 4096;

class GuardedThreads final : public Threads {
 public:
  GuardedThreads(std::unique_ptr<Threads> inner, const PluginOrigin& origin)
      : inner_(owned(std::move(inner), origin, "the destructor of threads")),
        plugin_(origin.text()) {
    if (!inner_) plugin_fault(origin, "returned no threads from create");
    participants_ =
        call_plugin(origin, "max_participants", [&] { return inner_->max_participants(); });
    if (participants_ < 1 || participants_ > kMostParticipants)
      plugin_fault(origin, "says that it brings " + std::to_string(participants_) +
                               " participants; it must be 1 to " +
                               std::to_string(kMostParticipants) + ", the caller included");
    busy_ = std::make_unique<std::atomic<bool>[]>(static_cast<size_t>(participants_));
    reserve_signal_stacks(participants_);
  }

  int max_participants() const override { return participants_; }

  void team(void (*fn)(void* context, int participant), void* context) noexcept override {
    fn_ = fn;
    context_ = context;
    const PluginCall call(plugin_, "team");
    open_.store(true);
    inner_->team(join, this);
    open_.store(false);
    // Whoever is still inside works on buffers of the caller's.
    while (inside_.load() > 0) std::this_thread::yield();
  }

  const std::string& plugin() const { return plugin_; }

 private:
  // A participant that nothing was prepared for may not take part, nor one that comes when the team
  // has gone or while another has its number; the others do its work.
  static void join(void* threads, int participant) {
    auto& self = *static_cast<GuardedThreads*>(threads);
    self.inside_.fetch_add(1);
    if (self.open_.load() && participant >= 0 && participant < self.participants_ &&
        !self.busy_[static_cast<size_t>(participant)].exchange(true)) {
      give_signal_stack();
      self.fn_(self.context_, participant);
      self.busy_[static_cast<size_t>(participant)].store(false);
    }
    self.inside_.fetch_sub(1);
  }

  PluginOwned<Threads> inner_;
  std::string plugin_;
  int participants_ = 1;
  void (*fn_)(void* context, int participant) = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> open_{false};
  std::atomic<int> inside_{0};
  std::unique_ptr<std::atomic<bool>[]> busy_;  // by participant
};

class GuardedPlugin final : public ThreadsPlugin {
 public:
  GuardedPlugin(const ThreadsPlugin& plugin, PluginOrigin origin)
      : plugin_(plugin), origin_(std::move(origin)) {}

  std::unique_ptr<Threads> create(int count) const override {
    return std::make_unique<GuardedThreads>(
        call_plugin(origin_, "create", [&] { return plugin_.create(count); }), origin_);
  }

 private:
  const ThreadsPlugin& plugin_;
  PluginOrigin origin_;
};

}  // namespace

std::string plugin_of(const Threads& threads) {
  const auto* guarded = dynamic_cast<const GuardedThreads*>(&threads);
  return guarded ? guarded->plugin() : "";
}

std::unique_ptr<ThreadsPlugin> guard(const ThreadsPlugin& plugin, PluginOrigin origin) {
  return std::make_unique<GuardedPlugin>(plugin, std::move(origin));
}

}  // namespace perdure
