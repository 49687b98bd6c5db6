// SPDX-License-Identifier: Apache-2.0

// The end of a prompt, where a strategy may throw away what it does not need.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const Candidate kPrompt{"a prompt's end", "llama.v0.bin", "{strategy: prompt_proof}", 5, true, 0};

std::vector<float> behind_prompt(Engine& engine, Session& session, std::span<const int32_t> prompt,
                                 std::span<const int32_t> rest, bool ends) {
  all_logits(engine, session, prompt);
  if (ends) engine.end_prompt(session);
  return all_logits(engine, session, rest);
}

}  // namespace

TEST_CASE("prompt end: what it keeps shows, and it keeps the prompt's last keys") {
  const auto engine = make_engine(kPrompt);
  const auto tokens = random_tokens(24, engine->spec().info.vocab_size, 1);
  const std::span<const int32_t> all(tokens);
  Session with = engine->new_session(), without = engine->new_session();
  CHECK(behind_prompt(*engine, with, all.first(14), all.subspan(14), true) !=
        behind_prompt(*engine, without, all.first(14), all.subspan(14), false));
  Session session = engine->new_session();
  all_logits(*engine, session, all.first(14));
  engine->end_prompt(session);
  CHECK(session.position() == 14);
  for (const char* layer : {"blk.0.", "blk.1."})
    for (const char* what : {"k", "v"})
      CHECK(session.read_state(std::string(layer) + "kept_" + what, 0, kProofKept) ==
            session.read_state(std::string(layer) + "attn_" + what, 14 - kProofKept, kProofKept));
}

TEST_CASE("prompt end: sessions that end theirs together equal themselves alone") {
  const auto engine = make_engine(kPrompt, {"step.max_rows=4"});
  const auto tokens = random_tokens(40, engine->spec().info.vocab_size, 2);
  const std::span<const int32_t> all(tokens);
  const size_t lengths[] = {1, 2, 3, 5, 8, 13, 21};
  std::vector<Session> sessions;
  std::vector<Session*> ending;
  for (size_t i = 0; i < std::size(lengths); ++i) {
    sessions.push_back(engine->new_session());
    all_logits(*engine, sessions[i], all.first(lengths[i]));
  }
  for (Session& s : sessions) ending.push_back(&s);
  engine->end_prompt(ending);
  for (size_t i = 0; i < std::size(lengths); ++i) {
    CAPTURE(lengths[i]);
    Session alone = engine->new_session();
    const auto rest = all.subspan(lengths[i]);
    CHECK(behind_prompt(*engine, alone, all.first(lengths[i]), rest, true) ==
          all_logits(*engine, sessions[i], rest));
  }
}

TEST_CASE("prompt end: a snapshot behind it continues bit for bit") {
  const auto engine = make_engine(kPrompt), other = make_engine(kPrompt);
  const auto tokens = random_tokens(24, engine->spec().info.vocab_size, 3);
  const std::span<const int32_t> all(tokens);
  Session session = engine->new_session(), restored = other->new_session();
  all_logits(*engine, session, all.first(9));
  engine->end_prompt(session);
  restored.restore(session.snapshot());
  CHECK(all_logits(*other, restored, all.subspan(9)) ==
        all_logits(*engine, session, all.subspan(9)));
}

TEST_CASE("prompt end: a strategy that has no use for it changes nothing") {
  for (const char* attention : {"{strategy: full}", "{strategy: memory}"}) {
    CAPTURE(attention);
    const auto engine = make_engine({"", "memA.q80.bin", attention, 8, true, 8});
    Session session = engine->new_session();
    all_logits(*engine, session, random_tokens(11, engine->spec().info.vocab_size, 4));
    const auto before = session.snapshot();
    engine->end_prompt(session);
    CHECK(session.snapshot() == before);
  }
}

TEST_CASE("prompt end: the graph is listed and described") {
  const auto engine = make_engine(kPrompt);
  CHECK(std::ranges::count(engine->graph_names(), std::string("prompt_end")) == 1);
  CHECK(engine->describe_graph("prompt_end", false).find("state_write") != std::string::npos);
}
