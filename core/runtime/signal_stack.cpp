// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/signal_stack.hpp"

#include <csignal>
#include <cstddef>
#include <memory>
#include <new>

namespace perdure {
namespace {

constexpr size_t kBytes = size_t{1} << 16;

class SignalStack {
 public:
  SignalStack() noexcept {
    stack_t present = {};
    if (sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;
    memory_.reset(new (std::nothrow) std::byte[kBytes]);
    if (!memory_) return;
    stack_t own = {};
    own.ss_sp = memory_.get();
    own.ss_size = kBytes;
    sigaltstack(&own, nullptr);
  }
  // Somebody may have installed another one meanwhile, which stays.
  ~SignalStack() {
    stack_t present = {};
    if (!memory_ || sigaltstack(nullptr, &present) != 0 || present.ss_sp != memory_.get()) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace

void give_signal_stack() noexcept { thread_local const SignalStack stack; }

}  // namespace perdure
