// SPDX-License-Identifier: Apache-2.0

// Who reads how much in a step: fairness, the room for logits, random numbers of sessions.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "core/engine/engine_impl.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wide_model.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kVocabulary = 32000;

// An engine with a vocabulary of 32,000.
struct WideEngine {
  explicit WideEngine(std::vector<std::string> overrides = {}) {
    write_wide_model(folder.path() / "wide.bin", kVocabulary);
    overrides.insert(overrides.begin(), {"model.path=" + (folder.path() / "wide.bin").string(),
                                         "attention.strategy=full"});
    engine.emplace(golden_settings("", overrides), linked_plugins());
    REQUIRE(engine->spec().info.vocab_size == kVocabulary);
  }

  TemporaryFolder folder;
  std::optional<Engine> engine;
};

// What a call gives: every feed's logits in order, and the step in which each of them came.
struct Given {
  std::vector<std::vector<float>> logits;
  std::vector<std::vector<int>> steps;
  int n_steps = 0;
};

Given read(Engine& engine, std::span<const Feed> feeds) {
  Given given{std::vector<std::vector<float>>(feeds.size()),
              std::vector<std::vector<int>>(feeds.size())};
  engine.feed(
      feeds,
      [&](size_t feed, size_t, std::span<const float> logits) {
        given.logits[feed].insert(given.logits[feed].end(), logits.begin(), logits.end());
        given.steps[feed].push_back(given.n_steps);
      },
      [&] { return ++given.n_steps, true; });
  --given.n_steps;  // it is asked once more before it finds nothing to read
  return given;
}

std::vector<Session> new_sessions(Engine& engine, size_t n) {
  std::vector<Session> sessions;
  for (size_t i = 0; i < n; ++i) sessions.push_back(engine.new_session());
  return sessions;
}

}  // namespace

TEST_CASE("a feed of one token beside one of ten thousand is answered in the first step") {
  for (const bool long_one_first : {true, false}) {
    CAPTURE(long_one_first);
    Engine engine(golden_settings("memA.q80.bin", {"step.max_rows=256"}), linked_plugins());
    const auto prompt = random_tokens(10000, engine.spec().info.vocab_size, 1);
    auto sessions = new_sessions(engine, 2);
    std::vector<Feed> feeds{{&sessions[0], prompt, Feed::Logits::kLast},
                            {&sessions[1], std::span(prompt).first(1), Feed::Logits::kLast}};
    if (!long_one_first) std::swap(feeds[0], feeds[1]);
    const Given given = read(engine, feeds);
    CHECK(given.steps[long_one_first ? 1 : 0] == std::vector{1});
  }
}

TEST_CASE("long feeds share the steps equally and leave no row of them empty") {
  Engine engine(golden_settings("llama.v0.bin", {"attention.strategy=full", "step.max_rows=16"}),
                linked_plugins());
  const auto tokens = random_tokens(48, engine.spec().info.vocab_size, 2);
  auto sessions = new_sessions(engine, 3);
  std::vector<Feed> feeds;
  for (Session& s : sessions) feeds.push_back({&s, tokens, Feed::Logits::kAll});
  const Given given = read(engine, feeds);
  CHECK(given.n_steps == 3 * 48 / 16);
  for (const auto& steps : given.steps) CHECK(steps.back() >= given.n_steps - 1);
}

TEST_CASE("more feeds than a step has rows take turns, and none waits twice as long") {
  Engine engine(golden_settings("memA.q80.bin", {"step.max_rows=4"}), linked_plugins());
  const auto tokens = random_tokens(3, engine.spec().info.vocab_size, 3);
  auto sessions = new_sessions(engine, 10);
  std::vector<Feed> feeds;
  for (Session& s : sessions) feeds.push_back({&s, tokens, Feed::Logits::kAll});
  const Given given = read(engine, feeds);
  for (const auto& steps : given.steps) {
    CHECK(steps[0] <= 3);
    CHECK(steps[1] <= 6);
  }
  CHECK(given.n_steps == 8);
}

TEST_CASE("sessions with a vocabulary of 32,000 get all their logits out of one step") {
  WideEngine wide;
  const auto tokens = random_tokens(32, kVocabulary, 4);
  auto sessions = new_sessions(*wide.engine, 8);
  std::vector<Feed> feeds;
  for (Session& s : sessions) feeds.push_back({&s, tokens, Feed::Logits::kAll});
  const Given given = read(*wide.engine, feeds);
  CHECK(given.n_steps == 1);
  for (const auto& logits : given.logits) CHECK(logits == given.logits[0]);
  Session single = wide.engine->new_session();
  CHECK(logits_token_by_token(*wide.engine, single, tokens) == given.logits[0]);
}

TEST_CASE("step.max_logits_bytes cuts steps of a large vocabulary, and the numbers stay") {
  constexpr int64_t kRowBytes = kVocabulary * 4;
  WideEngine wide, narrow({"step.max_logits_bytes=" + std::to_string(3 * kRowBytes + 17)}),
      least({"step.max_logits_bytes=1"});
  const auto tokens = random_tokens(7, kVocabulary, 5);
  std::map<Engine*, Given> given;
  for (Engine* engine : {&*wide.engine, &*narrow.engine, &*least.engine}) {
    auto sessions = new_sessions(*engine, 7);
    std::vector<Feed> feeds;
    for (size_t i = 0; i < 7; ++i)
      feeds.push_back({&sessions[i], std::span(tokens).first(i + 1),
                       i < 3 ? Feed::Logits::kAll : Feed::Logits::kLast});
    given[engine] = read(*engine, feeds);
  }
  CHECK(given[&*wide.engine].n_steps == 1);
  CHECK(given[&*narrow.engine].n_steps == 4);  // 1 + 2 + 3 of three feeds, four last ones
  CHECK(given[&*least.engine].n_steps == 10);
  CHECK(given[&*narrow.engine].logits == given[&*wide.engine].logits);
  CHECK(given[&*least.engine].logits == given[&*wide.engine].logits);
}

TEST_CASE("a feed that wants no logits is not held up by those that do") {
  WideEngine least({"step.max_logits_bytes=1", "step.max_rows=64"});
  const auto tokens = random_tokens(50, kVocabulary, 6);
  auto sessions = new_sessions(*least.engine, 2);
  const std::vector<Feed> feeds{{&sessions[0], std::span(tokens).first(4), Feed::Logits::kAll},
                                {&sessions[1], tokens, Feed::Logits::kNone}};
  int steps = 0;
  const auto read = least.engine->feed(
      feeds, [](size_t, size_t, std::span<const float>) {}, [&] { return ++steps <= 1; });
  CHECK(read == std::vector<size_t>{1, 50});
}

TEST_CASE("tokens that no step has room for are an error, not silently left out") {
  Engine engine(golden_settings("memA.q80.bin"), linked_plugins());
  Session session = engine.new_session();
  session.impl().segment.end = session.position();  // as no session is: full before it begins
  CHECK_THROWS_WITH_AS(all_logits(engine, session, std::vector<int32_t>{1, 2, 3}),
                       doctest::Contains("has 3 tokens left to read"), Error);
}

TEST_CASE("a classifier that is padded gives the logits of the vocabulary and no more") {
  const Settings settings = golden_settings("llama.v0.bin", {"attention.strategy=full"});
  Engine plain(settings, linked_plugins());
  const auto n_vocab = static_cast<size_t>(plain.spec().info.vocab_size);
  const auto d = static_cast<size_t>(plain.spec().info.hidden_size);
  Model model = Model::open(settings.model.path);
  const Weight* table = model.find("output.weight");
  if (table == nullptr) table = model.find("token_embd.weight");
  REQUIRE(table->dtype == PERDURE_F32);
  std::vector<float> padded((n_vocab + 5) * d, 7.0f);
  std::copy_n(static_cast<const float*>(table->data), n_vocab * d, padded.begin());
  model.replace("output.weight", static_cast<int64_t>(n_vocab + 5), static_cast<int64_t>(d),
                std::move(padded));
  Engine engine(settings, linked_plugins(), std::move(model));
  const auto tokens = random_tokens(12, plain.spec().info.vocab_size, 7);
  Session expected = plain.new_session(), given = engine.new_session();
  CHECK(all_logits(engine, given, tokens) == all_logits(plain, expected, tokens));
  std::vector<float> last(n_vocab + 1, -1.0f);
  Session another = engine.new_session();
  engine.feed(another, tokens, std::span(last).first(n_vocab));
  CHECK(last.back() == -1.0f);
}

TEST_CASE("a classifier with fewer rows than the vocabulary has tokens is refused") {
  const Settings settings = golden_settings("llama.v0.bin", {"attention.strategy=full"});
  Model model = Model::open(settings.model.path);
  const int64_t d = model.spec().info.hidden_size;
  model.replace("output.weight", 5, d, std::vector<float>(static_cast<size_t>(5 * d)));
  CHECK_THROWS_WITH_AS(Engine(settings, linked_plugins(), std::move(model)),
                       doctest::Contains("gives 5 logits"), Error);
}

TEST_CASE("the first session starts at sampling.seed, later ones each at a number of their own") {
  const auto states = [](int64_t seed) {
    Engine engine(golden_settings("memA.q80.bin", {"sampling.seed=" + std::to_string(seed)}),
                  linked_plugins());
    std::vector<uint64_t> states;
    for (Session& s : new_sessions(engine, 100)) states.push_back(s.random().state);
    return states;
  };
  const auto first = states(1), second = states(2);
  CHECK(first[0] == 1);
  CHECK(first == states(1));
  std::set<uint64_t> all(first.begin(), first.end());
  all.insert(second.begin(), second.end());
  CHECK(all.size() == 200);
  CHECK_FALSE(all.contains(0));
}
