// SPDX-License-Identifier: Apache-2.0

// The guard of threads plugins.
#include "core/runtime/guarded_plugins.hpp"

namespace perdure {
namespace {

// Buffers are made for every participant.
constexpr int kMostParticipants = 4096;

class GuardedThreads final : public Threads {
 public:
  GuardedThreads(std::unique_ptr<Threads> inner, const PluginOrigin& origin)
      : inner_(std::move(inner)), plugin_(origin.text()) {
    if (!inner_) plugin_fault(origin, "returned no threads from create");
    participants_ =
        call_plugin(origin, "max_participants", [&] { return inner_->max_participants(); });
    if (participants_ < 1 || participants_ > kMostParticipants)
      plugin_fault(origin, "says that it brings " + std::to_string(participants_) +
                               " participants; it must be 1 to " +
                               std::to_string(kMostParticipants) + ", the caller included");
  }

  int max_participants() const override { return participants_; }

  void team(void (*fn)(void* context, int participant), void* context) noexcept override {
    Team team{fn, context, participants_};
    const PluginCall call(plugin_, "team");
    inner_->team(join, &team);
  }

 private:
  struct Team {
    void (*fn)(void* context, int participant);
    void* context;
    int participants;
  };

  // A participant that nothing was prepared for may not take part; the others do its work.
  static void join(void* team, int participant) {
    const Team& t = *static_cast<const Team*>(team);
    if (participant >= 0 && participant < t.participants) t.fn(t.context, participant);
  }

  std::unique_ptr<Threads> inner_;
  std::string plugin_;
  int participants_ = 1;
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

std::unique_ptr<ThreadsPlugin> guard(const ThreadsPlugin& plugin, PluginOrigin origin) {
  return std::make_unique<GuardedPlugin>(plugin, std::move(origin));
}

}  // namespace perdure
