// SPDX-License-Identifier: Apache-2.0

// Threads lent to the executor. The host divides the work; a threads plugin only runs functions on
// threads.
#pragma once

#include <memory>

#include "core/api/error.hpp"

namespace perdure {

// One pool. Thread safety: team() is called by one thread at a time.
class Threads {
 public:
  virtual ~Threads() = default;

  // The most participants team() may bring, the caller included; >= 1.
  virtual int max_participants() const = 0;

  // Runs fn(context, 0) on the caller and fn(context, i), 0 < i < max_participants(), on workers as
  // they become free: each at most once, perhaps late or never. Returns when every fn that was
  // started has returned. Never throws.
  virtual void team(void (*fn)(void* context, int participant), void* context) noexcept = 0;
};

// The plugin. Lives for ever.
class ThreadsPlugin {
 public:
  virtual ~ThreadsPlugin() = default;

  // Errors: Error if the threads cannot be had. Requires: count >= 1.
  virtual std::unique_ptr<Threads> create(int count) const = 0;
};

}  // namespace perdure
