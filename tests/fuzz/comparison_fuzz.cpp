// SPDX-License-Identifier: Apache-2.0

// Any text as a configuration with a section `compare` is read or refused with a UsageError, and
// what was read is dumped to text that gives the same dump. Wildcards are taken out: what they
// match is the disk's.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/config/comparison.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace {

std::string dump(const std::string& text) {
  const perdure::fuzzing::MemoryFile file(std::as_bytes(std::span(text)));
  perdure::load_comparison(file.path(), {});
  return perdure::dump_comparison(file.path(), {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::ranges::replace_if(text, [](char c) { return c == '*' || c == '?'; }, 'x');
  std::string once;
  try {
    once = dump(text);
  } catch (const perdure::Error&) {
    return 0;
  }
  if (dump(once) != once) std::abort();
  return 0;
}
