// SPDX-License-Identifier: Apache-2.0

// A C++ plugin of the right build.
#include "core/api/plugin.h"
#include "core/api/threads.hpp"

namespace {

class Threads final : public perdure::Threads {
  int max_participants() const override { return 1; }
  void team(void (*fn)(void*, int), void* context) noexcept override { fn(context, 0); }
};

class Plugin final : public perdure::ThreadsPlugin {
  std::unique_ptr<perdure::Threads> create(int) const override {
    return std::make_unique<Threads>();
  }
};

}  // namespace

PERDURE_PLUGIN(threads, good, 0) {
  static const Plugin plugin;
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
