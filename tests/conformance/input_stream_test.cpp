// SPDX-License-Identifier: Apache-2.0

// Input streams: chunks that a session reads beside its text.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const Candidate kParallel{"parallel", "llama.v0.bin", "{strategy: parallel_proof}", 8, false, 0};

using Chunks = std::vector<std::vector<int32_t>>;

Chunks random_chunks(const Engine& engine, std::initializer_list<size_t> lengths, uint32_t seed) {
  Chunks chunks;
  for (const size_t n : lengths)
    chunks.push_back(random_tokens(n, engine.spec().info.vocab_size, seed++));
  return chunks;
}

void give(Engine& engine, Session& session, const Chunks& chunks) {
  const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
  engine.feed_input(session, "contexts", views);
}

std::vector<float> logits_with(Engine& engine, const Chunks& chunks,
                               std::span<const int32_t> tokens) {
  Session session = engine.new_session();
  give(engine, session, chunks);
  return all_logits(engine, session, tokens);
}

std::vector<float> context_keys(Session& session) {
  return session.read_state("context_k", 0, session.stream_length("contexts"));
}

std::vector<int32_t> some_text(const Engine& engine) {
  return random_tokens(20, engine.spec().info.vocab_size, 1);
}

}  // namespace

TEST_CASE("input streams: what is given shows, and nothing given changes nothing") {
  const auto engine = make_engine(kParallel);
  const auto full =
      make_engine({"full", "llama.v0.bin", "{strategy: full, max_length: 4096}", 8, false, 0});
  const auto tokens = some_text(*engine);
  const Chunks chunks = random_chunks(*engine, {7, 12}, 2);
  Session plain = full->new_session();
  const auto without = all_logits(*full, plain, tokens);
  CHECK(logits_with(*engine, {}, tokens) == without);
  const auto with = logits_with(*engine, chunks, tokens);
  CHECK(with != without);
  Chunks changed = chunks;
  changed[0].back() = (changed[0].back() + 1) % 7;
  CHECK(logits_with(*engine, changed, tokens) != with);
}

TEST_CASE("input streams: a chunk sees all of itself and nothing else, from position 0") {
  const auto engine = make_engine(kParallel);
  const Chunks chunks = random_chunks(*engine, {7, 12, 7}, 3);
  Session alone = engine->new_session(), beside = engine->new_session();
  give(*engine, alone, {chunks[1]});
  give(*engine, beside, chunks);
  CHECK(beside.stream_length("contexts") == 26);
  CHECK(beside.read_state("context_k", 7, 12) == context_keys(alone));
  // Its first row sees its last.
  Chunks changed{chunks[1]};
  changed[0].back() = (changed[0].back() + 1) % 7;
  Session other = engine->new_session();
  give(*engine, other, changed);
  CHECK(other.read_state("context_k", 0, 1) != alone.read_state("context_k", 0, 1));
}

TEST_CASE("input streams: calls, steps and threads may cut the chunks anywhere") {
  const auto engine = make_engine(kParallel);
  const auto tokens = some_text(*engine);
  const Chunks chunks = random_chunks(*engine, {7, 12, 1, 40, 30}, 4);
  const auto together = logits_with(*engine, chunks, tokens);
  Session one_by_one = engine->new_session();
  for (const auto& chunk : chunks) give(*engine, one_by_one, {chunk});
  CHECK(all_logits(*engine, one_by_one, tokens) == together);
  CHECK(logits_with(*make_engine(kParallel, {"step.max_rows=3"}), chunks, tokens) == together);
  const auto threads = make_engine(kParallel, {"threads.backend=tbb", "threads.count=2"});
  CHECK(logits_with(*threads, chunks, tokens) == together);
}

TEST_CASE("input streams: chunks may come while the text is read, and sessions do not mix") {
  const auto engine = make_engine(kParallel);
  const auto tokens = some_text(*engine);
  const std::span<const int32_t> all(tokens);
  const Chunks mine = random_chunks(*engine, {9, 4}, 5), others = random_chunks(*engine, {30}, 6);
  const auto run = [&](bool with_neighbour) {
    Session session = engine->new_session(), neighbour = engine->new_session();
    give(*engine, session, {mine[0]});
    if (with_neighbour) give(*engine, neighbour, others);
    auto logits = all_logits(*engine, session, all.first(8));
    if (with_neighbour) all_logits(*engine, neighbour, all);
    give(*engine, session, {mine[1]});
    const auto rest = all_logits(*engine, session, all.subspan(8));
    logits.insert(logits.end(), rest.begin(), rest.end());
    return logits;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("input streams: a snapshot takes them along, and a session without forgets its own") {
  const auto engine = make_engine(kParallel);
  const auto tokens = some_text(*engine);
  const std::span<const int32_t> all(tokens);
  Session session = engine->new_session();
  give(*engine, session, random_chunks(*engine, {9, 33}, 7));
  all_logits(*engine, session, all.first(5));
  const int64_t bytes = session.state_bytes();
  const auto snapshot = session.snapshot();
  const auto expected = all_logits(*engine, session, all.subspan(5));
  Session restored = engine->new_session();
  give(*engine, restored, random_chunks(*engine, {40}, 8));
  restored.restore(snapshot);
  CHECK(restored.stream_length("contexts") == 42);
  CHECK(restored.state_bytes() == bytes);
  CHECK(all_logits(*engine, restored, all.subspan(5)) == expected);
  restored.restore(engine->new_session().snapshot());
  CHECK(restored.stream_length("contexts") == 0);
  CHECK(all_logits(*engine, restored, tokens) == logits_with(*engine, {}, tokens));
}

TEST_CASE("input streams: a snapshot with rows that no session can have is refused") {
  const auto engine = make_engine(kParallel);
  Session session = engine->new_session();
  give(*engine, session, random_chunks(*engine, {9}, 11));
  all_logits(*engine, session, some_text(*engine));
  const auto before = session.snapshot();
  const SnapshotContents good = decode_snapshot(before);
  const auto resize = [](SnapshotTensor& t, int64_t rows) {
    t.rows = rows;
    t.values.resize(static_cast<size_t>(rows * t.columns));
  };
  const auto refused = [&](SnapshotContents contents, const char* sentence) {
    CHECK_THROWS_WITH_AS(session.restore(encode_snapshot(contents)), doctest::Contains(sentence),
                         Error);
    CHECK(session.snapshot() == before);
  };
  REQUIRE(good.tensors[0].name == "context_k");
  SnapshotContents uneven = good, long_stream = good, long_text = good, short_list = good;
  resize(uneven.tensors[1], 8);
  refused(uneven, "'context_v' has 8 rows of the input stream 'contexts'");
  for (size_t i = 0; i < 2; ++i) resize(long_stream.tensors[i], kProofContexts + 1);
  refused(long_stream, "'context_k' has 121 rows of the input stream 'contexts'");
  resize(long_text.tensors[2], good.tensors[2].rows + 1);
  refused(long_text, "belongs");
  short_list.tensors.pop_back();
  refused(short_list, "state tensors, not");
  SnapshotContents swapped = good;
  std::swap(swapped.tensors[0].name, swapped.tensors[1].name);
  refused(swapped, "where 'context_k' 9 x");
}

TEST_CASE("input streams: beside a strategy with segments, which they do not move") {
  const Candidate hybrid{"hybrid",
                         "llama.v0.bin",
                         "{strategy: parallel_proof, layers: {'0': {strategy: memory, mem_len: 4, "
                         "initial: zero}}}",
                         4,
                         false,
                         4};
  const auto engine = make_engine(hybrid), elsewhere = make_engine(hybrid, {"step.max_rows=3"});
  const auto tokens = some_text(*engine);
  const std::span<const int32_t> all(tokens);
  const Chunks chunks = random_chunks(*engine, {9, 5}, 12);
  Session session = engine->new_session();
  give(*engine, session, {chunks[0]});
  all_logits(*engine, session, all.first(6));
  const auto without = all_logits(*engine, session, all.subspan(6));
  session = engine->new_session();
  give(*engine, session, {chunks[0]});
  all_logits(*engine, session, all.first(6));
  give(*engine, session, {chunks[1]});
  Session moved = elsewhere->new_session();
  moved.restore(session.snapshot());
  const auto rest = all_logits(*engine, session, all.subspan(6));
  CHECK(rest != without);
  CHECK(logits_token_by_token(*elsewhere, moved, all.subspan(6)) == rest);
}

TEST_CASE("input streams: what does not fit is refused before anything is read") {
  const auto engine = make_engine(kParallel);
  Session session = engine->new_session();
  give(*engine, session, random_chunks(*engine, {40, 40}, 9));
  const auto before = session.snapshot();
  const auto refused = [&](const Chunks& chunks, const char* sentence) {
    CHECK_THROWS_WITH_AS(give(*engine, session, chunks), doctest::Contains(sentence), Error);
    CHECK(session.snapshot() == before);
  };
  refused({{1, 2}, {}}, "chunk 1 of the input stream 'contexts' has 0 tokens; it must have 1 to");
  refused({std::vector<int32_t>(41, 1)}, "has 41 tokens; it must have 1 to 40");
  refused({{1}, {2, -1}}, "token 1 in chunk 1 of the input stream 'contexts' is -1");
  refused(random_chunks(*engine, {30, 30}, 10), "is more than a session can hold, which is 120");
  const std::vector<int32_t> tokens{1};
  const std::span<const int32_t> chunk[] = {tokens};
  CHECK_THROWS_WITH_AS(engine->feed_input(session, "pictures", chunk),
                       doctest::Contains("no input stream 'pictures'"), Error);
  CHECK(std::ranges::count(engine->graph_names(), "input:contexts") == 1);
  CHECK(engine->describe_graph("input:contexts", false).find("step_range") != std::string::npos);
}

TEST_CASE("input streams: sessions that are given chunks in one call equal themselves alone") {
  const auto engine = make_engine(kParallel), small = make_engine(kParallel, {"step.max_rows=41"});
  const auto tokens = some_text(*engine);
  const std::vector<Chunks> all{random_chunks(*engine, {7, 12, 40, 1}, 21),
                                random_chunks(*engine, {40, 40}, 22),
                                {},
                                random_chunks(*engine, {3, 2, 1, 5, 30, 4}, 23)};
  for (Engine* where : {engine.get(), small.get()}) {
    std::vector<Session> sessions;
    std::vector<std::vector<std::span<const int32_t>>> views;
    for (const Chunks& chunks : all) {
      sessions.push_back(where->new_session());
      views.emplace_back(chunks.begin(), chunks.end());
    }
    std::vector<InputFeed> feeds;
    for (size_t i = 0; i < all.size(); ++i) feeds.push_back({&sessions[i], views[i]});
    int steps = 0;
    const auto read = where->feed_input("contexts", feeds, [&](std::span<const size_t> done) {
      if (++steps == 1) CHECK(std::ranges::count(done, size_t{0}) == 4);
      // Nobody waits for another's long chunks.
      if (steps == 3) CHECK(std::ranges::count(done, size_t{0}) == 1);
      return true;
    });
    CHECK(read == std::vector<size_t>{4, 2, 0, 6});
    for (size_t i = 0; i < all.size(); ++i) {
      CHECK(sessions[i].stream_chunks("contexts").size() == all[i].size());
      CHECK(all_logits(*where, sessions[i], tokens) == logits_with(*engine, all[i], tokens));
    }
  }
}

TEST_CASE(
    "input streams: a call that is asked to stop has read whole chunks, and can be continued") {
  const auto engine = make_engine(kParallel, {"step.max_rows=40"});
  const auto tokens = some_text(*engine);
  const Chunks chunks = random_chunks(*engine, {30, 20, 40, 10}, 31);
  const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
  Session session = engine->new_session();
  const InputFeed one[] = {{&session, views}};
  int asked = 0;
  const auto read =
      engine->feed_input("contexts", one, [&](std::span<const size_t>) { return ++asked <= 2; });
  CHECK(read == std::vector<size_t>{2});
  CHECK(session.stream_length("contexts") == 50);
  engine->feed_input(session, "contexts", std::span(views).subspan(2));
  CHECK(all_logits(*engine, session, tokens) == logits_with(*engine, chunks, tokens));
}

TEST_CASE("input streams: a chunk that is taken out was never there, any of them") {
  const auto engine = make_engine(kParallel);
  const auto tokens = some_text(*engine);
  const Chunks chunks = random_chunks(*engine, {7, 12, 1, 40}, 41);
  for (size_t out = 0; out < chunks.size(); ++out) {
    Chunks rest = chunks;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(out));
    Session session = engine->new_session(), expected = engine->new_session();
    give(*engine, expected, rest);
    give(*engine, session, chunks);
    session.random() = expected.random();
    // Which chunks there are is part of a snapshot.
    Session restored = engine->new_session();
    restored.restore(session.snapshot());
    for (Session* s : {&session, &restored}) {
      engine->forget_input(*s, "contexts", out);
      CHECK(s->snapshot() == expected.snapshot());
    }
    give(*engine, session, {chunks[out]});
    give(*engine, expected, {chunks[out]});
    CHECK(all_logits(*engine, session, tokens) == all_logits(*engine, expected, tokens));
  }
}

TEST_CASE("input streams: a stream can be emptied and given other chunks") {
  const auto engine = make_engine(kParallel);
  const auto tokens = some_text(*engine);
  const Chunks chunks = random_chunks(*engine, {9, 33}, 51);
  Session session = engine->new_session();
  give(*engine, session, random_chunks(*engine, {40, 40, 40}, 52));
  engine->clear_input(session, "contexts");
  CHECK(session.stream_length("contexts") == 0);
  CHECK(session.stream_chunks("contexts").empty());
  give(*engine, session, chunks);
  CHECK(all_logits(*engine, session, tokens) == logits_with(*engine, chunks, tokens));
  for (const size_t none : {size_t{2}, SIZE_MAX})
    CHECK_THROWS_WITH_AS(engine->forget_input(session, "contexts", none),
                         doctest::Contains("has 2 chunks of the input stream 'contexts'"), Error);
  CHECK_THROWS_AS(engine->clear_input(session, "pictures"), Error);
}

TEST_CASE("input streams: a snapshot without chunks has one, and wrong ones are refused") {
  const auto engine = make_engine(kParallel);
  Session session = engine->new_session();
  give(*engine, session, random_chunks(*engine, {9, 5}, 61));
  const auto before = session.snapshot();
  SnapshotContents contents = decode_snapshot(before);
  CHECK(std::get<std::string>(contents.values.at("engine.chunks:contexts")) == "9 5");
  for (const char* wrong : {"", "9", "9 5 1", "14 0", "15 -1", "9 x", "9 99999999999999999999"}) {
    contents.values["engine.chunks:contexts"] = wrong;
    CHECK_THROWS_AS(session.restore(encode_snapshot(contents)), Error);
    CHECK(session.snapshot() == before);
  }
  contents.values.clear();
  session.restore(encode_snapshot(contents));
  CHECK(session.stream_chunks("contexts").size() == 1);
  CHECK(session.stream_length("contexts") == 14);
}

TEST_CASE("input streams: a session named twice in a call is refused before anything is read") {
  const auto engine = make_engine(kParallel);
  const Chunks chunks = random_chunks(*engine, {9}, 71);
  const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
  Session session = engine->new_session();
  const InputFeed twice[] = {{&session, views}, {&session, views}};
  CHECK_THROWS_AS(engine->feed_input("contexts", twice), Error);
  CHECK(session.stream_length("contexts") == 0);
}
