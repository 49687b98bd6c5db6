// SPDX-License-Identifier: Apache-2.0

// Networks that look ahead inside a window: what a step computes, and what is refused. (That they
// keep the engine's promises is the conformance suite's to check.)
#include <doctest/doctest.h>

#include <vector>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

std::vector<float> last_logits(Engine& engine, std::span<const int32_t> tokens) {
  Session session = engine.new_session();
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  engine.feed(session, tokens, logits);
  return logits;
}

Candidate with(const char* attention) { return {"window", "llama.v0.bin", attention, 5, true, 0}; }

}  // namespace

TEST_CASE("whole windows: logits are those of the last window alone, however long the text") {
  const auto engine = make_engine(with("{strategy: window_proof}"));
  const auto tokens = random_tokens(2 * kProofWindow + 11, engine->spec().info.vocab_size, 3);
  for (const size_t n : {size_t{1}, size_t{kProofWindow - 1}, size_t{kProofWindow},
                         size_t{kProofWindow + 1}, tokens.size()}) {
    CAPTURE(n);
    const auto text = std::span(tokens).first(n);
    const size_t seen = std::min<size_t>(n, kProofWindow);
    CHECK(last_logits(*engine, text) == last_logits(*engine, text.last(seen)));
  }
}

TEST_CASE("whole windows: rows of a window see what comes after them") {
  // The first of two tokens is the same; were the model causal in the window, the last row would be
  // all that the second changes. With two layers its look ahead reaches the last row again.
  const auto both_ways = make_engine(with("{strategy: window_proof}"));
  const auto causal = make_engine(with("{strategy: full}"));
  const auto tokens = random_tokens(9, causal->spec().info.vocab_size, 4);
  CHECK(last_logits(*both_ways, tokens) != last_logits(*causal, tokens));
  // A window of one token looks nowhere.
  const auto one = make_engine(with("{strategy: window_proof, window: 1}"));
  CHECK(last_logits(*one, tokens) == last_logits(*causal, std::span(tokens).last(1)));
}

TEST_CASE("whole windows: the logits of all rows are those of the tokens that were given") {
  const auto engine = make_engine(with("{strategy: window_proof}"));
  const auto width = static_cast<size_t>(engine->spec().info.vocab_size);
  const auto tokens = random_tokens(kProofWindow + 4, engine->spec().info.vocab_size, 6);
  const auto window_logits = [&](Session& session, std::span<const int32_t> text) {
    std::vector<size_t> rows;
    std::vector<float> all;
    const Feed one[] = {{&session, text, Feed::Logits::kWindow}};
    engine->feed(one, [&](size_t, size_t token, std::span<const float> logits) {
      rows.push_back(token);
      all.insert(all.end(), logits.begin(), logits.end());
    });
    CHECK(std::ranges::is_sorted(rows));
    CHECK((rows.empty() || rows.back() + 1 == text.size()));
    return all;
  };
  Session whole = engine->new_session(), parts = engine->new_session();
  const auto all = window_logits(whole, tokens);
  CHECK(all.size() == kProofWindow * width);  // those before the window have none
  CHECK(std::ranges::equal(std::span(all).last(width), last_logits(*engine, tokens)));
  window_logits(parts, std::span(tokens).first(kProofWindow));
  const auto rest = window_logits(parts, std::span(tokens).subspan(kProofWindow));
  CHECK(std::ranges::equal(rest, std::span(all).last(4 * width)));
}

TEST_CASE(
    "the logits of a whole window are refused where there is none, and where no step has room") {
  const auto tokens = random_tokens(kProofWindow, 64, 7);
  const auto refusal = [&](Engine& engine) {
    Session session = engine.new_session();
    const Feed one[] = {{&session, tokens, Feed::Logits::kWindow}};
    try {
      engine.feed(one, [](size_t, size_t, std::span<const float>) {});
    } catch (const Error& e) {
      CHECK(session.position() == 0);
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refusal(*make_engine(with("{strategy: full}"))).find("only looks back") !=
        std::string::npos);
  const auto narrow = make_engine(with("{strategy: window_proof}"), {"step.max_logits_bytes=1024"});
  CHECK(refusal(*narrow).find("raise step.max_logits_bytes") != std::string::npos);
}

TEST_CASE("whole windows: a session and its snapshot remember the window, the tail is no longer") {
  const auto engine = make_engine(with("{strategy: window_proof}"));
  const auto tokens = random_tokens(kProofWindow + 30, engine->spec().info.vocab_size, 5);
  Session session = engine->new_session();
  const Feed one[] = {{&session, tokens, Feed::Logits::kNone}};
  engine->feed(one, {});
  CHECK(session.position() == static_cast<int64_t>(tokens.size()));
  const auto kept = decode_snapshot(session.snapshot()).tail;
  CHECK(std::ranges::equal(kept, std::span(tokens).last(kProofWindow)));
  // What the repeat penalty counts is the same with every strategy.
  CHECK(std::ranges::equal(session.tail(), std::span(tokens).last(Session::kTailLength)));
  Session restored = engine->new_session();
  restored.restore(session.snapshot());
  const std::vector<int32_t> next{1};
  CHECK(all_logits(*engine, restored, next) == all_logits(*engine, session, next));
}

TEST_CASE("whole windows are refused beside state, and beside another window") {
  CHECK_THROWS_WITH_AS(make_engine(with("{strategy: window_proof, with_state: true}")),
                       doctest::Contains("computes whole windows and declares state"), Error);
  for (const char* other : {"{strategy: full}", "{strategy: window_proof, window: 3}"}) {
    const std::string attention =
        std::string("{strategy: window_proof, layers: {'0': ") + other + "}}";
    CHECK_THROWS_WITH_AS(make_engine(with(attention.c_str())),
                         doctest::Contains("must all see the same"), UsageError);
  }
}
