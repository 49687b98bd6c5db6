// SPDX-License-Identifier: Apache-2.0

// A session as it is at one moment, to be saved while it reads on.
#pragma once

#include <cstdint>
#include <memory>

#include "core/engine/engine.hpp"
#include "core/engine/snapshot.hpp"

namespace perdure {

// What every step writes again is copied: state of fixed size, rings, counters and what a session
// knows beside its state. Rows that are only appended to, as keys and values of a whole text, are
// not: a session that reads on writes behind them.
//
// Thread safety: made by the thread that has the session; then any one thread may write and destroy
// it while the session is fed. What would change or free rows of the view waits until the view is
// gone: restore, rewind, forget_input and clear_input, the end of the session, and a feed that has
// to move growing state to a larger place. So the thread that has the session does none of these
// while it holds a view itself (it would wait for ever), nor does whoever writes the view.
class SessionView {
 public:
  // Errors: Error if a step failed in the session, or memory is short.
  explicit SessionView(const Session& session);
  ~SessionView();

  // Gives the sink what Session::snapshot would have given it at that moment, bit for bit. May be
  // called again. Errors: as Session::snapshot.
  void write(const SnapshotSink& sink) const;

  // Bytes of state that it copied; all the memory it takes beside a snapshot's head.
  int64_t copied_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace perdure
