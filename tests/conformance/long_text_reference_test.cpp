// SPDX-License-Identifier: Apache-2.0

// Methods for long texts for which there are no golden numbers, against a llama in double precision
// (tests/support/llama_reference.hpp) whose angles are written here once more from the papers: a
// query at i and a key at j meet under angles that depend on i and j only.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/llama_reference.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Vector = LlamaReference::Vector;
using Key = LlamaReference::Key;

constexpr const char* kModel = "llama.v0.bin";
constexpr size_t kPairs = 8;  // head_size / 2 of the model
constexpr double kTheta = 10000;
constexpr double kTurn = 2 * std::numbers::pi;

// theta^(-i / n), i = 0 .. n - 1.
Vector frequencies(double theta) {
  Vector f;
  for (size_t i = 0; i < kPairs; ++i)
    f.push_back(std::pow(theta, -static_cast<double>(i) / static_cast<double>(kPairs)));
  return f;
}

Vector turns(double distance, const Vector& f) {
  Vector angles;
  for (const double frequency : f) angles.push_back(distance * frequency);
  return angles;
}

double at(size_t row) { return static_cast<double>(row); }

// Every row sees everything; the frequencies may depend on the row.
template <typename Frequencies>
LlamaReference::Sees all_with(const Frequencies& of_row, double temperature = 1) {
  return [=](size_t row) {
    std::vector<Key> keys;
    for (size_t j = 0; j <= row; ++j)
      keys.push_back({j, 0, turns(at(row) - at(j), of_row(row)), temperature});
    return keys;
  };
}

// Every row sees what `visible` says, at distances that `distance` says.
template <typename Visible, typename Distance>
LlamaReference::Sees at_distances(const Visible& visible, const Distance& distance) {
  return [=](size_t row) {
    std::vector<Key> keys;
    for (size_t j = 0; j <= row; ++j)
      if (visible(row, j)) keys.push_back({j, 0, turns(distance(row, j), frequencies(kTheta))});
    return keys;
  };
}

constexpr auto kEverything = [](size_t, size_t) { return true; };

std::vector<float> engine_logits(const std::string& attention, std::span<const int32_t> tokens) {
  const auto engine = make_engine({"", kModel, attention.c_str(), 0, true, 0});
  Session session = engine->new_session();
  return all_logits(*engine, session, tokens);
}

// Exact distances give other numbers, so that none of these tests passes by chance.
void check(const std::string& attention, const LlamaReference::Sees& sees, size_t n_tokens = 60) {
  const Model model = Model::open(golden_model(kModel));
  const LlamaReference llama(model);
  const auto tokens = random_tokens(n_tokens, model.spec().info.vocab_size, 31);
  const auto logits = engine_logits(attention, tokens);
  const auto plain = engine_logits("{strategy: full}", tokens);
  std::vector<Vector> rows;
  for (const int32_t token : tokens) rows.push_back(llama.embedding(token));
  rows = llama.run(std::move(rows), sees);
  double from_reference = 0, from_plain = 0;
  for (size_t t = 0; t < n_tokens; ++t) {
    const Vector expected = llama.logits(rows[t]);
    for (size_t i = 0; i < expected.size(); ++i) {
      const size_t k = t * expected.size() + i;
      from_reference = std::max(from_reference, std::abs(logits[k] - expected[i]));
      from_plain = std::max(from_plain, std::abs(plain[k] - expected[i]));
    }
  }
  CAPTURE(attention);
  CHECK(from_reference < 2e-4);
  CHECK(from_plain > 1e-2);
}

}  // namespace

TEST_CASE("YaRN equals equations 17 to 22 of Peng et al. 2023") {
  // r(d) = L / wavelength; gamma is 0 below alpha (slow), 1 above beta (fast). The authors' program
  // makes gamma linear in the dimension, between whole ones.
  constexpr double kLength = 96, kFactor = 4;
  const auto dimension = [](double r) {
    return static_cast<double>(kPairs) * std::log(kLength / (r * kTurn)) / std::log(kTheta);
  };
  const double low = std::floor(dimension(8)), high = std::ceil(dimension(0.5));
  Vector f = frequencies(kTheta);
  for (size_t i = 0; i < kPairs; ++i) {
    const double gamma = 1 - std::clamp((at(i) - low) / (high - low), 0.0, 1.0);
    f[i] = (1 - gamma) * f[i] / kFactor + gamma * f[i];
  }
  const double root = 0.1 * std::log(kFactor) + 1;  // sqrt(1 / t)
  const auto of_row = [=](size_t) { return f; };
  check(
      "{strategy: full, rope_scaling: {rope_type: yarn, factor: 4, beta_fast: 8, beta_slow: 0.5}, "
      "train_length: 96}",
      all_with(of_row, root * root));
  check(
      "{strategy: full, rope_scaling: yarn, beta_fast: 8, beta_slow: 0.5, eval_length: 384, "
      "train_length: 96, attention_factor: 1}",
      all_with(of_row));
}

TEST_CASE("Llama 3.1's scaling keeps fast frequencies, divides slow ones and mixes between") {
  constexpr double kLength = 64, kFactor = 8;
  Vector f = frequencies(kTheta);
  for (double& frequency : f) {
    const double wavelength = kTurn / frequency;
    if (wavelength > kLength / 1) {
      frequency /= kFactor;
    } else if (wavelength >= kLength / 4) {
      const double smooth = (kLength / wavelength - 1) / (4 - 1);
      frequency = (1 - smooth) * frequency / kFactor + smooth * frequency;
    }
  }
  check(
      "{strategy: full, rope_scaling: llama3, factor: 8, low_freq_factor: 1, high_freq_factor: 4, "
      "original_max_position_embeddings: 64}",
      all_with([=](size_t) { return f; }));
}

TEST_CASE("dynamic NTK scaling turns a row as in a text that ends at the next block border") {
  // Borders at the training length times 2^(m / 4); base as in Hugging Face's program.
  const auto of_row = [](size_t row) {
    double length = 8;
    for (int m = 1; length < at(row) + 1; ++m)
      length = std::floor(8 * std::pow(2.0, static_cast<double>(m) / 4));
    const double growth = 3 * length / 8 - 2;
    const double base = kTheta * std::pow(growth, 16.0 / 14.0);
    return frequencies(length == 8 ? kTheta : base);
  };
  check("{strategy: full, rope_scaling: dynamic, factor: 3, train_length: 8, max_length: 500}",
        all_with(of_row), 90);
}

TEST_CASE("LongRoPE divides every frequency by its own factor, others beyond the training") {
  const Vector brief{1, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6}, far{1, 1.5, 2, 3, 4, 6, 8, 8};
  const auto of_row = [=](size_t row) {
    Vector f = frequencies(kTheta);
    for (size_t i = 0; i < kPairs; ++i) f[i] /= row < 20 ? brief[i] : far[i];
    return f;
  };
  const double root = std::sqrt(1 + std::log(4.0) / std::log(20.0));
  check(
      "{strategy: full, rope_scaling: longrope, factor: 4, original_max_position_embeddings: 20, "
      "max_length: 300, short_factor: [1, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6], "
      "long_factor: [1, 1.5, 2, 3, 4, 6, 8, 8]}",
      all_with(of_row, root * root));
}

TEST_CASE("LM-Infinite sees a Lambda of keys, none farther away than its limit (Han et al. 2023)") {
  const auto visible = [](size_t i, size_t j) { return j < 3 || i - j < 12; };
  const auto distance = [](size_t i, size_t j) { return std::min(at(i) - at(j), 11.0); };
  for (const char* strategy : {"full", "sliding_window"})
    check(std::string("{strategy: ") + strategy +
              ", window: 12, sinks: 3, distances: clamped, near: 12}",
          at_distances(visible, distance));
}

TEST_CASE("Self-Extend with a group size equals algorithm 1 of Jin et al. 2024") {
  // Neighbours keep their distance; beyond, floor(i / G) + w - floor(w / G) against floor(j / G).
  const auto distance = [](size_t i, size_t j) {
    if (i - j < 7) return at(i) - at(j);
    return at(i / 4) + 7 - at(7 / 4) - at(j / 4);
  };
  check("{strategy: full, distances: grouped, near: 7, group: 4}",
        at_distances(kEverything, distance));
}

TEST_CASE("a window with sinks in full attention sees what the mask of llama2Rnn shows") {
  const auto visible = [](size_t i, size_t j) { return i - j < 10 || (i >= 10 && j < 4); };
  const auto distance = [](size_t i, size_t j) { return at(i) - at(j); };
  check("{strategy: full, window: 10, sinks: 4}", at_distances(visible, distance));
}

TEST_CASE("dynamic NTK reads a text token by token as in one piece, over many block borders") {
  for (const char* kernels : {"[scalar]", "[simd]"}) {
    const auto engine = make_engine({"", kModel,
                                     "{strategy: full, rope_scaling: dynamic, "
                                     "train_length: 16, max_length: 2000}",
                                     0, true, 0},
                                    {std::string("kernels.prefer=") + kernels});
    const auto tokens = random_tokens(700, engine->spec().info.vocab_size, 32);
    Session whole = engine->new_session(), single = engine->new_session();
    const auto expected = all_logits(*engine, whole, tokens);
    const auto found = logits_token_by_token(*engine, single, tokens);
    double worst = 0;
    for (size_t i = 0; i < found.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
    CHECK(worst < 1e-4);
    MESSAGE("dynamic NTK, kernels ", std::string(kernels), ", token by token: ", worst);
  }
}
