// SPDX-License-Identifier: Apache-2.0

// Any text handed to the readers of results is read or refused with an Error, and what was read is
// written as text that reads back to the same bytes. The first byte chooses the reader.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/api/error.hpp"
#include "core/eval/results.hpp"

namespace {

template <class Read, class Write>
void round_trip(std::string_view text, Read read, Write write) {
  try {
    const std::string once = write(read(text, "fuzz"));
    if (write(read(once, "written")) != once) std::abort();
  } catch (const perdure::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'c')
    round_trip(text, perdure::parse_comparison, perdure::comparison_json);
  else
    round_trip(text, perdure::parse_measure_result, perdure::measure_result_json);
  return 0;
}
