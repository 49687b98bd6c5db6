// SPDX-License-Identifier: Apache-2.0

// Threads whose constructor tells that code of the library was run: in the environment, and by
// making the file that PERDURE_TEST_TRACE names.
#include <cstdlib>
#include <fstream>

#include "core/api/plugin.h"
#include "core/api/threads.hpp"

namespace {

int leave_traces() {
  if (const char* file = std::getenv("PERDURE_TEST_TRACE")) std::ofstream(file) << "ran\n";
  return setenv("PERDURE_TEST_RAN", "1", 1);
}
const int ran = leave_traces();

class Plugin final : public perdure::ThreadsPlugin {
  std::unique_ptr<perdure::Threads> create(int) const override { return nullptr; }
};

}  // namespace

PERDURE_PLUGIN(threads, leaves_trace, 0) {
  static const Plugin plugin;
  static_cast<void>(ran);
  return static_cast<const perdure::ThreadsPlugin*>(&plugin);
}
