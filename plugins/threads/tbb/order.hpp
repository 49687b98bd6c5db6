// SPDX-License-Identifier: Apache-2.0

// Tells the thread sanitizer what TBB orders. Debian's TBB is not instrumented, so the sanitizer
// does not see that a task starts after it was spawned and that a wait ends after its tasks. These
// two facts of TBB's contract are stated here, and nothing else: whatever a participant does to
// memory is still checked. Costs nothing in other builds.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PERDURE_TBB_ORDER 1
#endif
#endif

#ifdef PERDURE_TBB_ORDER
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
// For code that reads a task before it can say that the task was handed over.
#define PERDURE_TBB_UNSEEN __attribute__((no_sanitize("thread")))
#else
#define PERDURE_TBB_UNSEEN
#endif

namespace perdure {

// Everything in front of before() happens before everything behind a later after(). Thread safety:
// any thread.
class Order {
 public:
#ifdef PERDURE_TBB_ORDER
  void before() { __tsan_release(this); }
  void after() { __tsan_acquire(this); }

 private:
  char address_ = 0;
#else
  void before() {}
  void after() {}
#endif
};

}  // namespace perdure
