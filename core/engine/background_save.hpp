// SPDX-License-Identifier: Apache-2.0

// A save that does not hold up the session: on a thread of its own, from a SessionView.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <optional>
#include <thread>

#include "core/api/store.hpp"
#include "core/engine/session_view.hpp"

namespace perdure {

// Owns the view and the thread. The session may be fed, and destroyed, while it runs; what has to
// wait for it is said by SessionView. Several saves of one session may run, each of its own moment;
// a store takes one at a time.
//
// Thread safety: one thread, which need not be the session's. `work` runs in another one and must
// share nothing with this one that is not made for it.
class BackgroundSave {
 public:
  // Calls `work` with the snapshot of the session as it is now, in a thread called "perdure-save"
  // that takes no signals; where there can be no thread, here and now. Errors: as SessionView.
  using Work = std::function<void(const SnapshotSource& snapshot)>;
  BackgroundSave(const Session& session, Work work);
  // Waits for the end of `work`.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  // Whether finish() would return at once.
  bool is_done() const { return done_.load(); }
  // Waits for the end of `work`, once. Errors: what `work` threw.
  void finish();

 private:
  void run() noexcept;
  void start();

  std::optional<SessionView> view_;
  Work work_;
  std::exception_ptr failure_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace perdure
