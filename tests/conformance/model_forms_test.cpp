// SPDX-License-Identifier: Apache-2.0

// Llamas of other forms than llama2.c's, against the definition in double precision: biases, norms
// of heads, heads of a size of their own, other rotations and scales of scores, under the
// strategies that anybody may use with them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/model/builder.hpp"
#include "core/model/conversion/tensor_stream.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/llama_reference.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Vector = LlamaReference::Vector;

struct Form {
  bool biases = false, head_norms = false, halves = false;
  int64_t head_size = 8, rotary_size = 8;
  double score_scale = 0.0;
};

// Makes a small llama with random weights.
class RandomLlama {
 public:
  explicit RandomLlama(const Form& form) : form_(form) {
    ModelSpec& spec = builder_.spec();
    ModelInfo& info = spec.info;
    info.hidden_size = 32;
    info.num_hidden_layers = 2;
    info.num_attention_heads = 4;
    info.num_key_value_heads = 2;
    info.head_size = form.head_size;
    info.rotary_size = form.rotary_size;
    info.rotation_order = form.halves ? RotationOrder::kHalves : RotationOrder::kAdjacentPairs;
    info.score_scale = form.score_scale;
    info.vocab_size = 50;
    info.train_length = 64;
    spec.intermediate_size = 48;
  }

  Model make() {
    const ModelInfo info = builder_.spec().info;
    matrix("token_embd", info.vocab_size, info.hidden_size);
    norm("output_norm", info.hidden_size);
    for (const char* block : {"blk.0.", "blk.1."}) layer(block, info);
    return builder_.take();
  }

 private:
  void layer(const std::string& block, const ModelInfo& info) {
    const int64_t d = info.hidden_size, h = builder_.spec().intermediate_size;
    norm(block + "attn_norm", d);
    norm(block + "ffn_norm", d);
    projection(block + "attn_q", info.query_columns(), d);
    projection(block + "attn_k", info.key_columns(), d);
    projection(block + "attn_v", info.value_columns(), d);
    projection(block + "attn_output", d, info.query_columns());
    if (form_.head_norms) norm(block + "attn_q_norm", info.query_columns());
    if (form_.head_norms) norm(block + "attn_k_norm", info.key_columns());
    matrix(block + "ffn_gate", h, d);
    matrix(block + "ffn_up", h, d);
    matrix(block + "ffn_down", d, h);
  }

  void add(const std::string& name, int64_t rows, int64_t columns, float mean, float deviation) {
    std::normal_distribution<float> values(mean, deviation);
    std::vector<float> data(static_cast<size_t>(rows * columns));
    for (float& v : data) v = values(random_);
    builder_.add_owned(name, rows, columns, std::move(data));
  }
  void matrix(const std::string& name, int64_t rows, int64_t columns) {
    add(name + ".weight", rows, columns, 0.0f, 0.3f);
  }
  void norm(const std::string& name, int64_t n) { add(name + ".weight", 1, n, 1.0f, 0.2f); }
  void projection(const std::string& name, int64_t rows, int64_t columns) {
    matrix(name, rows, columns);
    if (form_.biases) add(name + ".bias", 1, rows, 0.0f, 0.5f);
  }

  Form form_;
  ModelBuilder builder_;
  std::mt19937 random_{7};
};

std::unique_ptr<Engine> engine_with(Model model, const std::vector<std::string>& attention) {
  std::vector<std::string> overrides{"kernels.prefer=[scalar]", "threads.backend=serial",
                                     "threads.count=1"};
  overrides.insert(overrides.end(), attention.begin(), attention.end());
  return std::make_unique<Engine>(load_settings("", overrides), linked_plugins(), std::move(model));
}

std::unique_ptr<Engine> engine_of(const Form& form, const std::vector<std::string>& attention) {
  return engine_with(RandomLlama(form).make(), attention);
}

// The same function as the model of `form`, whose heads turn adjacent pairs, by halves.
Model by_halves(Form form) {
  const Model pairs = RandomLlama(form).make();
  form.halves = true;
  Model halves = RandomLlama(form).make();
  for (const auto& [name, weight] : pairs.weights()) {
    const RowOrder order = row_order(pairs.spec().info, name, RotationOrder::kHalves);
    const auto* from = static_cast<const float*>(weight.data);
    std::vector<float> data;
    for (int64_t row = 0; row < weight.rows; ++row) {
      const float* first = from + order.source(row) * weight.columns;
      data.insert(data.end(), first, first + weight.columns);
    }
    halves.replace(name, weight.rows, weight.columns, std::move(data));
  }
  return halves;
}

std::vector<float> logits_of(Model model, const std::string& attention) {
  const auto engine = engine_with(std::move(model), {"attention=" + attention});
  Session session = engine->new_session();
  return all_logits(*engine, session, random_tokens(24, engine->spec().info.vocab_size, 3));
}

float difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

std::vector<std::string> methods_of(int64_t rotary_size) {
  const std::string factors = rotary_size == 4
                                  ? "short_factor: [1, 1], long_factor: [2, 5]"
                                  : "short_factor: [1, 1, 1, 1], long_factor: [2, 5, 3, 4]";
  return {"{strategy: full, rope_scaling: dynamic, train_length: 8}",
          "{strategy: full, rope_scaling: longrope, train_length: 8, "
          "original_max_position_embeddings: 8, " +
              factors + "}",
          "{strategy: full, rope_scaling: yarn, factor: 4}",
          "{strategy: full, distances: grouped, near: 6, group: 2}",
          "{strategy: full, distances: clamped, near: 6}",
          "{strategy: sliding_window, window: 6, sinks: 2, positions: reindexed}",
          "{strategy: sliding_window, window: 6, sinks: 2, distances: clamped}",
          "{strategy: memory, mem_len: 6, initial: zero}",
          "{strategy: recurrent_memory, num_mem_tokens: 2, segment_size: 6, initial: untrained}"};
}

// The largest difference of any logit from the reference; `window` 0: every row sees all before it.
double difference(const Form& form, const std::vector<std::string>& attention, size_t window) {
  const auto engine = engine_of(form, attention);
  const auto tokens = random_tokens(24, engine->spec().info.vocab_size, 3);
  Session session = engine->new_session();
  const auto logits = all_logits(*engine, session, tokens);
  const LlamaReference llama(engine->model());
  std::vector<Vector> rows;
  for (const int32_t token : tokens) rows.push_back(llama.embedding(token));
  rows = llama.run(std::move(rows), [&](size_t row) {
    std::vector<LlamaReference::Key> keys;
    for (size_t j = window == 0 || row < window ? 0 : row + 1 - window; j <= row; ++j)
      keys.push_back({j, static_cast<int64_t>(j)});
    return keys;
  });
  double largest = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const Vector expected = llama.logits(rows[t]);
    for (size_t i = 0; i < expected.size(); ++i)
      largest = std::max(largest, std::abs(logits[t * expected.size() + i] - expected[i]));
  }
  return largest;
}

}  // namespace

TEST_CASE("llamas with biases, head norms and other heads give the logits of the definition") {
  const Form forms[] = {{},
                        {.biases = true},
                        {.head_norms = true, .head_size = 12, .rotary_size = 12},
                        {.biases = true, .head_norms = true, .halves = true},
                        {.rotary_size = 4},
                        {.halves = true, .rotary_size = 4},
                        {.score_scale = 0.1}};
  for (const Form& form : forms) {
    CAPTURE(&form - forms);
    CHECK(difference(form, {"attention.strategy=full"}, 0) < 5e-4);
    CHECK(difference(form, {"attention.strategy=sliding_window", "attention.window=5"}, 5) < 5e-4);
  }
}

TEST_CASE("every method for long texts is the same for heads that turn pairs, halves, or in part") {
  for (const int64_t rotary_size : {8, 4}) {
    const Form form{.rotary_size = rotary_size};
    for (const std::string& method : methods_of(rotary_size)) {
      CAPTURE(method);
      const std::vector<float> pairs = logits_of(RandomLlama(form).make(), method);
      const std::vector<float> halves = logits_of(by_halves(form), method);
      CHECK(difference(pairs, halves) < 1e-4f);
    }
  }
}

TEST_CASE("heads wider or narrower than the model have a memory, however they turn") {
  const std::string memory = "{strategy: memory, mem_len: 6, initial: zero}";
  for (const int64_t head_size : {12, 4}) {
    const Form form{.head_size = head_size, .rotary_size = head_size};
    const std::vector<float> pairs = logits_of(RandomLlama(form).make(), memory);
    const std::vector<float> halves = logits_of(by_halves(form), memory);
    const std::vector<float> full = logits_of(RandomLlama(form).make(), "{strategy: full}");
    CHECK(difference(pairs, halves) < 5e-4f);
    CHECK(difference(pairs, full) > 1e-2f);
  }
}

TEST_CASE("options that turn adjacent pairs only refuse a model that turns halves") {
  const Form halves{.halves = true};
  CHECK_THROWS_WITH_AS(engine_of(halves, {"attention.strategy=full", "attention.sum_cis=true"}),
                       doctest::Contains("rotates its heads by halves"), UsageError);
}

TEST_CASE("memory of another form of model is another memory") {
  const std::vector<std::string> full{"attention.strategy=full"};
  const std::string plain = engine_of({}, full)->identity();
  CHECK(plain.find("rotation order") == std::string::npos);
  CHECK(engine_of({.halves = true}, full)->identity().find("rotation order: halves\n") !=
        std::string::npos);
  CHECK(engine_of({.rotary_size = 4}, full)->identity().find("rotary size: 4\n") !=
        std::string::npos);
  CHECK(engine_of({.score_scale = 0.1}, full)->identity().find("score scale: 0.1") !=
        std::string::npos);
}
