// SPDX-License-Identifier: Apache-2.0

// Threads that break one rule of their interface: the one that PERDURE_TEST_FAULT names. For
// "kernel overflows" a worker computes all there is.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "core/api/plugin.h"
#include "core/api/threads.hpp"

namespace {

bool fault(std::string_view name) {
  const char* wanted = std::getenv("PERDURE_TEST_FAULT");
  return wanted && name == wanted;
}

class Threads final : public perdure::Threads {
 public:
  ~Threads() override {
    if (fault("destructor aborts")) std::abort();
  }

 private:
  int max_participants() const override {
    if (fault("no participants")) return 0;
    if (fault("too many participants")) return 1 << 30;
    return 2;
  }
  void team(void (*fn)(void*, int), void* context) noexcept override {
    if (fault("runs nothing")) return;
    if (fault("goes before its worker")) return leave(fn, context);
    if (fault("one number for two")) {
      std::thread other([=] { fn(context, 0); });
      fn(context, 0);
      return other.join();
    }
    if (fault("kernel overflows")) std::thread(fn, context, 1).join();
    fn(context, 0);
    if (fault("uninvited participant")) fn(context, 2), fn(context, -1);
  }

  static void leave(void (*fn)(void*, int), void* context) {
    struct Call {
      void (*fn)(void*, int);
      void* context;
      std::atomic<bool>& started;
    };
    static std::atomic<bool> started;
    started = false;
    std::thread([call = Call{fn, context, started}] {
      call.started = true;
      call.fn(call.context, 1);
    }).detach();
    while (!started) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
};

class Plugin final : public perdure::ThreadsPlugin {
  std::unique_ptr<perdure::Threads> create(int) const override {
    if (fault("create throws")) throw std::runtime_error("all threads are taken");
    if (fault("no threads")) return nullptr;
    return std::make_unique<Threads>();
  }
};

}  // namespace

PERDURE_PLUGIN(threads, faulty, 0) {
  static const Plugin plugin;
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
