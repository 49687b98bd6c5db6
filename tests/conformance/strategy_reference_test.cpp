// SPDX-License-Identifier: Apache-2.0

// Strategies against a llama in double precision that was written from the definitions
// (tests/support), where no golden data of an original program exists: sliding windows with sinks,
// and the recurrent proof.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/llama_reference.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Vector = LlamaReference::Vector;
using Key = LlamaReference::Key;

constexpr const char* kModel = "llama.v0.bin";

std::unique_ptr<Engine> engine_with(const char* attention) {
  return make_engine({"", kModel, attention, 0, true, 0});
}

std::vector<Vector> embeddings(const LlamaReference& llama, std::span<const int32_t> tokens) {
  std::vector<Vector> rows;
  for (const int32_t token : tokens) rows.push_back(llama.embedding(token));
  return rows;
}

// The largest difference between the engine's logits of row `row` and the reference's.
double difference(const std::vector<float>& logits, size_t row, const Vector& expected) {
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    largest = std::max(largest, std::abs(logits[row * expected.size() + i] - expected[i]));
  return largest;
}

// What a row sees of `sinks` first rows and `window` latest, in order.
std::vector<size_t> visible(size_t row, size_t sinks, size_t window) {
  std::vector<size_t> rows;
  for (size_t j = 0; j <= row; ++j)
    if (j < sinks || j + window > row) rows.push_back(j);
  return rows;
}

void check_against_reference(const char* attention, const LlamaReference::Sees& sees) {
  const auto engine = engine_with(attention);
  const auto tokens = random_tokens(40, engine->spec().info.vocab_size, 21);
  Session session = engine->new_session();
  const auto logits = all_logits(*engine, session, tokens);
  const LlamaReference llama(engine->model());
  const auto rows = llama.run(embeddings(llama, tokens), sees);
  for (size_t t = 0; t < tokens.size(); ++t) {
    CAPTURE(t);
    CHECK(difference(logits, t, llama.logits(rows[t])) < 2e-4);
  }
}

// A new session that remembers what `like` remembers, but stands at `position`.
// Requires: the window of `like` is full.
Session session_at(const Engine& engine, const Session& like, int64_t position) {
  SnapshotContents contents = decode_snapshot(like.snapshot());
  contents.position = position;
  Session session = engine.new_session();
  session.restore(encode_snapshot(contents));
  return session;
}

}  // namespace

TEST_CASE("full attention equals the reference") {
  check_against_reference("{strategy: full}", [](size_t row) {
    std::vector<Key> keys;
    for (size_t j = 0; j <= row; ++j) keys.push_back({j, static_cast<int64_t>(j)});
    return keys;
  });
}

TEST_CASE("a sliding window with sinks at absolute positions equals the reference") {
  check_against_reference("{strategy: sliding_window, window: 6, sinks: 3}", [](size_t row) {
    std::vector<Key> keys;
    for (const size_t j : visible(row, 3, 6)) keys.push_back({j, static_cast<int64_t>(j)});
    return keys;
  });
}

TEST_CASE(
    "a re-indexed sliding window rotates by places among the visible keys, as the reference does") {
  check_against_reference("{strategy: sliding_window, window: 6, sinks: 3, positions: reindexed}",
                          [](size_t row) {
                            std::vector<Key> keys;
                            for (const size_t j : visible(row, 3, 6))
                              keys.push_back({j, static_cast<int64_t>(keys.size())});
                            return keys;
                          });
  // Not vacuous: absolute positions give other numbers once something has left the window.
  const auto absolute = engine_with("{strategy: sliding_window, window: 6, sinks: 3}");
  const auto reindexed =
      engine_with("{strategy: sliding_window, window: 6, sinks: 3, positions: reindexed}");
  const auto tokens = random_tokens(40, absolute->spec().info.vocab_size, 21);
  Session one = absolute->new_session(), other = reindexed->new_session();
  const auto logits = all_logits(*absolute, one, tokens);
  const Vector last(logits.end() - absolute->spec().info.vocab_size, logits.end());
  CHECK(difference(all_logits(*reindexed, other, tokens), 39, last) > 1e-2);
}

TEST_CASE("a re-indexed window gives the same bits at position 2^40 as at the beginning") {
  const auto engine =
      engine_with("{strategy: sliding_window, window: 6, sinks: 3, positions: reindexed}");
  const auto tokens = random_tokens(40, engine->spec().info.vocab_size, 22);
  const std::span<const int32_t> all(tokens);
  Session near = engine->new_session();
  all_logits(*engine, near, all.first(20));
  Session far = session_at(*engine, near, int64_t{1} << 40);
  CHECK(all_logits(*engine, far, all.subspan(20)) == all_logits(*engine, near, all.subspan(20)));
  CHECK(far.position() == (int64_t{1} << 40) + 20);
}

TEST_CASE("absolute positions beyond 2^24 rotate as exactly as small ones") {
  const auto engine = engine_with("{strategy: sliding_window, window: 4}");
  const auto n_vocab = static_cast<size_t>(engine->spec().info.vocab_size);
  // Rotated scores depend on distances only, so once every visible key stems from these tokens,
  // through both layers, the logits do not depend on where the session began.
  const auto tokens = random_tokens(30, engine->spec().info.vocab_size, 23);
  constexpr size_t kForgotten = 10;
  Session near = engine->new_session();
  const auto expected = all_logits(*engine, near, tokens);
  for (const int64_t start : {int64_t{1} << 17, (int64_t{1} << 24) + 1, int64_t{1} << 33}) {
    CAPTURE(start);
    Session far = session_at(*engine, near, start);
    const auto logits = all_logits(*engine, far, tokens);
    for (size_t i = kForgotten * n_vocab; i < logits.size(); ++i)
      REQUIRE(std::abs(logits[i] - expected[i]) < 2e-4);
  }
}

TEST_CASE(
    "the recurrent proof equals a plain transformer run segment by segment with its memory rows") {
  const auto engine = engine_with("{strategy: recurrent_proof}");
  constexpr size_t kSegment = kProofSegment, kMemory = kProofMemory;
  const auto tokens = random_tokens(3 * kSegment + 2, engine->spec().info.vocab_size, 24);
  Session session = engine->new_session();
  const auto logits = all_logits(*engine, session, tokens);

  const LlamaReference llama(engine->model());
  const auto sees = [](size_t row) {
    std::vector<Key> keys;
    for (size_t j = 0; j <= row; ++j) keys.push_back({j, static_cast<int64_t>(j)});
    return keys;
  };
  std::vector<Vector> memory(kMemory,
                             Vector(static_cast<size_t>(engine->spec().info.hidden_size), 0.0));
  for (size_t first = 0; first < tokens.size(); first += kSegment) {
    const size_t n = std::min(kSegment, tokens.size() - first);
    std::vector<Vector> rows;
    for (const Vector& m : memory) rows.push_back(llama.norm(m, ""));
    for (size_t t = 0; t < n; ++t) rows.push_back(llama.embedding(tokens[first + t]));
    for (size_t m = 0; m < kMemory; ++m) rows.push_back(llama.embedding(static_cast<int32_t>(m)));
    rows = llama.run(std::move(rows), sees);
    for (size_t t = 0; t < n; ++t) {
      CAPTURE(first + t);
      CHECK(difference(logits, first + t, llama.logits(rows[kMemory + t])) < 2e-4);
    }
    for (size_t m = 0; m < kMemory; ++m)
      memory[m] = llama.norm(rows[kMemory + n + m], "output_norm.weight");
  }
  // Not vacuous: without its memory the second segment reads differently.
  Session forgetful = engine->new_session();
  const std::span<const int32_t> all(tokens);
  all_logits(*engine, forgetful, all.first(kSegment));
  forgetful.write_state("memory", 0, std::vector<float>(memory.size() * memory[0].size(), 0.0f));
  const auto second = all_logits(*engine, forgetful, all.subspan(kSegment, 1));
  CHECK_FALSE(std::equal(second.begin(), second.end(),
                         logits.begin() + static_cast<std::ptrdiff_t>(kSegment * second.size())));
}
