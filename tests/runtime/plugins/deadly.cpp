// SPDX-License-Identifier: Apache-2.0

// Ends the process while it is loaded, or at the end of the process, in the way that
// PERDURE_TEST_DEATH names.
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "core/api/plugin.h"
#include "core/api/threads.hpp"

namespace {

bool death(std::string_view name) {
  const char* wanted = std::getenv("PERDURE_TEST_DEATH");
  return wanted && name == wanted;
}

int die() {
  if (death("abort")) std::abort();
  if (death("crash")) *static_cast<volatile int*>(nullptr) = 1;
  if (death("exit")) std::exit(0);
  if (death("_exit")) _exit(3);
  return 0;
}
const int dead = die();

struct DiesLate {
  ~DiesLate() {
    if (death("static destructor")) std::abort();
  }
} const dies_late;

__attribute__((destructor)) void exits_late() {
  if (death("destructor exits")) _exit(4);
}

class Threads final : public perdure::Threads {
  int max_participants() const override { return 1; }
  void team(void (*fn)(void*, int), void* context) noexcept override { fn(context, dead); }
};

class Plugin final : public perdure::ThreadsPlugin {
  std::unique_ptr<perdure::Threads> create(int) const override {
    return std::make_unique<Threads>();
  }
};

}  // namespace

PERDURE_PLUGIN(threads, deadly, 0) {
  if (death("entry exits")) std::exit(0);
  if (death("entry aborts")) std::abort();
  static const Plugin plugin;
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
