// SPDX-License-Identifier: Apache-2.0

// The checked mode: every strategy of the suite passes it, and every fault is found and named.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/conformance/faulty_proof.hpp"
#include "tests/conformance/strategy_candidates.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Overrides = std::vector<std::string>;

const Overrides kChecked{"kernels.check=true"};

// What reading `n` tokens in one call says; empty if nothing is wrong.
std::string fault_of(Engine& engine, size_t n, bool one_by_one) {
  Session session = engine.new_session();
  const auto tokens = random_tokens(n, engine.spec().info.vocab_size, 3);
  try {
    one_by_one ? logits_token_by_token(engine, session, tokens)
               : all_logits(engine, session, tokens);
  } catch (const Error& fault) {
    return fault.what();
  }
  return {};
}

std::unique_ptr<Engine> faulty_engine(const std::string& fault, Overrides overrides = kChecked,
                                      const char* model = "llama.v0.bin") {
  static const std::vector<StaticPlugin> plugins = [] {
    auto all = plugins_with_proofs();
    all.push_back(faulty_proof_plugin());
    return all;
  }();
  overrides.insert(overrides.begin(), "attention={strategy: faulty_proof, fault: " + fault + "}");
  return std::make_unique<Engine>(golden_settings(model, overrides), plugins);
}

}  // namespace

TEST_CASE(
    "strategies: each passes the checked mode, whole, by token, restored, with the same bits") {
  for (const Candidate& c : candidates()) {
    INFO("strategy: ", std::string(c.name));
    const auto checked = make_engine(c, kChecked), plain = make_engine(c);
    const auto tokens = random_tokens(3 * c.edge + 5, checked->spec().info.vocab_size, 21);
    Session a = checked->new_session(), b = plain->new_session(), by_token = checked->new_session();
    CHECK(all_logits(*checked, a, tokens) == all_logits(*plain, b, tokens));
    logits_token_by_token(*checked, by_token, tokens);
    Session restored = checked->new_session();
    restored.restore(b.snapshot());
    CHECK(all_logits(*checked, restored, tokens) == all_logits(*plain, b, tokens));
  }
}

TEST_CASE("the checked mode finds every fault and names strategy's node, row and position") {
  const std::map<std::string, std::string> expected{
      {"looks_ahead", "looks ahead: it reads row 1, which belongs to position 1"},
      {"before_start", "reads rows -1 to"},
      {"lost_rows", "but the ring holds row"},
      {"unwritten", "which was never written"},
      {"not_a_number", "gets NaN in column 0"}};
  for (const char* fault : kFaults) {
    if (std::string(fault) == "none") continue;
    CAPTURE(fault);
    const std::string said = fault_of(*faulty_engine(fault), 400, false);
    CHECK(said.find(expected.at(fault)) != std::string::npos);
    CHECK(said.find("of the graph 'step'") != std::string::npos);
    CHECK(said.find("position") != std::string::npos);
  }
}

TEST_CASE("no strategy reaches outside: the error names node, strategy and row, in every mode") {
  const std::vector<Overrides> modes{
      {"threads.count=1"},
      {"threads.backend=tbb", "threads.count=3"},
      {"threads.backend=tbb", "threads.count=3", "kernels.prefer=[simd]"},
      kChecked};
  for (const ReachingFault& fault : kReachingFaults)
    for (const Overrides& mode : modes) {
      CAPTURE(fault.name);
      CAPTURE(mode.back());
      const std::string said = fault_of(*faulty_engine(fault.name, mode), 40, false);
      CAPTURE(said);
      if (fault.checked_only && mode != kChecked) {
        CHECK(said == "");
        continue;
      }
      CHECK(said.starts_with("node "));
      CHECK(said.find("of the graph 'step', made by the plugin attention.faulty_proof") !=
            std::string::npos);
      CHECK(said.find(": row 0 of the step (session 0, position 0) ") != std::string::npos);
      if (mode != kChecked) CHECK(said.find(fault.said) != std::string::npos);
    }
}

TEST_CASE("a session that reached outside takes nothing more, one beside it in no step is well") {
  const auto engine = faulty_engine("read_beyond", {"threads.backend=tbb", "threads.count=3"});
  Session session = engine->new_session(), other = engine->new_session();
  const std::vector<int32_t> tokens{1, 2, 3};
  CHECK_THROWS_WITH_AS(all_logits(*engine, session, tokens), doctest::Contains("a state of 4 rows"),
                       Error);
  CHECK_THROWS_WITH_AS(all_logits(*engine, session, tokens),
                       doctest::Contains("restore it from a snapshot"), Error);
  CHECK(!other.snapshot().empty());
}

TEST_CASE("the checked mode finds a strategy that looks ahead when it reads token by token") {
  CHECK(fault_of(*faulty_engine("looks_ahead"), 3, true).find("never written") !=
        std::string::npos);
}

TEST_CASE("a session that a check has stopped takes nothing more until it is restored") {
  const auto engine = faulty_engine("unwritten");
  Session session = engine->new_session();
  const auto empty = session.snapshot();
  const std::vector<int32_t> tokens{1, 2, 3};
  CHECK_THROWS_AS(all_logits(*engine, session, tokens), Error);
  CHECK_THROWS_WITH_AS(all_logits(*engine, session, tokens),
                       doctest::Contains("restore it from a snapshot"), Error);
  session.restore(empty);
  CHECK_THROWS_WITH_AS(all_logits(*engine, session, tokens), doctest::Contains("never written"),
                       Error);
}

TEST_CASE("nothing is said of the same strategy without a fault") {
  CHECK(fault_of(*faulty_engine("none"), 400, false) == "");
  CHECK(fault_of(*faulty_engine("none"), 40, true) == "");
}

TEST_CASE("NaN reaches the logits of a quantised model, whatever the instruction set") {
  int n_tried = 0;
  for (const Overrides& kernels :
       {Overrides{"kernels.prefer=[scalar]"}, Overrides{"kernels.prefer=[simd]"},
        Overrides{"kernels.prefer=[simd]", "kernels.isa=avx2"},
        Overrides{"kernels.prefer=[simd]", "kernels.isa=avx512"}}) {
    CAPTURE(kernels.back());
    std::unique_ptr<Engine> engine;
    try {
      engine = faulty_engine("not_a_number", kernels, "llama.v2.bin");
    } catch (const UsageError&) {
      continue;  // not on this CPU
    }
    ++n_tried;
    Session session = engine->new_session();
    const auto logits = all_logits(*engine, session, random_tokens(5, 100, 1));
    CHECK(std::ranges::all_of(logits, [](float x) { return std::isnan(x); }));
  }
  CHECK(n_tried >= 1);
}
