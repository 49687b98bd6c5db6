// SPDX-License-Identifier: Apache-2.0

// Segments that end early and texts that are aligned: boundaries are state of the session.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const Candidate kProof{"the proof",   "llama.v0.bin", "{strategy: recurrent_proof}",
                       kProofSegment, true,           kProofSegment};

// A text in pieces; `ends` says behind which of them the segment is ended.
struct Piece {
  std::vector<int32_t> tokens;
  bool ends = false;
};
using Text = std::vector<Piece>;

Text text_of(const Engine& engine, std::initializer_list<std::pair<size_t, bool>> pieces) {
  Text text;
  uint32_t seed = 1;
  for (const auto& [n, ends] : pieces)
    text.push_back({random_tokens(n, engine.spec().info.vocab_size, seed++), ends});
  return text;
}

Text random_text(const Engine& engine, std::mt19937& random) {
  Text text;
  for (int i = 0; i < 6; ++i)
    text.push_back({random_tokens(1 + random() % (2 * kProofSegment), engine.spec().info.vocab_size,
                                  static_cast<uint32_t>(random())),
                    random() % 2 == 0});
  return text;
}

void append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<float> read_alone(Engine& engine, Session& session, const Text& text) {
  std::vector<float> logits;
  for (const Piece& piece : text) {
    append(logits, all_logits(engine, session, piece.tokens));
    if (piece.ends) engine.end_segment(session);
  }
  return logits;
}

std::vector<float> memory_of(const Session& session) {
  return session.read_state("memory", 0, kProofMemory);
}

// Lengths of the segments of a text of n tokens, as the engine cuts it.
std::vector<int64_t> lengths_of(Engine& engine, Alignment alignment, size_t n) {
  Session session = engine.new_session();
  engine.align_segments(session, alignment, static_cast<int64_t>(n));
  std::vector<int64_t> lengths;
  int64_t start = 0;
  for (const int32_t token : random_tokens(n, engine.spec().info.vocab_size, 1)) {
    const int64_t number = session.segment_number();
    all_logits(engine, session, std::span(&token, 1));
    if (session.segment_number() == number) continue;
    lengths.push_back(session.position() - start);
    start = session.position();
  }
  CHECK(start == static_cast<int64_t>(n));
  return lengths;
}

std::string text_of(const std::vector<int64_t>& numbers) {
  std::string text;
  for (const int64_t n : numbers) text += std::to_string(n) + " ";
  return text;
}

}  // namespace

TEST_CASE("segments: token by token equals the whole text, with short ones first, between, last") {
  const auto engine = make_engine(kProof), small = make_engine(kProof, {"step.max_rows=1"});
  const Text text = text_of(
      *engine,
      {{2, true}, {kProofSegment + 3, true}, {1, true}, {2 * kProofSegment, true}, {3, true}});
  Session whole = engine->new_session();
  const auto expected = read_alone(*engine, whole, text);
  Session single = engine->new_session();
  single.random() = whole.random();  // the seeds of two sessions differ
  std::vector<float> logits;
  for (const Piece& piece : text) {
    append(logits, logits_token_by_token(*engine, single, piece.tokens));
    if (piece.ends) engine->end_segment(single);
  }
  CHECK(logits == expected);
  CHECK(single.snapshot() == whole.snapshot());
  Session elsewhere = small->new_session();
  CHECK(read_alone(*small, elsewhere, text) == expected);
  CHECK(whole.segment_number() == 7);
  CHECK(whole.segment_tokens() == 0);
}

TEST_CASE("segments: ending one early changes what comes, ending a full or empty one nothing") {
  const auto engine = make_engine(kProof);
  const auto expected_of = [&](std::initializer_list<std::pair<size_t, bool>> pieces) {
    Session session = engine->new_session();
    return read_alone(*engine, session, text_of(*engine, pieces));
  };
  CHECK(expected_of({{3, true}, {5, false}}) != expected_of({{3, false}, {5, false}}));
  CHECK(expected_of({{kProofSegment, true}, {5, false}}) ==
        expected_of({{kProofSegment, false}, {5, false}}));
  Session session = engine->new_session();
  const auto before = session.snapshot();
  engine->end_segment(session);
  CHECK(session.snapshot() == before);
}

TEST_CASE("segments: the end of a short one sees nothing of the segments before it") {
  const auto engine = make_engine(kProof);
  const Text text = text_of(*engine, {{kProofSegment, false}, {3, false}});
  const auto memory_behind = [&](bool with_garbage) {
    Session session = engine->new_session();
    read_alone(*engine, session, text);
    if (with_garbage)
      for (const std::string& name : session.state_names()) {
        if (name.find("attn_") == std::string::npos) continue;
        const auto stale = session.read_state(name, kProofMemory + 3, kProofSegment - 3);
        session.write_state(name, kProofMemory + 3, std::vector<float>(stale.size(), 1e3f));
      }
    engine->end_segment(session);
    return memory_of(session);
  };
  CHECK(memory_behind(true) == memory_behind(false));
}

TEST_CASE("segments: sessions in random phases, restored at random, equal themselves alone") {
  const auto engine = make_engine(kProof, {"step.max_rows=7"}), other = make_engine(kProof);
  std::mt19937 random(5);
  for (int trial = 0; trial < 4; ++trial) {
    constexpr size_t kReaders = 4;
    std::vector<Text> texts;
    std::vector<Session> sessions;
    std::vector<std::vector<float>> logits(kReaders);
    std::vector<size_t> piece(kReaders), read(kReaders);
    for (size_t i = 0; i < kReaders; ++i) {
      texts.push_back(random_text(*engine, random));
      sessions.push_back(engine->new_session());
    }
    for (bool more = true; more;) {
      std::vector<Feed> feeds;
      std::vector<size_t> who;
      for (size_t i = 0; i < kReaders; ++i) {
        if (piece[i] == texts[i].size() || random() % 4 == 0) continue;
        const std::span<const int32_t> tokens(texts[i][piece[i]].tokens);
        const size_t n = std::min<size_t>(1 + random() % 9, tokens.size() - read[i]);
        feeds.push_back({&sessions[i], tokens.subspan(read[i], n), Feed::Logits::kAll});
        who.push_back(i);
        read[i] += n;
      }
      engine->feed(feeds, [&](size_t feed, size_t, std::span<const float> l) {
        logits[who[feed]].insert(logits[who[feed]].end(), l.begin(), l.end());
      });
      std::vector<Session*> ending;
      for (const size_t i : who) {
        if (read[i] < texts[i][piece[i]].tokens.size()) continue;
        if (texts[i][piece[i]].ends) ending.push_back(&sessions[i]);
        ++piece[i];
        read[i] = 0;
      }
      engine->end_segments(ending);
      if (random() % 3 == 0) {
        const size_t i = random() % kReaders;
        const auto snapshot = sessions[i].snapshot();
        sessions[i] = engine->new_session();
        read_alone(*engine, sessions[i], random_text(*engine, random));
        sessions[i].restore(snapshot);
        CHECK(sessions[i].snapshot() == snapshot);
      }
      more = false;
      for (size_t i = 0; i < kReaders; ++i) more |= piece[i] < texts[i].size();
    }
    for (size_t i = 0; i < kReaders; ++i) {
      Session alone = other->new_session();
      CHECK(read_alone(*other, alone, texts[i]) == logits[i]);
      CHECK(alone.segment_number() == sessions[i].segment_number());
      CHECK(alone.segment_tokens() == sessions[i].segment_tokens());
      CHECK(memory_of(alone) == memory_of(sessions[i]));
    }
  }
}

TEST_CASE("segments: extra rows of many sessions count among the rows of a step") {
  const auto other = make_engine(kProof);
  for (const char* rows : {"step.max_rows=1", "step.max_rows=3", "step.max_rows=16"})
    for (const size_t before : {size_t{0}, size_t{1}, size_t{kProofSegment} - 1}) {
      CAPTURE(rows);
      CAPTURE(before);
      const auto engine = make_engine(kProof, {rows});
      std::vector<Session> sessions;
      std::vector<std::vector<int32_t>> tokens;
      for (uint32_t i = 0; i < 9; ++i) {
        sessions.push_back(engine->new_session());
        tokens.push_back(random_tokens(2 * kProofSegment + 1, engine->spec().info.vocab_size, i));
        all_logits(*engine, sessions.back(), std::span(tokens.back()).first(before));
      }
      std::vector<Feed> feeds;
      for (size_t i = 0; i < sessions.size(); ++i)
        feeds.push_back({&sessions[i], std::span(tokens[i]).subspan(before), Feed::Logits::kAll});
      std::vector<std::vector<float>> logits(sessions.size());
      REQUIRE_NOTHROW(engine->feed(feeds, [&](size_t feed, size_t, std::span<const float> l) {
        logits[feed].insert(logits[feed].end(), l.begin(), l.end());
      }));
      for (size_t i = 0; i < sessions.size(); ++i) {
        Session alone = other->new_session();
        all_logits(*other, alone, std::span(tokens[i]).first(before));
        CHECK(all_logits(*other, alone, std::span(tokens[i]).subspan(before)) == logits[i]);
      }
    }
}

TEST_CASE(
    "segments: extra rows are part of a fair share, so that no session is left out of a step") {
  // All rows of a step: with those of the begin and of the end that the engine adds, four tokens
  // with four times the rows of the begin.
  const auto engine =
      make_engine(kProof, {"step.max_rows=" + std::to_string(2 * kProofMemory + 4)});
  std::vector<Session> sessions;
  for (int i = 0; i < 4; ++i) sessions.push_back(engine->new_session());
  const auto tokens = random_tokens(kProofSegment, engine->spec().info.vocab_size, 1);
  std::vector<Feed> feeds;
  for (Session& session : sessions) feeds.push_back({&session, tokens, Feed::Logits::kAll});
  int n_steps = 0;
  const auto read = engine->feed(
      feeds, [](size_t, size_t, std::span<const float>) {}, [&] { return n_steps++ == 0; });
  CHECK(read == std::vector<size_t>{1, 1, 1, 1});
}

TEST_CASE("segments: alignment cuts a text of known length as the specification of RMT says") {
  const auto engine = make_engine(kProof);
  static_assert(kProofSegment == 6);
  using Lengths = std::vector<int64_t>;
  CHECK(lengths_of(*engine, Alignment::kLeft, 13) == Lengths{6, 6, 1});
  CHECK(lengths_of(*engine, Alignment::kRight, 13) == Lengths{1, 6, 6});
  CHECK(lengths_of(*engine, Alignment::kCenter, 13) == Lengths{5, 5, 3});
  for (const Alignment a : {Alignment::kLeft, Alignment::kRight, Alignment::kCenter}) {
    CHECK(lengths_of(*engine, a, 12) == Lengths{6, 6});
    CHECK(lengths_of(*engine, a, 5) == Lengths{5});
  }
}

TEST_CASE("segments: an aligned text equals the same pieces ended by hand, and full ones follow") {
  const auto engine = make_engine(kProof);
  const auto tokens = random_tokens(40, engine->spec().info.vocab_size, 9);
  const std::span<const int32_t> all(tokens);
  Session aligned = engine->new_session(), by_hand = engine->new_session();
  engine->align_segments(aligned, Alignment::kRight, 15);
  const auto logits = all_logits(*engine, aligned, all);
  std::vector<float> expected = all_logits(*engine, by_hand, all.first(3));
  engine->end_segment(by_hand);
  append(expected, all_logits(*engine, by_hand, all.subspan(3)));
  CHECK(logits == expected);
  CHECK(aligned.segment_number() == 7);
  CHECK(aligned.segment_tokens() == 1);
  CHECK(memory_of(aligned) == memory_of(by_hand));
}

TEST_CASE("segments: a snapshot in the middle of an aligned text keeps its alignment") {
  const auto engine = make_engine(kProof), other = make_engine(kProof);
  const auto tokens = random_tokens(30, engine->spec().info.vocab_size, 10);
  const std::span<const int32_t> all(tokens);
  for (const Alignment a : {Alignment::kRight, Alignment::kCenter}) {
    for (const size_t at : {size_t{0}, size_t{2}, size_t{3}, size_t{8}, size_t{15}, size_t{17}}) {
      CAPTURE(at);
      Session session = engine->new_session(), restored = other->new_session();
      engine->align_segments(session, a, 15);
      all_logits(*engine, session, all.first(at));
      restored.restore(session.snapshot());
      CHECK(all_logits(*other, restored, all.subspan(at)) ==
            all_logits(*engine, session, all.subspan(at)));
      CHECK(restored.snapshot() == session.snapshot());
    }
  }
}

TEST_CASE("segments: a snapshot without them has full ones, one with impossible ones is refused") {
  const auto engine = make_engine(kProof);
  Session session = engine->new_session();
  const auto tokens = random_tokens(11, engine->spec().info.vocab_size, 11);
  all_logits(*engine, session, tokens);
  const auto plain = session.snapshot();
  SnapshotContents contents = decode_snapshot(plain);
  CHECK(contents.values.empty());
  engine->end_segment(session);
  session.restore(plain);
  CHECK(session.segment_number() == 1);
  CHECK(session.segment_tokens() == 5);
  const std::vector<std::vector<int64_t>> impossible{
      {},
      {1, 6, 12},
      {1, 6, 12, 0, 0, 0},
      {1, 12, 16, 0, 0},  // starts behind the position
      {1, 6, 11, 0, 0},   // ended before it
      {1, 5, 12, 0, 0},   // too long
      {7, 6, 12, 0, 0},   // more segments than tokens
      {-1, 6, 12, 0, 0},
      {1, 6, 12, 9, 30},  // aligned to more than a segment holds
      {1, 6, 12, 0, 30},  // aligned to nothing
      {1, 6, 12, -1, 0},
      {1, 6, 12, 4, INT64_MAX}};
  for (const auto& values : impossible) {
    contents.values["engine.segment"] = text_of(values);
    CHECK_THROWS_WITH_AS(session.restore(encode_snapshot(contents)),
                         doctest::Contains("none that a session can be in"), Error);
    CHECK(session.snapshot() == plain);
  }
}

TEST_CASE("segments: who has only full ones, or none, says so and stays as it was") {
  for (const char* attention : {"{strategy: memory}", "{strategy: full}"}) {
    CAPTURE(attention);
    const auto engine = make_engine({"", "memA.q80.bin", attention, 8, true, 8});
    Session session = engine->new_session();
    all_logits(*engine, session, random_tokens(3, engine->spec().info.vocab_size, 1));
    const auto before = session.snapshot();
    CHECK_THROWS_AS(engine->end_segment(session), Error);
    CHECK_THROWS_AS(engine->align_segments(session, Alignment::kRight, 5), Error);
    CHECK(session.snapshot() == before);
  }
  const auto engine = make_engine(kProof);
  Session session = engine->new_session();
  for (const int64_t n : {int64_t{-1}, int64_t{0}, INT64_MAX})
    CHECK_THROWS_AS(engine->align_segments(session, Alignment::kLeft, n), Error);
  all_logits(*engine, session, random_tokens(3, engine->spec().info.vocab_size, 1));
  CHECK_THROWS_WITH_AS(engine->align_segments(session, Alignment::kLeft, 5),
                       doctest::Contains("has 3 tokens already"), Error);
}
