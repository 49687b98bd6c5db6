// SPDX-License-Identifier: Apache-2.0

// Any bytes handed to the snapshot reader are decoded or refused with an Error. The input is tried
// as a file, and as a payload inside a valid frame, because no fuzzer guesses checksums.
#include <cstdint>
#include <cstdlib>

#include "core/api/error.hpp"
#include "core/engine/snapshot.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace {

using perdure::fuzzing::Bytes;

// What was accepted must survive another round.
void decode(std::span<const std::byte> bytes) {
  try {
    const Bytes once = perdure::encode_snapshot(perdure::decode_snapshot(bytes));
    if (perdure::encode_snapshot(perdure::decode_snapshot(once)) != once) std::abort();
  } catch (const perdure::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  decode(bytes);
  if (size < perdure::fuzzing::kMaxPayload)
    for (const uint32_t version : {1u, 2u, 3u}) decode(perdure::fuzzing::framed(bytes, version));
  return 0;
}
