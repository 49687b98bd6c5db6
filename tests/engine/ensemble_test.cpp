// SPDX-License-Identifier: Apache-2.0

// Mixtures of one text behind several passages: against sessions read one by one, whatever the
// steps, the threads and how the text is cut.
#include <doctest/doctest.h>

#include <cmath>

#include "core/engine/ensemble.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Tokens = std::vector<int32_t>;

std::vector<Tokens> some_passages(const Engine& engine) {
  std::vector<Tokens> passages;
  for (const int n : {7, 1, 12})
    passages.push_back(random_tokens(n, engine.spec().info.vocab_size, n));
  return passages;
}

std::vector<float> mixtures(Engine& engine, const Tokens& text, const EnsembleWeights& weights,
                            std::span<const size_t> cuts = {}) {
  Ensemble ensemble(engine, some_passages(engine), weights);
  std::vector<float> rows(ensemble.last().begin(), ensemble.last().end());
  size_t first = 0;
  const auto read = [&](size_t end) {
    const auto part = std::span(text).subspan(first, end - first);
    CHECK(ensemble.feed(part, part.size(), [&](size_t, std::span<const float> row) {
      rows.insert(rows.end(), row.begin(), row.end());
    }));
    first = end;
  };
  for (const size_t cut : cuts) read(cut);
  read(text.size());
  return rows;
}

// The same from the definition, in probabilities.
std::vector<double> by_definition(Engine& engine, const Tokens& text,
                                  std::span<const double> weights) {
  std::vector<double> sum;
  const std::vector<Tokens> passages = some_passages(engine);
  for (size_t k = 0; k < passages.size(); ++k) {
    Session session = engine.new_session();
    Tokens all = passages[k];
    all.insert(all.end(), text.begin(), text.end());
    size_t at = 0;
    const Feed feed[] = {{&session, all, Feed::Logits::kAll}};
    engine.feed(feed, [&](size_t, size_t token, std::span<const float> row) {
      if (token + 1 < passages[k].size()) return;
      sum.resize(std::max(sum.size(), at + row.size()));
      double total = 0;
      for (const float x : row) total += std::exp(static_cast<double>(x));
      for (const float x : row) sum[at++] += weights[k] * std::exp(static_cast<double>(x)) / total;
    });
  }
  return sum;
}

std::vector<float> of_three_tokens(const std::vector<std::string>& more) {
  Engine engine(golden_settings("llama.v0.bin", more), linked_plugins());
  return mixtures(engine, random_tokens(9, engine.spec().info.vocab_size, 3),
                  {.scores = {0.5, -1, 2}, .temperature = 0.7});
}

}  // namespace

TEST_CASE("an ensemble gives the weighted mean of what its sessions expect") {
  Engine engine(golden_settings("llama.v0.bin", {}), linked_plugins());
  const Tokens text = random_tokens(9, engine.spec().info.vocab_size, 3);
  const double total = std::exp(0.25) + std::exp(-0.5) + std::exp(1.0);
  const double weights[] = {std::exp(0.25) / total, std::exp(-0.5) / total, std::exp(1.0) / total};
  const auto found = mixtures(engine, text, {.scores = {0.5, -1, 2}, .temperature = 2});
  const auto expected = by_definition(engine, text, weights);
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    REQUIRE(std::exp(double{found[i]}) == doctest::Approx(expected[i]).epsilon(1e-5));
  const double alike[] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
  const auto uniform = mixtures(engine, text, {});
  CHECK(std::exp(double{uniform[5]}) ==
        doctest::Approx(by_definition(engine, text, alike)[5]).epsilon(1e-5));
}

TEST_CASE("mixtures are the same bits however the text is cut, for any threads and steps") {
  const auto expected = of_three_tokens({});
  CHECK(of_three_tokens({"threads.count=2", "step.max_rows=5"}) == expected);
  CHECK(of_three_tokens({"threads.count=1", "step.max_rows=1"}) == expected);
  Engine engine(golden_settings("llama.v0.bin", {}), linked_plugins());
  const size_t cuts[] = {1, 4, 5};
  CHECK(mixtures(engine, random_tokens(9, engine.spec().info.vocab_size, 3),
                 {.scores = {0.5, -1, 2}, .temperature = 0.7}, cuts) == expected);
}

TEST_CASE("only the last tokens are mixed if only they are asked for") {
  Engine engine(golden_settings("llama.v0.bin", {}), linked_plugins());
  const Tokens text = random_tokens(9, engine.spec().info.vocab_size, 3);
  const auto all = mixtures(engine, text, {});
  Ensemble ensemble(engine, some_passages(engine), {});
  std::vector<size_t> tokens;
  ensemble.feed(text, 2, [&](size_t token, std::span<const float>) { tokens.push_back(token); });
  CHECK(tokens == std::vector<size_t>{7, 8});
  CHECK(std::equal(ensemble.last().begin(), ensemble.last().end(),
                   all.end() - std::ssize(ensemble.last())));
  CHECK_FALSE(ensemble.feed(text, 0, {}, [] { return false; }));
}

TEST_CASE("a mixture of a token that no session expects is as small as it is, not minus infinity") {
  const float far[] = {0, -2000}, near[] = {0, -1900};
  const std::span<const float> rows[] = {far, near};
  std::vector<float> out(2);
  mix_logits(rows, ensemble_log_weights(2, {}), out);
  CHECK(out[1] == doctest::Approx(-1900 + std::log(0.5)));
}

TEST_CASE("weights that make no mixture are refused") {
  CHECK_THROWS_WITH_AS(ensemble_log_weights(0, {}), "an ensemble needs at least one passage",
                       UsageError);
  CHECK_THROWS_AS(ensemble_log_weights(2, {.scores = {1}}), UsageError);
  CHECK_THROWS_AS(ensemble_log_weights(1, {.scores = {NAN}}), UsageError);
  CHECK_THROWS_AS(ensemble_log_weights(1, {.temperature = 0}), UsageError);
  CHECK_THROWS_AS(ensemble_log_weights(1, {.temperature = NAN}), UsageError);
}
