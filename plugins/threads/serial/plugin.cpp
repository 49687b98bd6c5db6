// SPDX-License-Identifier: Apache-2.0

// The plugin threads.serial: no thread but the caller's.
#include "core/api/plugin.h"
#include "core/api/threads.hpp"

namespace perdure {
namespace {

class SerialThreads final : public Threads {
 public:
  int max_participants() const override { return 1; }
  void team(void (*fn)(void* context, int participant), void* context) noexcept override {
    fn(context, 0);
  }
};

class SerialPlugin final : public ThreadsPlugin {
 public:
  std::unique_ptr<Threads> create(int) const override { return std::make_unique<SerialThreads>(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(threads, serial, 0) {
  static const perdure::SerialPlugin plugin;
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
