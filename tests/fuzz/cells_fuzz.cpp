// SPDX-License-Identifier: Apache-2.0

// Any bytes in the place of a finished cell are read or refused with an Error. The input is tried
// as a file, and as two lines under a checksum that is right, because no fuzzer guesses it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "apps/perdure/compare/cell_store.hpp"
#include "core/api/error.hpp"
#include "core/base/hash.hpp"

namespace {

// What was accepted must survive another round.
void read(const std::string& text) {
  try {
    const std::string once =
        perdure::app::outcome_text("key", perdure::app::parse_outcome(text, "key", "cell"));
    if (perdure::app::outcome_text("key", perdure::app::parse_outcome(once, "key", "cell")) != once)
      std::abort();
  } catch (const perdure::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  char checksum[18];
  std::snprintf(checksum, sizeof checksum, "%016llx\n",
                static_cast<unsigned long long>(perdure::hash64(text)));
  read(text + checksum);
  return 0;
}
