// SPDX-License-Identifier: Apache-2.0

// Any bytes as a raw memory file of llama2Rnn are refused or imported, and the session reads on.
// The input is tried as it is, and as a file of the right size that repeats it and ends with its
// last four bytes, the position.
#include <cstdint>
#include <cstdlib>

#include "core/api/error.hpp"
#include "core/engine/legacy_memory.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/engine_fixture.hpp"

namespace {

using namespace perdure;
using perdure::fuzzing::Bytes;

Engine& memory_engine() {
  static Engine engine(testing::golden_settings("memA.q80.bin"), linked_plugins());
  return engine;
}

void import_and_read(std::span<const std::byte> bytes) {
  Engine& engine = memory_engine();
  const fuzzing::MemoryFile file(bytes);
  Session session = engine.new_session();
  try {
    import_legacy_memory(engine, session, file.path());
    testing::all_logits(engine, session,
                        testing::random_tokens(10, engine.spec().info.vocab_size, 1));
    session.snapshot();
  } catch (const Error&) {
  }
}

Bytes right_size(std::span<const std::byte> input) {
  constexpr size_t kLayers = 3, kRows = 8, kLength = 64, kColumns = 64;  // of memA
  Bytes file(kLayers * kColumns * (kRows + 2 * kLength) * sizeof(float) + 4);
  for (size_t i = 0; i < file.size(); ++i) file[i] = input[i % input.size()];
  std::memcpy(file.data() + file.size() - 4, input.data() + input.size() - 4, 4);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  import_and_read(input);
  if (size >= 4) import_and_read(right_size(input));
  return 0;
}
