// SPDX-License-Identifier: Apache-2.0

// How far the instruction sets may be apart, on the shipped models with 8-bit weights: what
// docs/measures.md promises, and why it is no more.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/base/cpu.hpp"
#include "core/eval/windows.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/instruction_sets.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr size_t kTokens = 200;

struct Shipped {
  const char* folder;
  const char* model;
  const char* text;
};
constexpr Shipped kShipped[] = {
    {"fables", "fables.bin", "fables/held_out.txt"},
    {"fables-memory", "fables-memory.bin", "fables/held_out.txt"},
    {"recall-chat", "recall-chat.bin", "recall-chat/talk.txt"},
};

std::string in_models(const std::string& path) {
  return std::string(PERDURE_SOURCE_DIR) + "/models/" + path;
}

std::vector<int32_t> tokens_of(const Engine& engine, const Shipped& shipped) {
  std::ifstream file(in_models(shipped.text), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto tokens = engine.tokenizer().encode(text, true, false);
  tokens.resize(std::min(tokens.size(), kTokens));
  return tokens;
}

struct Reading {
  std::vector<int32_t> tokens;
  std::vector<float> logits;  // [tokens, vocabulary]
};

Reading read_with(const Shipped& shipped, const std::vector<std::string>& more) {
  std::vector<std::string> words{
      "model.path=" + in_models(std::string(shipped.folder) + "/" + shipped.model),
      "model.tokenizer=" + in_models(std::string(shipped.folder) + "/tokenizer.bin")};
  words.insert(words.end(), more.begin(), more.end());
  Engine engine(golden_settings("", words), linked_plugins());
  Session session = engine.new_session();
  Reading reading{tokens_of(engine, shipped), {}};
  reading.logits = all_logits(engine, session, reading.tokens);
  return reading;
}

// The same by the kernels of a set; nothing if this processor does not have it.
std::optional<Reading> read_by(const Shipped& shipped, const InstructionSet& isa,
                               std::vector<std::string> more) {
  if ((cpu_features() & isa.feature) == 0) return std::nullopt;
  more.insert(more.end(), {"kernels.prefer=[simd]", "kernels.isa=" + std::string(isa.name)});
  return read_with(shipped, more);
}

double root_mean_square(const Reading& a, const Reading& b) {
  double sum = 0;
  for (size_t i = 0; i < a.logits.size(); ++i)
    sum += std::pow(static_cast<double>(a.logits[i]) - static_cast<double>(b.logits[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.logits.size()));
}

// The largest difference, of logits far from 0 relative to them.
double largest(const Reading& a, const Reading& b) {
  double most = 0;
  for (size_t i = 0; i < a.logits.size(); ++i)
    most = std::max<double>(most,
                            std::abs(a.logits[i] - b.logits[i]) / (1.0f + std::abs(a.logits[i])));
  return most;
}

double mean_loss(const Reading& r) {
  const size_t n = r.logits.size() / r.tokens.size();
  double sum = 0;
  for (size_t i = 0; i + 1 < r.tokens.size(); ++i)
    sum += score_row(std::span(r.logits).subspan(i * n, n), r.tokens[i + 1]).loss;
  return sum / static_cast<double>(r.tokens.size() - 1);
}

}  // namespace

TEST_CASE("with 8-bit activations instruction sets differ by no more than quantising does") {
  for (const Shipped& shipped : kShipped) {
    CAPTURE(shipped.folder);
    const Reading scalar = read_with(shipped, {});
    const Reading exact = read_with(shipped, {"kernels.activations=f32"});
    CHECK(root_mean_square(scalar, exact) > 0.001);  // or nothing is tested here
    for (const InstructionSet& isa : kInstructionSets) {
      CAPTURE(isa.name);
      const auto vectors = read_by(shipped, isa, {});
      if (!vectors) continue;
      CHECK(root_mean_square(scalar, *vectors) < 0.1);
      CHECK(largest(scalar, *vectors) < 0.5);
      CHECK(std::abs(mean_loss(scalar) - mean_loss(*vectors)) < 0.01);
    }
  }
}

TEST_CASE("with F32 activations instruction sets agree to 1e-4") {
  for (const Shipped& shipped : kShipped) {
    CAPTURE(shipped.folder);
    const Reading scalar = read_with(shipped, {"kernels.activations=f32"});
    for (const InstructionSet& isa : kInstructionSets) {
      CAPTURE(isa.name);
      const auto vectors = read_by(shipped, isa, {"kernels.activations=f32"});
      if (vectors) CHECK(largest(scalar, *vectors) < 1e-4);
    }
  }
}

TEST_CASE("only norms, attention, rotation and SiLU differ between instruction sets") {
  const std::vector<std::string> pinned{
      "kernels.pin={rms_norm: rms_norm_f32_scalar, attend: attend_f32_scalar, "
      "rope: rope_f32_scalar, silu_mul: silu_mul_f32_scalar}",
      "kernels.prefer=[simd]"};
  for (const Shipped& shipped : kShipped) {
    CAPTURE(shipped.folder);
    CHECK(read_with(shipped, pinned).logits == read_with(shipped, {}).logits);
  }
}
