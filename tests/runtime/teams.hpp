// SPDX-License-Identifier: Apache-2.0

// Teams of threads that behave in one chosen way, for tests of the executor.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/api/threads.hpp"

namespace perdure::testing {

// Promises workers and never delivers one.
class AbsentTeam final : public Threads {
 public:
  explicit AbsentTeam(int count) : count_(count) {}
  int max_participants() const override { return count_; }
  void team(void (*fn)(void*, int), void* context) noexcept override { fn(context, 0); }

 private:
  int count_;
};

// Delivers its only worker when `let_in` is called in the middle of a step.
class LateTeam final : public Threads {
 public:
  int max_participants() const override { return 2; }
  void team(void (*fn)(void*, int), void* context) noexcept override {
    admitted_ = false;
    std::thread worker([&] {
      admitted_.wait(false);
      fn(context, 1);
    });
    fn(context, 0);
    let_in();
    worker.join();
  }
  void let_in() {
    admitted_ = true;
    admitted_.notify_all();
  }

 private:
  std::atomic<bool> admitted_{false};
};

// Long-lived threads of the standard library, which the thread sanitizer understands.
class StandardTeam final : public Threads {
 public:
  explicit StandardTeam(int count) {
    for (int i = 1; i < count; ++i) threads_.emplace_back([this, i] { serve(i); });
  }
  ~StandardTeam() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  int max_participants() const override { return static_cast<int>(threads_.size()) + 1; }
  void team(void (*fn)(void*, int), void* context) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      fn_ = fn;
      context_ = context;
      running_ = static_cast<int>(threads_.size());
      ++turn_;
    }
    changed_.notify_all();
    fn(context, 0);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void serve(int participant) {
    std::unique_lock lock(mutex_);
    for (uint64_t seen = 0;;) {
      changed_.wait(lock, [&] { return stop_ || turn_ != seen; });
      if (stop_) return;
      seen = turn_;
      lock.unlock();
      fn_(context_, participant);
      lock.lock();
      if (--running_ == 0) changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
  void (*fn_)(void*, int) = nullptr;
  void* context_ = nullptr;
  uint64_t turn_ = 0;
  int running_ = 0;
  bool stop_ = false;
};

}  // namespace perdure::testing
