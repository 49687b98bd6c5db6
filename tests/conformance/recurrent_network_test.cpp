// SPDX-License-Identifier: Apache-2.0

// attention.recurrent_memory with networks made for it: padding, kept keys, whole segments, and the
// options that it refuses. (perdure_golden compares it with the original.)
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr const char* kCausal = "../../rmt/defaults_xl/model.safetensors";
constexpr const char* kRotating = "../../rmt/rotary_xl_short/model.safetensors";
constexpr const char* kSlots = "../../rmt/memcausal_flash_xl/model.safetensors";
constexpr const char* kAllSeeing = "../../rmt/bidirectional_mask/model.safetensors";
constexpr int64_t kMemory = 4, kSegment = 12;

std::unique_ptr<Engine> network(const char* model, const std::string& options = "",
                                std::vector<std::string> overrides = {}) {
  const std::string attention = "{strategy: recurrent_memory" + options + "}";
  return make_engine({"", model, attention.c_str(), 0, true, 0}, std::move(overrides));
}

std::vector<int32_t> text(const Engine& engine, size_t n, uint32_t seed = 3) {
  return random_tokens(n, engine.spec().info.vocab_size, seed);
}

std::vector<float> memory_of(const Session& session) {
  return session.read_state("memory", 0, kMemory);
}

// Hides the tokens of the running segment from `first` on.
void hide_from(Session& session, size_t first) {
  std::vector<float> padding(static_cast<size_t>(kSegment), 0.0f);
  std::fill(padding.begin() + static_cast<std::ptrdiff_t>(first), padding.end(), 1.0f);
  session.write_state("padding", 0, padding);
}

// A new session that is to read segments of these lengths.
Session aligned(Engine& engine, int64_t n) {
  Session session = engine.new_session();
  engine.align_segments(session, Alignment::kLeft, n);
  return session;
}

}  // namespace

TEST_CASE("a recurrent network takes no notice of padding: its memory is that of a shorter text") {
  for (const char* model : {kCausal, kRotating}) {
    const auto engine = network(model, ", padding: true");
    const auto tokens = text(*engine, kSegment);
    Session padded = engine->new_session(), shorter = aligned(*engine, 9);
    hide_from(padded, 9);
    const auto logits = all_logits(*engine, padded, tokens);
    const auto expected = all_logits(*engine, shorter, std::span(tokens).first(9));
    CHECK(std::equal(expected.begin(), expected.end(), logits.begin()));
    CHECK(memory_of(padded) == memory_of(shorter));
    Session seen = engine->new_session();
    all_logits(*engine, seen, tokens);
    CHECK(memory_of(seen) != memory_of(shorter));
  }
}

TEST_CASE("a recurrent network forgets padding when its segment ends") {
  const auto engine = network(kCausal, ", padding: true");
  Session session = engine->new_session();
  hide_from(session, 5);
  all_logits(*engine, session, text(*engine, kSegment));
  const auto padding = session.read_state("padding", 0, 1);
  CHECK(std::ranges::count(padding, 0.0f) == kSegment);
}

TEST_CASE("a recurrent network counts the keys that it keeps of short segments") {
  const auto engine = network(kCausal);
  const auto kept_behind = [&](int64_t n) {
    Session session = aligned(*engine, n);
    all_logits(*engine, session, text(*engine, static_cast<size_t>(n)));
    return session.read_state("kept_rows", 0, 1)[0];
  };
  CHECK(kept_behind(2) == 11.0f);  // the null key, 4 read rows, 2 tokens, 4 write rows
  CHECK(kept_behind(3) == 12.0f);
  CHECK(kept_behind(12) == 12.0f);
  const auto without = network(kCausal, ", xl_memories: false");
  Session session = without->new_session();
  all_logits(*without, session, text(*without, kSegment));
  CHECK(session.read_state("kept_rows", 0, 1)[0] == 0.0f);
}

TEST_CASE("a recurrent network that sees all of a segment refuses a step with a part of one") {
  const auto engine = network(kAllSeeing);
  Session session = engine->new_session();
  CHECK_THROWS_WITH_AS(all_logits(*engine, session, text(*engine, 5)),
                       doctest::Contains("recurrent_sight"), Error);
  Session whole = aligned(*engine, 5);
  CHECK(all_logits(*engine, whole, text(*engine, 5)).size() == 5 * 67);
}

TEST_CASE("recurrent networks that see whole segments give the same bits alone and together") {
  const auto engine = network(kAllSeeing),
             large = network(kAllSeeing, "", {"threads.backend=tbb", "threads.count=3"});
  const auto tokens = text(*engine, 3 * kSegment);
  Session alone = engine->new_session();
  const auto expected = all_logits(*engine, alone, tokens);
  for (Engine* together : {engine.get(), large.get()}) {
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) sessions.push_back(together->new_session());
    std::vector<Feed> feeds;
    for (Session& session : sessions) feeds.push_back({&session, tokens, Feed::Logits::kAll});
    std::vector<std::vector<float>> logits(3);
    together->feed(feeds, [&](size_t feed, size_t, std::span<const float> row) {
      logits[feed].insert(logits[feed].end(), row.begin(), row.end());
    });
    for (const auto& of_session : logits) CHECK(of_session == expected);
    for (const Session& session : sessions) CHECK(memory_of(session) == memory_of(alone));
  }
  // Without all of it the first row would not know the last.
  auto others = tokens;
  others[kSegment - 1] = (others[kSegment - 1] + 1) % 67;
  Session other = engine->new_session();
  CHECK(all_logits(*engine, other, others)[0] != expected[0]);
}

TEST_CASE("a restored session of a network that sees whole segments continues bit for bit") {
  const auto engine = network(kAllSeeing);
  const auto tokens = text(*engine, kSegment);
  Session session = engine->new_session(), restored = engine->new_session();
  all_logits(*engine, session, tokens);
  restored.restore(session.snapshot());
  CHECK(all_logits(*engine, restored, tokens) == all_logits(*engine, session, tokens));
}

// A token of a full segment is slot 10 + i of 5 kept keys, the null key, 4 read rows, 12 tokens and
// 4 write rows, and sees the first 5 + i: token j from i = j + 6 on. The write rows see the tokens
// up to 6 to 9, and kept of all are the last five, token 11 and the write rows.
TEST_CASE("a network that sees slots shows a token where its slots say so, and token 10 nowhere") {
  const auto engine = network(kSlots);
  const auto tokens = text(*engine, 3 * kSegment);
  const auto read = [&](const std::vector<int32_t>& all) {
    Session session = engine->new_session();
    return all_logits(*engine, session, all);
  };
  const auto expected = read(tokens);
  for (size_t i = 0; i < kSegment; ++i) {
    CAPTURE(i);
    auto changed = tokens;
    changed[kSegment + i] = (changed[kSegment + i] + 1) % 67;
    const auto logits = read(changed);
    const auto behind = static_cast<std::ptrdiff_t>((kSegment + i + 1) * 67);
    const auto first =
        std::mismatch(logits.begin() + behind, logits.end(), expected.begin() + behind).first -
        logits.begin();
    const size_t shows = i == 10 ? 3 * kSegment : i < 6 ? kSegment + i + 6 : 2 * kSegment;
    CHECK(static_cast<size_t>(first) / 67 == shows);
  }
}

TEST_CASE("a hidden memory is seen by no row of its segment, and by all of the next") {
  const auto engine = network(kCausal, ", xl_memories: false");
  const auto tokens = text(*engine, kSegment);
  const auto logits_with = [&](float use, float value) {
    Session session = engine->new_session();
    session.write_state("memory", 0, std::vector<float>(kMemory * 32, value));
    session.write_state("memory_use", 0, std::vector{use});
    return all_logits(*engine, session, std::span(tokens).first(5));
  };
  CHECK(logits_with(2.0f, 0.0f) == logits_with(2.0f, 1.0f));
  CHECK(logits_with(1.0f, 0.0f) != logits_with(1.0f, 1.0f));
  CHECK(logits_with(1.0f, 0.0f) != logits_with(2.0f, 0.0f));
  Session session = engine->new_session();
  session.write_state("memory_use", 0, std::vector{2.0f});
  all_logits(*engine, session, tokens);
  CHECK(session.read_state("memory_use", 0, 1)[0] == 1.0f);
}

TEST_CASE("state that no recurrent network would write does not lead outside") {
  const auto engine = network(kRotating, ", padding: true");
  const auto tokens = text(*engine, 2 * kSegment);
  for (const float wild : {-1.0f, 0.5f, 7.0f, 1e9f, 1e30f}) {
    Session session = engine->new_session();
    session.write_state("kept_rows", 0, std::vector{wild});
    session.write_state("memory_use", 0, std::vector{wild});
    session.write_state("padding", 0, std::vector<float>(kSegment, wild));
    CHECK(all_logits(*engine, session, tokens).size() == tokens.size() * 67);
  }
}

TEST_CASE("options of recurrent_memory that a network made for it does not have are refused") {
  const auto refused = [](const char* model, const std::string& options, const char* why) {
    CAPTURE(options);
    CHECK_THROWS_WITH_AS(network(model, options), doctest::Contains(why), UsageError);
  };
  refused(kCausal, ", num_mem_tokens: 4", "attention.num_mem_tokens");
  refused(kCausal, ", initial: untrained", "attention.initial");
  refused(kCausal, ", rope_scaling: linear, factor: 2", "attention.rope_scaling");
  refused(kCausal, ", xpos: 16", "attention.xpos");
  refused(kCausal, ", segment_size: 13", "at most 12 tokens");
  refused(kCausal, ", layers: {'1': {strategy: full}}", "");
  refused(kSlots, ", padding: true", "memory_not_causal");
  refused("llama.v0.bin", ", padding: true", "attention.padding");
  CHECK_THROWS_WITH_AS(make_engine({"", kCausal, "{strategy: full}", 0, true, 0}),
                       doctest::Contains("no queries and keys"), UsageError);
}
