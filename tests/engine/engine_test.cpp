// SPDX-License-Identifier: Apache-2.0

#include "core/engine/engine.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/model/weights_hash.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr const char* kMemoryModel = "memA.q80.bin";

// What a session has been given and has answered: three of the logits behind each feed.
struct Reader {
  Session session;
  std::vector<int32_t> tokens;
  size_t read = 0;
  std::vector<size_t> asked;  // tokens read when it answered
  std::vector<float> logits;
};

void append_three(std::vector<float>& to, std::span<const float> logits) {
  to.insert(to.end(), {logits[0], logits[logits.size() / 2], logits[logits.size() - 1]});
}

}  // namespace

TEST_CASE("reading token by token equals reading the whole prompt, bit for bit") {
  for (const char* strategy : {"memory", "full"}) {
    CAPTURE(strategy);
    Engine engine(golden_settings(kMemoryModel, {std::string("attention.strategy=") + strategy}),
                  linked_plugins());
    const auto tokens = random_tokens(77, engine.spec().info.vocab_size, 3);
    Session whole = engine.new_session(), single = engine.new_session();
    CHECK(all_logits(engine, whole, tokens) == logits_token_by_token(engine, single, tokens));
    CHECK(whole.position() == 77);
  }
}

TEST_CASE(
    "five sessions in any phase share 10,000 steps and each equals itself alone, bit for bit") {
  Engine engine(golden_settings(kMemoryModel, {"step.max_rows=16"}), linked_plugins());
  const int64_t segment = engine.traits().segment_length;
  const int64_t vocab_size = engine.spec().info.vocab_size;
  REQUIRE(segment == 8);
  constexpr size_t kSteps = 10000;
  std::mt19937 random(11);
  std::vector<Reader> readers;
  const int64_t starts[] = {0, 1, segment - 1, segment / 2, 0};
  for (size_t i = 0; i < 5; ++i) {
    readers.push_back({engine.new_session(),
                       random_tokens(3 * kSteps, vocab_size, static_cast<uint32_t>(i)),
                       0,
                       {},
                       {}});
    // Bring it to its phase; the fifth is in the middle of a long prompt all the time.
    const auto n = static_cast<size_t>(starts[i]);
    const Feed one[] = {
        {&readers[i].session, std::span(readers[i].tokens).first(n), Feed::Logits::kNone}};
    engine.feed(one, {});
    readers[i].read = n;
  }
  for (size_t step = 0; step < kSteps; ++step) {
    std::vector<Feed> feeds;
    std::vector<size_t> who;
    for (size_t i = 0; i < 5; ++i) {
      if (random() % 3 == 0) continue;
      const size_t n = i == 4 ? 1 + random() % 11 : 1;
      const size_t left = readers[i].tokens.size() - readers[i].read;
      if (left < n) continue;
      feeds.push_back({&readers[i].session,
                       std::span(readers[i].tokens).subspan(readers[i].read, n),
                       Feed::Logits::kLast});
      who.push_back(i);
      readers[i].read += n;
      readers[i].asked.push_back(readers[i].read);
    }
    engine.feed(feeds, [&](size_t feed, size_t, std::span<const float> l) {
      append_three(readers[who[feed]].logits, l);
    });
  }
  for (size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    Session alone = engine.new_session();
    const auto all = all_logits(engine, alone, std::span(readers[i].tokens).first(readers[i].read));
    std::vector<float> expected;
    for (const size_t asked : readers[i].asked)
      append_three(expected, std::span(all).subspan((asked - 1) * static_cast<size_t>(vocab_size),
                                                    static_cast<size_t>(vocab_size)));
    CHECK(expected == readers[i].logits);
    CHECK(alone.position() == readers[i].session.position());
    for (const std::string& name : alone.state_names()) {
      CAPTURE(name);
      const int64_t rows = name.find("mem_raw") != std::string::npos ? segment : 2 * segment;
      CHECK(alone.read_state(name, 0, rows) == readers[i].session.read_state(name, 0, rows));
    }
  }
}

TEST_CASE("tokens outside the vocabulary are refused before anything is computed") {
  Engine engine(golden_settings(kMemoryModel), linked_plugins());
  Session session = engine.new_session();
  const std::vector<int32_t> tokens{1, 2, 96};
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  CHECK_THROWS_WITH_AS(engine.feed(session, tokens, logits),
                       "token 2 is 96, but the vocabulary has ids 0 to 95", Error);
  CHECK(session.position() == 0);
}

TEST_CASE("a session at its longest says so before anything is computed") {
  Engine engine(
      golden_settings("llama.v0.bin", {"attention.strategy=full", "attention.max_length=20"}),
      linked_plugins());
  REQUIRE(engine.max_length() == 20);
  Session session = engine.new_session();
  const auto tokens = random_tokens(21, engine.spec().info.vocab_size, 1);
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  CHECK_THROWS_AS(engine.feed(session, tokens, logits), Error);
  CHECK(session.position() == 0);
  engine.feed(session, std::span(tokens).first(20), logits);
  CHECK(session.position() == 20);
}

TEST_CASE("a position never reaches the end of its numbers") {
  constexpr int64_t kLongest = int64_t{1} << 62;
  Engine engine(golden_settings(kMemoryModel), linked_plugins());
  CHECK_FALSE(engine.max_length().has_value());
  Session session = engine.new_session();
  for (const int64_t beyond : {int64_t{-1}, kLongest + 1, INT64_MAX})
    CHECK_THROWS_AS(session.set_position(beyond), Error);
  session.set_position(kLongest - 3);
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  const std::vector<int32_t> tokens{1, 2, 3, 4};
  CHECK_THROWS_WITH_AS(engine.feed(session, tokens, logits),
                       doctest::Contains("at most 4611686018427387904 tokens"), Error);
  CHECK(session.position() == kLongest - 3);
  engine.feed(session, std::span(tokens).first(3), logits);
  CHECK(session.position() == kLongest);
}

TEST_CASE("a session cannot be fed to another engine, nor twice in one call") {
  Engine a(golden_settings(kMemoryModel), linked_plugins()),
      b(golden_settings(kMemoryModel), linked_plugins());
  Session session = a.new_session();
  const std::vector<int32_t> tokens{1};
  const Feed one[] = {{&session, tokens, Feed::Logits::kNone},
                      {&session, tokens, Feed::Logits::kNone}};
  CHECK_THROWS_AS(b.feed(std::span(one).first(1), {}), Error);
  CHECK_THROWS_AS(a.feed(one, {}), Error);
}

TEST_CASE("a call that is asked to stop ends after whole steps and can be continued") {
  Engine engine(golden_settings(kMemoryModel, {"step.max_rows=4"}), linked_plugins());
  const auto tokens = random_tokens(40, engine.spec().info.vocab_size, 5);
  Session stopped = engine.new_session(), whole = engine.new_session();
  int asked = 0;
  const Feed one[] = {{&stopped, tokens, Feed::Logits::kNone}};
  const auto read = engine.feed(one, {}, [&] { return ++asked <= 3; });
  REQUIRE(read[0] == 12);
  CHECK(stopped.position() == 12);
  std::vector<float> a(static_cast<size_t>(engine.spec().info.vocab_size)), b = a;
  engine.feed(stopped, std::span(tokens).subspan(12), a);
  engine.feed(whole, tokens, b);
  CHECK(a == b);
}

TEST_CASE("settings that ask for what cannot be are refused") {
  auto fails = [](const std::string& override) {
    CAPTURE(override);
    CHECK_THROWS_AS(Engine(golden_settings(kMemoryModel, {override}), linked_plugins()),
                    UsageError);
  };
  fails("attention.strategy=memry");
  fails("attention.no_such_option=1");
  fails("kernels.prefer=[no_such_plugin]");
  fails("kernels.isa=avx1024");
  fails("kernels.pin={mat_mul: no_such_kernel}");
  fails("kernels.pin={no_such_operation: mat_mul_f32_scalar}");
  fails("threads.backend=no_such_threads");
  fails("attention.layers={'7': {strategy: full}}");
  fails("model.path=");
  fails("attention.rope_theta=1e-300");
  fails("attention={rope_scaling: linear, factor: 1e-300}");
}

TEST_CASE("xpos that leaves the range of F32 inside a segment and its memory is refused") {
  const auto attention = [](int mem_len) {
    return "attention={strategy: memory, initial: zero, xpos: 1, mem_len: " +
           std::to_string(mem_len) + "}";
  };
  CHECK_THROWS_WITH_AS(Engine(golden_settings("llama.v0.bin", {attention(58)}), linked_plugins()),
                       doctest::Contains("at most 115 places"), UsageError);
  Engine engine(golden_settings("llama.v0.bin", {attention(57)}), linked_plugins());
  Session session = engine.new_session();
  for (const float logit :
       all_logits(engine, session, random_tokens(120, engine.spec().info.vocab_size, 8)))
    REQUIRE(std::isfinite(logit));
}

TEST_CASE("a kernel that a strategy brings for its own operation can be pinned") {
  CHECK_NOTHROW(Engine(
      golden_settings("pt_lstm.safetensors", {"kernels.pin={mix_rows: mix_rows_f32_scalar}"}),
      linked_plugins()));
}

TEST_CASE("rows of a ring that has dropped nothing can be read across its sinks") {
  Engine engine(golden_settings("llama.v0.bin",
                                {"attention={strategy: sliding_window, window: 5, sinks: 2}"}),
                linked_plugins());
  Session session = engine.new_session();
  const auto tokens = random_tokens(8, engine.spec().info.vocab_size, 9);
  all_logits(engine, session, std::span(tokens).first(7));
  const auto whole = session.read_state("blk.0.attn_k", 0, 7);
  const auto sinks = session.read_state("blk.0.attn_k", 0, 2);
  CHECK(std::equal(sinks.begin(), sinks.end(), whole.begin()));
  all_logits(engine, session, std::span(tokens).subspan(7));
  CHECK_THROWS_AS(session.read_state("blk.0.attn_k", 0, 8), Error);
  CHECK(session.read_state("blk.0.attn_k", 3, 5).size() == 5 * whole.size() / 7);
}

TEST_CASE("no plan holds more rows than a step may have") {
  Engine engine(golden_settings(kMemoryModel, {"step.max_rows=3"}), linked_plugins());
  const std::string plans = engine.describe_plan("step");
  CHECK(plans.find("up to 3 rows") != std::string::npos);
  CHECK(plans.find("up to 8 rows") == std::string::npos);
}

TEST_CASE("an engine says how many threads compute, whatever was asked for") {
  const auto threads = [](const std::string& choice) {
    return Engine(golden_settings(kMemoryModel, {"threads=" + choice}), linked_plugins())
        .n_threads();
  };
  CHECK(threads("{backend: serial, count: 3}") == 1);
  CHECK(threads("{backend: tbb, count: 3}") == 3);
  CHECK(threads("{backend: tbb}") >= 1);
}

TEST_CASE("an engine that neither saves nor restores never reads its weights for their hash") {
  const int64_t before = hashes_computed();
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  Session session = engine.new_session();
  all_logits(engine, session, random_tokens(4, engine.spec().info.vocab_size, 1));
  CHECK(hashes_computed() == before);
  session.snapshot();
  session.snapshot();
  CHECK(hashes_computed() == before + 1);
}
