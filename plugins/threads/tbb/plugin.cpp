// SPDX-License-Identifier: Apache-2.0

// The plugin threads.tbb: workers of oneTBB, in an arena of their own. TBB promises no concurrency:
// a worker that has not begun when the caller is through is turned away.
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "core/api/error.hpp"
#include "core/api/plugin.h"
#include "core/api/threads.hpp"
#include "plugins/threads/tbb/order.hpp"

namespace perdure {
namespace {

class TbbThreads final : public Threads {
 public:
  // Errors: Error if TBB cannot be started.
  explicit TbbThreads(int count);
  // A task_group's destructor may throw only with tasks running; team() waits for all of them.
  ~TbbThreads() noexcept override {}
  int max_participants() const override { return count_; }
  void team(void (*fn)(void* context, int participant), void* context) noexcept override;

 private:
  // What a worker runs. Small, so that TBB keeps it in the task itself.
  struct Invitation {
    TbbThreads* pool;
    int participant;
    PERDURE_TBB_UNSEEN void operator()() const { pool->accept(participant); }
  };
  void invite(int participant) noexcept;
  void accept(int participant) noexcept;
  void wait_for_workers() noexcept;
  void warm_up();

  const int count_;
  // TBB offers as many threads as there are processors, unless more are requested.
  std::optional<tbb::global_control> more_threads_;
  tbb::task_arena arena_;
  tbb::task_group group_;
  // Of the team at work. Tasks refer to it through `this`, which keeps them small.
  void (*fn_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> closed_{true};  // the caller is through: nobody else may begin
  Order invited_, finished_;        // caller before worker, worker before caller
};

TbbThreads::TbbThreads(int count) : count_(count), arena_(count, 1) {
  if (count > tbb::info::default_concurrency())
    more_threads_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(count));
  arena_.initialize();
  if (count > 1) warm_up();
}

void TbbThreads::team(void (*fn)(void*, int), void* context) noexcept {
  if (count_ == 1) {
    fn(context, 0);
    return;
  }
  arena_.execute([&] {
    fn_ = fn;
    context_ = context;
    closed_.store(false, std::memory_order_relaxed);
    for (int i = 1; i < count_; ++i) invite(i);
    fn(context, 0);
    closed_.store(true, std::memory_order_relaxed);
    wait_for_workers();
  });
}

void TbbThreads::invite(int participant) noexcept {
  invited_.before();
  try {
    group_.run(Invitation{this, participant});
  } catch (...) {
    // No memory for the task: one worker fewer comes.
  }
}

void TbbThreads::accept(int participant) noexcept {
  invited_.after();
  if (!closed_.load(std::memory_order_relaxed)) fn_(context_, participant);
  finished_.before();
}

void TbbThreads::wait_for_workers() noexcept {
  group_.wait();
  finished_.after();
}

// TBB starts threads and takes memory for tasks when they are first needed; team() shall do neither
// later on. Tasks that are still being put away when the next team begins cannot be used again yet,
// hence some more than one team needs.
void TbbThreads::warm_up() {
  constexpr auto kPatience = std::chrono::milliseconds(50);
  constexpr int kSpareTeams = 8;
  struct Arrivals {
    std::atomic<int> n{0};
    int expected;
    std::chrono::steady_clock::time_point deadline;
  } arrivals{0, count_, std::chrono::steady_clock::now() + kPatience};
  team(
      [](void* context, int) {
        auto& a = *static_cast<Arrivals*>(context);
        ++a.n;
        while (a.n < a.expected && std::chrono::steady_clock::now() < a.deadline) {
        }
      },
      &arrivals);
  arena_.execute([&] {
    for (int i = 0; i < kSpareTeams * count_; ++i) invite(1);
    wait_for_workers();
  });
}

class TbbPlugin final : public ThreadsPlugin {
 public:
  std::unique_ptr<Threads> create(int count) const override {
    try {
      return std::make_unique<TbbThreads>(count);
    } catch (const std::exception& e) {
      throw Error("threads.tbb cannot start " + std::to_string(count) + " threads: " + e.what() +
                  "; use a smaller threads.count or threads.backend: serial");
    }
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(threads, tbb, 0) {
  static const perdure::TbbPlugin plugin;
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
