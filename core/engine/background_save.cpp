// SPDX-License-Identifier: Apache-2.0

#include "core/engine/background_save.hpp"

#include <pthread.h>

#include <csignal>
#include <system_error>
#include <utility>

#include "core/runtime/signal_stack.hpp"

namespace perdure {
namespace {

// While it lives, threads that are started take no signals but those of their own faults: what is
// sent to the process is for the threads that wait for it.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
      sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

BackgroundSave::BackgroundSave(const Session& session, Work work)
    : view_(std::in_place, session), work_(std::move(work)) {
  reserve_signal_stacks(1);
  try {
    start();
  } catch (const std::system_error&) {
    run();
  }
}

BackgroundSave::~BackgroundSave() {
  if (thread_.joinable()) thread_.join();
}

void BackgroundSave::start() {
  const WithoutSignals none;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "perdure-save");
    give_signal_stack();
    run();
  });
}

// The view goes first: whoever waits for it goes on while the thread ends.
void BackgroundSave::run() noexcept {
  try {
    work_([this](const auto& piece) { view_->write(piece); });
  } catch (...) {
    failure_ = std::current_exception();
  }
  view_.reset();
  done_.store(true);
}

void BackgroundSave::finish() {
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace perdure
