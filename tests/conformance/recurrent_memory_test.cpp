// SPDX-License-Identifier: Apache-2.0

// attention.recurrent_memory against a llama in double precision, with segments of every alignment,
// and the options that it refuses. (perdure_golden compares it with the original.)
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/llama_reference.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Vector = LlamaReference::Vector;
using Key = LlamaReference::Key;

constexpr const char* kPlain = "llama.v0.bin";
constexpr const char* kTrained = "../../rmt/hf_wrapper_llama/model.safetensors";
constexpr const char* kUntrained =
    "{strategy: recurrent_memory, num_mem_tokens: 2, segment_size: 5, initial: untrained}";

std::unique_ptr<Engine> engine_with(const char* model, const char* attention) {
  return make_engine({"", model, attention, 0, true, 0});
}

std::vector<Key> all_before(size_t row) {
  std::vector<Key> keys;
  for (size_t j = 0; j <= row; ++j) keys.push_back({j, static_cast<int64_t>(j)});
  return keys;
}

// Segment by segment through a plain transformer.
class Reference {
 public:
  Reference(const Engine& engine, int64_t n_memory) : llama_(engine.model()) {
    for (int64_t m = 0; m < n_memory; ++m)
      memory_.push_back(llama_.embedding(static_cast<int32_t>(m)));
  }

  // Logits of the segment's tokens, one after the other.
  std::vector<double> read(std::span<const int32_t> segment) {
    std::vector<Vector> rows = memory_;
    for (const int32_t token : segment) rows.push_back(llama_.embedding(token));
    rows.insert(rows.end(), memory_.begin(), memory_.end());
    rows = llama_.run(std::move(rows), all_before);
    std::vector<double> logits;
    for (size_t t = 0; t < segment.size(); ++t) {
      const Vector row = llama_.logits(rows[memory_.size() + t]);
      logits.insert(logits.end(), row.begin(), row.end());
    }
    for (size_t m = 0; m < memory_.size(); ++m)
      memory_[m] = llama_.norm(rows[memory_.size() + segment.size() + m], "output_norm.weight");
    return logits;
  }

 private:
  LlamaReference llama_;
  std::vector<Vector> memory_;
};

// Lengths of the segments of 12 tokens where a full one has 5.
struct Cut {
  Alignment alignment;
  std::vector<size_t> lengths;
};
const Cut kCuts[] = {
    {Alignment::kLeft, {5, 5, 2}}, {Alignment::kRight, {2, 5, 5}}, {Alignment::kCenter, {4, 4, 4}}};

}  // namespace

TEST_CASE("recurrent_memory around a plain llama equals a transformer run segment by segment") {
  const auto engine = engine_with(kPlain, kUntrained);
  const auto tokens = random_tokens(12, engine->spec().info.vocab_size, 24);
  for (const Cut& cut : kCuts) {
    Session session = engine->new_session();
    engine->align_segments(session, cut.alignment, 12);
    const auto logits = all_logits(*engine, session, tokens);
    Reference reference(*engine, 2);
    std::vector<double> expected;
    size_t first = 0;
    for (const size_t n : cut.lengths) {
      const auto segment = reference.read(std::span(tokens).subspan(first, n));
      expected.insert(expected.end(), segment.begin(), segment.end());
      first += n;
    }
    REQUIRE(logits.size() == expected.size());
    double worst = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::abs(logits[i] - expected[i]));
    CHECK(worst < 2e-4);
  }
}

TEST_CASE("recurrent_memory hands on what it read: another first segment gives other logits") {
  const auto engine = engine_with(kTrained, "{strategy: recurrent_memory}");
  const auto tokens = random_tokens(7, engine->spec().info.vocab_size, 3);
  auto others = tokens;
  others[0] = (others[0] + 1) % static_cast<int32_t>(engine->spec().info.vocab_size);
  Session one = engine->new_session(), other = engine->new_session();
  const auto logits = all_logits(*engine, one, tokens);
  const auto other_logits = all_logits(*engine, other, others);
  const auto n = engine->spec().info.vocab_size;
  CHECK_FALSE(std::equal(logits.end() - n, logits.end(), other_logits.end() - n));
}

TEST_CASE("a model with a trained memory runs recurrent_memory with its sizes by itself") {
  const auto engine = std::make_unique<Engine>(golden_settings(kTrained, {}), linked_plugins());
  CHECK(engine->traits().segment_length == 6);
  CHECK(engine->new_session().read_state("memory", 0, 3).size() == 3 * 40);
  CHECK(engine->traits().constant_memory);
}

TEST_CASE("options of recurrent_memory that do not fit the model are refused with a sentence") {
  const auto refused = [](const char* model, const char* attention, const char* why) {
    CHECK_THROWS_WITH_AS(engine_with(model, attention), doctest::Contains(why), UsageError);
  };
  refused(kPlain, "{strategy: recurrent_memory}", "needs a model with a trained memory");
  refused(kPlain, "{strategy: recurrent_memory, initial: untrained}", "num_mem_tokens is 0");
  refused(kTrained, "{strategy: recurrent_memory, num_mem_tokens: 2}", "has 3 rows");
  refused(kTrained, "{strategy: recurrent_memory, initial: untrained, num_mem_tokens: 62}",
          "1 to 61 rows");
  refused(kPlain, "{strategy: recurrent_memory, initial: untrained, num_mem_tokens: 48}",
          "attention.segment_size");
  refused(kTrained, "{strategy: recurrent_memory, layers: {'1': {strategy: full}}}",
          "attention.layers");
}
