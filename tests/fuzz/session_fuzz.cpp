// SPDX-License-Identifier: Apache-2.0

// Any contents of a snapshot under the right identity are refused, or restored into a session that
// reads on and is saved again. The first byte of the input chooses the strategy, and whether the
// rest is what follows the notes in a payload of version 2; of version 3, behind the number of
// bytes that belong before the identity, and those; or lines in the place of the strategy's own in
// the identity of a good snapshot.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "core/api/error.hpp"
#include "core/engine/snapshot.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/engine_fixture.hpp"

namespace {

using namespace perdure;
using perdure::fuzzing::Bytes;

constexpr const char* kStrategies[] = {
    "{strategy: memory}",
    "{strategy: memory, update: token}",
    "{strategy: full, max_length: 64}",
    "{strategy: sliding_window, window: 3, sinks: 1}",
};
constexpr int kIdentity = 0x80, kVersion3 = 0x40;  // bits of the first byte

Engine& engine_of(size_t strategy) {
  static std::array<std::unique_ptr<Engine>, std::size(kStrategies)> engines;
  if (!engines[strategy])
    engines[strategy] = std::make_unique<Engine>(
        testing::golden_settings(
            "", {"model.path=" PERDURE_SOURCE_DIR "/tests/fuzz/corpus/llama2c/v2_memory.bin",
                 std::string("attention=") + kStrategies[strategy]}),
        linked_plugins());
  return *engines[strategy];
}

Bytes good_snapshot(Engine& engine) {
  Session session = engine.new_session();
  testing::all_logits(engine, session, testing::random_tokens(7, 5, 1));
  return session.snapshot();
}

// The good snapshot under an identity whose lines about the strategy are the input's.
Bytes with_identity(Engine& engine, std::span<const std::byte> lines) {
  SnapshotContents contents = decode_snapshot(good_snapshot(engine));
  const size_t begin = contents.identity.find("layers "), end = contents.identity.rfind("state: ");
  contents.identity.replace(
      begin, end - begin,
      std::string(reinterpret_cast<const char*>(lines.data()), lines.size()) + "\n");
  return encode_snapshot(contents);
}

Bytes with_payload(Engine& engine, std::span<const std::byte> rest) {
  Bytes payload;
  fuzzing::append_text(payload, engine.identity());
  fuzzing::append(payload, uint32_t{0});
  payload.insert(payload.end(), rest.begin(), rest.end());
  return fuzzing::framed(payload, 2);
}

// The payload has the values, the head and where it begins.
Bytes with_payload3(Engine& engine, std::span<const std::byte> rest) {
  const size_t values =
      rest.size() < 2 ? 0
                      : std::to_integer<size_t>(rest[0]) * 256 + std::to_integer<size_t>(rest[1]);
  rest = rest.subspan(std::min<size_t>(rest.size(), 2));
  const auto before = rest.first(std::min(rest.size(), values)),
             behind = rest.subspan(before.size());
  Bytes payload(before.begin(), before.end());
  fuzzing::append_text(payload, engine.identity());
  fuzzing::append(payload, uint32_t{0});
  payload.insert(payload.end(), behind.begin(), behind.end());
  fuzzing::append(payload, uint64_t{before.size()});
  return fuzzing::framed(payload, 3);
}

Bytes input_snapshot(Engine& engine, int kind, std::span<const std::byte> rest) {
  if (kind & kIdentity) return with_identity(engine, rest);
  return kind & kVersion3 ? with_payload3(engine, rest) : with_payload(engine, rest);
}

// What was restored reads on, and comes back as it was.
void read_on(Engine& engine, Session& session) {
  const auto tokens = testing::random_tokens(4, 5, 2);
  const std::vector<float> logits = testing::all_logits(engine, session, tokens);
  Session again = engine.new_session();
  const Bytes saved = session.snapshot();
  again.restore(saved);
  if (again.snapshot() != saved) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size >= (1u << 18)) return 0;
  Engine& engine = engine_of(data[0] % std::size(kStrategies));
  const auto rest = std::as_bytes(std::span(data, size)).subspan(1);
  Session session = engine.new_session();
  try {
    session.restore(input_snapshot(engine, data[0], rest));
    read_on(engine, session);
  } catch (const Error&) {
  }
  return 0;
}
