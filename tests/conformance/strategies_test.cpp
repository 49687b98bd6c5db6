// SPDX-License-Identifier: Apache-2.0

// The conformance suite of attention strategies: what the engine promises of every one of them, bit
// for bit.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <source_location>
#include <vector>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/sanitized.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// Long enough for three edges and some more.
size_t text_length(const Candidate& c) { return 3 * c.edge + 5; }

std::vector<int32_t> text(const Engine& engine, const Candidate& c, uint32_t seed) {
  return random_tokens(text_length(c), engine.spec().info.vocab_size, seed);
}

std::vector<float> alone(Engine& engine, std::span<const int32_t> tokens) {
  Session session = engine.new_session();
  return all_logits(engine, session, tokens);
}

// Runs `check` for every candidate on an engine of its own, with its name in failures. Under a
// sanitizer a test takes a third of them, by its line in this file; without, every test takes all.
template <typename Check>
void for_each_candidate(const Check& check,
                        std::source_location test = std::source_location::current()) {
  constexpr size_t kStride = kSanitized ? 3 : 1;
  for (size_t i = test.line() % kStride; i < candidates().size(); i += kStride) {
    const Candidate& c = candidates()[i];
    INFO("strategy: ", std::string(c.name));
    const auto engine = make_engine(c);
    check(c, *engine);
  }
}

// Whether no later logits depend on the token at `at`.
bool forgets(const Candidate& c, size_t at, size_t n_tokens) {
  const std::string name = c.name;
  // A memory that is never updated keeps nothing of a segment's last token.
  if (name == "memory, never") return at + 1 == c.edge;
  // The last token is the fifth of its segment and sees the first nine slots: the kept keys, the
  // null key and read rows, but not the token before it.
  return name == "recurrent_memory, a network that sees slots" && at + 2 == n_tokens;
}

// A session with the logits it has given so far.
struct Reader {
  Session session;
  std::vector<int32_t> tokens;
  size_t read = 0;
  std::vector<float> logits;

  size_t left() const { return tokens.size() - read; }
};

// Reads `counts[i]` tokens of reader i, all in one call.
void read_together(Engine& engine, std::vector<Reader>& readers,
                   const std::vector<size_t>& counts) {
  std::vector<Feed> feeds;
  for (size_t i = 0; i < readers.size(); ++i)
    feeds.push_back({&readers[i].session,
                     std::span(readers[i].tokens).subspan(readers[i].read, counts[i]),
                     Feed::Logits::kAll});
  engine.feed(feeds, [&](size_t feed, size_t, std::span<const float> logits) {
    readers[feed].logits.insert(readers[feed].logits.end(), logits.begin(), logits.end());
  });
  for (size_t i = 0; i < readers.size(); ++i) readers[i].read += counts[i];
}

std::vector<Reader> three_readers(Engine& engine, const Candidate& c) {
  std::vector<Reader> readers;
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    auto tokens = text(engine, c, seed);
    tokens.resize(tokens.size() - seed);
    readers.push_back({engine.new_session(), std::move(tokens), 0, {}});
  }
  return readers;
}

}  // namespace

TEST_CASE("strategies: token by token equals the whole prompt") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 5);
    Session single = engine.new_session();
    CHECK(alone(engine, tokens) == logits_token_by_token(engine, single, tokens));
  });
}

TEST_CASE("strategies: the fastest kernels agree with the definition, and token by token too") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto fast = make_engine(c, {"kernels.prefer=[simd]", "kernels.activations=f32"});
    const auto scalar = make_engine(c, {"kernels.activations=f32"});
    const auto tokens = text(engine, c, 15);
    Session single = fast->new_session();
    const auto whole = alone(*fast, tokens);
    const auto by_token = logits_token_by_token(*fast, single, tokens);
    const auto defined = alone(*scalar, tokens);
    for (size_t i = 0; i < whole.size(); ++i) {
      REQUIRE(std::abs(whole[i] - by_token[i]) < 1e-4);
      REQUIRE(std::abs(whole[i] - defined[i]) < 1e-3);
    }
  });
}

TEST_CASE("strategies: a text may be cut into feeds anywhere") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 6);
    const auto whole = alone(engine, tokens);
    std::mt19937 random(7);
    for (int trial = 0; trial < 5; ++trial) {
      Session session = engine.new_session();
      std::vector<float> pieces;
      for (size_t at = 0; at < tokens.size();) {
        const size_t n = std::min<size_t>(1 + random() % (c.edge + 2), tokens.size() - at);
        const auto piece = all_logits(engine, session, std::span(tokens).subspan(at, n));
        pieces.insert(pieces.end(), piece.begin(), piece.end());
        at += n;
      }
      CHECK(pieces == whole);
    }
  });
}

TEST_CASE("strategies: the size of steps and the number of threads change no bit") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 8);
    const auto expected = alone(engine, tokens);
    CHECK(alone(*make_engine(c, {"step.max_rows=3"}), tokens) == expected);
    CHECK(alone(*make_engine(c, {"threads.backend=tbb", "threads.count=2"}), tokens) == expected);
  });
}

TEST_CASE("strategies: sessions that share steps equal themselves alone") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    auto readers = three_readers(engine, c);
    read_together(engine, readers, {readers[0].left(), readers[1].left(), readers[2].left()});
    for (const Reader& reader : readers) CHECK(reader.logits == alone(engine, reader.tokens));
  });
}

TEST_CASE("strategies: sessions that share the smallest steps equal themselves alone") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    for (const char* rows : {"step.max_rows=1", "step.max_rows=4"}) {
      CAPTURE(rows);
      const auto small = make_engine(c, {rows});
      auto readers = three_readers(*small, c);
      read_together(*small, readers, {readers[0].left(), readers[1].left(), readers[2].left()});
      for (const Reader& reader : readers) CHECK(reader.logits == alone(engine, reader.tokens));
    }
  });
}

TEST_CASE("strategies: sessions interleaved at random do not leak into each other") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    auto readers = three_readers(engine, c);
    std::mt19937 random(9);
    const auto some = [&](const Reader& r) {
      return std::min<size_t>(r.left(), random() % (c.edge + 1));
    };
    while (readers[0].left() + readers[1].left() + readers[2].left() > 0)
      read_together(engine, readers, {some(readers[0]), some(readers[1]), some(readers[2])});
    for (const Reader& reader : readers) CHECK(reader.logits == alone(engine, reader.tokens));
  });
}

TEST_CASE("strategies: a session restored at any point continues bit for bit") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 10);
    const std::span<const int32_t> all(tokens);
    for (const size_t at :
         {size_t{0}, size_t{1}, c.edge / 2, c.edge - 1, c.edge, c.edge + 1, 2 * c.edge + 3}) {
      CAPTURE(at);
      Session session = engine.new_session();
      all_logits(engine, session, all.first(at));
      const auto snapshot = session.snapshot();
      const auto expected = all_logits(engine, session, all.subspan(at));
      const auto other_engine = make_engine(c);
      for (Engine* where : {&engine, other_engine.get()}) {
        Session restored = where->new_session();
        all_logits(*where, restored, text(engine, c, 11));  // what it held before must not show
        restored.restore(snapshot);
        CHECK(restored.position() == static_cast<int64_t>(at));
        CHECK(all_logits(*where, restored, all.subspan(at)) == expected);
      }
    }
  });
}

TEST_CASE("strategies: a fork and its origin continue as two independent sessions") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 16);
    auto other_tokens = text(engine, c, 17);
    const std::span<const int32_t> all(tokens);
    for (const size_t at : {size_t{0}, c.edge - 1, c.edge, 2 * c.edge + 3}) {
      CAPTURE(at);
      std::copy_n(tokens.begin(), at, other_tokens.begin());
      Session session = engine.new_session();
      all_logits(engine, session, all.first(at));
      session.set_value("turn", int64_t{7});
      Session fork = engine.fork(session);
      CHECK(fork.snapshot() == session.snapshot());
      const auto rest = all_logits(engine, session, all.subspan(at));
      const auto other =
          all_logits(engine, fork, std::span<const int32_t>(other_tokens).subspan(at));
      const auto expected = alone(engine, tokens), expected_other = alone(engine, other_tokens);
      CHECK(std::ranges::equal(rest, std::span(expected).last(rest.size())));
      CHECK(std::ranges::equal(other, std::span(expected_other).last(other.size())));
    }
  });
}

TEST_CASE(
    "strategies: a ring that is not written by position must say how many tokens share a row") {
  CHECK_THROWS_WITH_AS(make_engine({"block", "llama.v0.bin",
                                    "{strategy: block_proof, declared: false}", 5, true, 0}),
                       doctest::Contains("tokens_per_row"), Error);
}

TEST_CASE("strategies: a snapshot with more counted rows than there is room for is refused") {
  const auto engine =
      make_engine({"counted", "llama.v0.bin", "{strategy: counted_proof}", 8, true, 0});
  Session session = engine->new_session();
  all_logits(*engine, session, random_tokens(30, engine->spec().info.vocab_size, 2));
  const auto before = session.snapshot();
  SnapshotContents contents = decode_snapshot(before);
  SnapshotTensor& keys = contents.tensors[0];
  CHECK(keys.rows > 0);
  keys.rows = 7;
  keys.values.resize(static_cast<size_t>(7 * keys.columns));
  CHECK_THROWS_WITH_AS(session.restore(encode_snapshot(contents)), doctest::Contains("belongs"),
                       Error);
  CHECK(session.snapshot() == before);
}

TEST_CASE(
    "strategies: a sink that throws leaves the session at rest, and it continues bit for bit") {
  for_each_candidate([](const Candidate& c, Engine&) {
    const auto engine = make_engine(c, {"step.max_rows=5"});
    const auto tokens = text(*engine, c, 14);
    const auto expected = alone(*engine, tokens);
    for (const size_t fails_at : {size_t{1}, c.edge, c.edge + 2}) {
      CAPTURE(fails_at);
      Session session = engine->new_session();
      const Feed one[] = {{&session, tokens, Feed::Logits::kAll}};
      size_t n = 0;
      CHECK_THROWS_AS(engine->feed(one,
                                   [&](size_t, size_t, std::span<const float>) {
                                     if (++n == fails_at) throw Error("the sink is full");
                                   }),
                      Error);
      const auto read = static_cast<size_t>(session.position());
      CHECK(read >= fails_at);
      CHECK(session.tail().back() == tokens[read - 1]);
      const auto rest = all_logits(*engine, session, std::span(tokens).subspan(read));
      const size_t n_vocab = expected.size() / tokens.size();
      CHECK(std::equal(rest.begin(), rest.end(),
                       expected.begin() + static_cast<std::ptrdiff_t>(read * n_vocab),
                       expected.end()));
    }
  });
}

TEST_CASE("strategies: no logits depend on later tokens, and earlier ones show") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const auto tokens = text(engine, c, 12);
    const auto n_vocab = engine.spec().info.vocab_size;
    const auto before = alone(engine, tokens);
    for (const size_t at : {size_t{0}, c.edge - 1, c.edge, tokens.size() - 2}) {
      CAPTURE(at);
      auto changed = tokens;
      changed[at] = static_cast<int32_t>((changed[at] + 1) % n_vocab);
      const auto after = alone(engine, changed);
      const auto split = static_cast<std::ptrdiff_t>(at * static_cast<size_t>(n_vocab));
      CHECK(std::equal(before.begin(), before.begin() + split, after.begin()));
      if (c.forgetful) continue;
      CHECK(std::equal(before.begin() + split + n_vocab, before.end(),
                       after.begin() + split + n_vocab) == forgets(c, at, tokens.size()));
    }
  });
}

TEST_CASE(
    "strategies: traits are what was agreed, and state stays flat exactly where they say so") {
  for_each_candidate([](const Candidate& c, Engine& engine) {
    const Traits traits = engine.traits();
    CHECK(traits.constant_memory == c.constant_memory);
    CHECK(traits.segment_length == c.segment_length);
    CHECK(engine.max_length().has_value() == !traits.constant_memory);
    Session session = engine.new_session();
    std::vector<int64_t> bytes;
    for (int edge = 0; edge < 6; ++edge) {
      const auto tokens = random_tokens(c.edge, engine.spec().info.vocab_size, 13);
      const Feed one[] = {{&session, tokens, Feed::Logits::kNone}};
      engine.feed(one, {});
      bytes.push_back(session.state_bytes());
    }
    CHECK((bytes[5] == bytes[2]) == traits.constant_memory);
    CHECK(bytes[5] >= bytes[2]);
  });
}

TEST_CASE("a strategy with extra rows is refused beside another") {
  Candidate both = candidates().back();
  REQUIRE(std::string(both.name) == "the proof");
  both.attention = "{strategy: recurrent_proof, layers: {'0': {strategy: full}}}";
  CHECK_THROWS_WITH_AS(make_engine(both),
                       doctest::Contains("recurrent_proof sends rows of its own"), UsageError);
}
