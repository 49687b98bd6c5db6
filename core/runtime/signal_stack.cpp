// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/signal_stack.hpp"

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace perdure {
namespace {

struct Stack {
  Stack* next = nullptr;
  std::byte bytes[size_t{1} << 16];
};

// Stacks that no thread has.
class SpareStacks {
 public:
  void reserve(int n) noexcept {
    for (int missing = n - count(); missing > 0; --missing)
      if (Stack* stack = new (std::nothrow) Stack) put(stack);
  }
  // A new one if there is no spare; null without memory.
  Stack* take() noexcept {
    const std::lock_guard lock(mutex_);
    if (first_ == nullptr) return new (std::nothrow) Stack;
    return std::exchange(first_, first_->next);
  }
  void put(Stack* stack) noexcept {
    const std::lock_guard lock(mutex_);
    stack->next = std::exchange(first_, stack);
  }

 private:
  int count() noexcept {
    const std::lock_guard lock(mutex_);
    int n = 0;
    for (const Stack* stack = first_; stack != nullptr; stack = stack->next) ++n;
    return n;
  }

  std::mutex mutex_;
  Stack* first_ = nullptr;
};

// Threads may end after the program's static objects, hence it is never destroyed.
SpareStacks& spare_stacks() {
  static SpareStacks& stacks = *new SpareStacks;
  return stacks;
}

stack_t present_stack() {
  stack_t present = {};
  if (sigaltstack(nullptr, &present) != 0) present.ss_flags = 0;
  return present;
}

// Somebody may have installed another one meanwhile, which stays.
void give_back(void* given) {
  auto* stack = static_cast<Stack*>(given);
  if (present_stack().ss_sp == stack->bytes) {
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  spare_stacks().put(stack);
}

// Calls give_back when a thread ends; none if the process has no more keys. A thread_local object
// with a destructor would do so too, but takes memory in every thread.
std::optional<pthread_key_t> key_of_threads() {
  static const std::optional<pthread_key_t> key = []() -> std::optional<pthread_key_t> {
    pthread_key_t made = {};
    if (pthread_key_create(&made, give_back) != 0) return std::nullopt;
    return made;
  }();
  return key;
}

void install_stack() noexcept {
  const auto key = key_of_threads();
  if (!key || (present_stack().ss_flags & SS_DISABLE) == 0) return;
  Stack* const stack = spare_stacks().take();
  if (stack == nullptr) return;
  if (pthread_setspecific(*key, stack) != 0) return spare_stacks().put(stack);
  stack_t own = {};
  own.ss_sp = stack->bytes;
  own.ss_size = sizeof stack->bytes;
  sigaltstack(&own, nullptr);
}

}  // namespace

void reserve_signal_stacks(int n) noexcept { spare_stacks().reserve(n); }

void give_signal_stack() noexcept {
  thread_local bool asked = false;
  if (!std::exchange(asked, true)) install_stack();
}

}  // namespace perdure
