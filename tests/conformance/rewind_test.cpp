// SPDX-License-Identifier: Apache-2.0

// Sessions that are cut back to an earlier position.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// Whether a session of so many tokens, cut back to `at`, would have less than its window left.
bool forgotten(const Traits& traits, size_t n_tokens, size_t at) {
  const auto n = static_cast<int64_t>(n_tokens), end = static_cast<int64_t>(at);
  const int64_t kept = std::min(n, std::max(Session::kTailLength, traits.window_length));
  return end > 0 && kept - (n - end) < std::min(end, traits.window_length);
}

}  // namespace

TEST_CASE("rewind: a session cut back is one that never read what was cut, bit for bit") {
  int n_rewound = 0;
  for (const Candidate& c : candidates()) {
    INFO("strategy: ", std::string(c.name));
    const auto engine = make_engine(c, {"step.max_rows=5"});
    const auto vocab_size = engine->spec().info.vocab_size;
    const auto tokens = random_tokens(3 * c.edge + 5, vocab_size, 1);
    const auto others = random_tokens(c.edge + 3, vocab_size, 2);
    const std::span<const int32_t> all(tokens);
    n_rewound += engine->traits().can_rewind;
    for (const size_t at : {size_t{0}, size_t{1}, c.edge, 2 * c.edge + 1}) {
      if (at != 0 && !engine->traits().can_rewind) continue;
      CAPTURE(at);
      Session session = engine->new_session(), fresh = engine->new_session();
      fresh.random() = session.random();
      all_logits(*engine, session, all);
      if (forgotten(engine->traits(), all.size(), at)) {
        CHECK_THROWS_WITH_AS(engine->rewind(session, static_cast<int64_t>(at)),
                             doctest::Contains("of its window too few tokens are left"), Error);
        continue;
      }
      engine->rewind(session, static_cast<int64_t>(at));
      all_logits(*engine, fresh, all.first(at));
      CHECK(session.snapshot() == fresh.snapshot());
      CHECK(all_logits(*engine, session, others) == all_logits(*engine, fresh, others));
      CHECK(session.snapshot() == fresh.snapshot());
    }
  }
  CHECK(n_rewound > 20);
}

TEST_CASE("rewind: what a strategy cannot take back is refused, and nothing changes") {
  for (const Candidate& c : candidates()) {
    INFO("strategy: ", std::string(c.name));
    const auto engine = make_engine(c);
    if (engine->traits().can_rewind) continue;
    Session session = engine->new_session();
    all_logits(*engine, session, random_tokens(9, engine->spec().info.vocab_size, 3));
    const auto before = session.snapshot();
    CHECK_THROWS_WITH_AS(engine->rewind(session, 3), doctest::Contains("restore a snapshot"),
                         Error);
    CHECK(session.snapshot() == before);
    engine->rewind(session, 9);
    CHECK(session.snapshot() == before);
  }
}

TEST_CASE(
    "rewind: positions that the session has not had, and windows that are gone, are refused") {
  const auto full = make_engine({"", "llama.v0.bin", "{strategy: full}", 8, false, 0});
  Session session = full->new_session();
  all_logits(*full, session, random_tokens(9, full->spec().info.vocab_size, 4));
  for (const int64_t position : {int64_t{-1}, int64_t{10}, INT64_MAX})
    CHECK_THROWS_WITH_AS(full->rewind(session, position), doctest::Contains("not that long"),
                         Error);
  const auto window =
      make_engine({"", "llama.v0.bin", "{strategy: window_proof, window: 9}", 9, true, 0});
  Session reader = window->new_session();
  all_logits(*window, reader, random_tokens(100, window->spec().info.vocab_size, 5));
  CHECK_THROWS_WITH_AS(window->rewind(reader, 40), doctest::Contains("too few tokens"), Error);
  window->rewind(reader, 50);
  CHECK(reader.position() == 50);
  CHECK(reader.tail().size() == 14);
}

TEST_CASE("rewind: the text's input stream stays, as does the random state") {
  const auto engine = make_engine({"", "llama.v0.bin", "{strategy: parallel_proof}", 8, false, 0});
  const auto tokens = random_tokens(20, engine->spec().info.vocab_size, 6);
  const std::span<const int32_t> all(tokens);
  Session session = engine->new_session(), fresh = engine->new_session();
  const std::span<const int32_t> chunks[] = {all.first(7)};
  for (Session* s : {&session, &fresh}) engine->feed_input(*s, "contexts", chunks);
  all_logits(*engine, session, all);
  session.random().next_u32();
  const auto random = session.random().state;
  engine->rewind(session, 11);
  CHECK(session.random().state == random);
  CHECK(session.stream_length("contexts") == 7);
  all_logits(*engine, fresh, all.first(11));
  CHECK(all_logits(*engine, session, all) == all_logits(*engine, fresh, all));
}
