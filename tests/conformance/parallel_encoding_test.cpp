// SPDX-License-Identifier: Apache-2.0

// Parallel encoding on the golden models of CEPE: what contexts change, and what changes nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/model/formats/safetensors.hpp"
#include "sdk/half.hpp"
#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Chunks = std::vector<std::vector<int32_t>>;

const std::vector<std::string> kModels{"cepe_base", "cepe_gqa_partial", "cepe_multi_hidden",
                                       "cepe_self_encoder"};

std::unique_ptr<Engine> engine_of(const std::string& model, std::vector<std::string> options = {},
                                  const char* strategy = "parallel_encoding") {
  options.insert(options.begin(), {"attention.strategy=" + std::string(strategy)});
  return std::make_unique<Engine>(golden_settings("../../cepe/" + model, std::move(options)),
                                  linked_plugins());
}

void give(Engine& engine, Session& session, const Chunks& chunks) {
  const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
  engine.feed_input(session, "contexts", views);
}

Chunks some_chunks(uint32_t seed) {
  constexpr int64_t kVocabulary = 61;
  return {random_tokens(7, kVocabulary, seed), random_tokens(5, kVocabulary, seed + 1),
          random_tokens(12, kVocabulary, seed + 2), random_tokens(1, kVocabulary, seed + 3)};
}

std::vector<int32_t> some_text() { return random_tokens(17, 61, 1); }

std::vector<float> logits_with(Engine& engine, const Chunks& chunks) {
  Session session = engine.new_session();
  give(engine, session, chunks);
  return all_logits(engine, session, some_text());
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

// The sentence of the error that `options` bring for a model.
std::string refusal(const std::string& model, const std::vector<std::string>& options,
                    const char* strategy = "parallel_encoding") {
  try {
    engine_of(model, options, strategy);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// A golden model with all tensors in half precision.
void write_halves(const std::string& model, const std::string& type,
                  const TemporaryFolder& folder) {
  const std::string golden = golden_model("../../cepe/" + model);
  std::filesystem::copy_file(golden + "/config.json", folder / "config.json");
  const SafetensorsFile file(golden + "/model.safetensors");
  std::vector<SafetensorsWriter::Declared> declared;
  std::vector<uint16_t> halves;
  for (const auto& [name, tensor] : file.tensors()) {
    declared.push_back({name, type, tensor.shape});
    for (size_t i = 0; i < tensor.bytes.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, tensor.bytes.data() + i, sizeof value);
      halves.push_back(type == "F16" ? f32_to_f16(value) : f32_to_bf16(value));
    }
  }
  SafetensorsWriter writer(folder / "model.safetensors", declared);
  writer.write(std::as_bytes(std::span(halves)));
  writer.close();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("parallel encoding: without contexts a model is its llama to the last bit") {
  for (const std::string& model : kModels)
    for (const char* cross : {"attention.cross=cached", "attention.cross=absorbed"}) {
      const auto engine = engine_of(model, {cross}), full = engine_of(model, {}, "full");
      Session plain = full->new_session();
      const auto expected = all_logits(*full, plain, some_text());
      CHECK(logits_with(*engine, {}) == expected);
      CHECK(largest_difference(logits_with(*engine, some_chunks(2)), expected) > 0.01);
    }
}

TEST_CASE("parallel encoding: kept keys and absorbed ones give the same logits") {
  for (const std::string& model : kModels)
    CHECK(largest_difference(
              logits_with(*engine_of(model, {"attention.cross=cached"}), some_chunks(2)),
              logits_with(*engine_of(model, {"attention.cross=absorbed"}), some_chunks(2))) < 1e-4);
}

TEST_CASE("parallel encoding: kept and absorbed keys of half precision are the same") {
  for (const std::string type : {"F16", "BF16"}) {
    const TemporaryFolder folder;
    write_halves("cepe_base", type, folder);
    const auto logits = [&](const char* cross, const char* kernels) {
      Engine engine(
          golden_settings("llama.v0.bin", {"model.path=" + folder.path().string(), cross, kernels}),
          linked_plugins());
      return logits_with(engine, some_chunks(2));
    };
    const auto expected = logits("attention.cross=cached", "kernels.prefer=[scalar]");
    for (const char* kernels : {"kernels.prefer=[scalar]", "kernels.prefer=[simd]"})
      CHECK(largest_difference(logits("attention.cross=absorbed", kernels), expected) < 1e-4);
  }
}

TEST_CASE("parallel encoding: the order of contexts changes nothing") {
  for (const std::string& model : kModels)
    for (const char* cross : {"attention.cross=cached", "attention.cross=absorbed"}) {
      const auto engine = engine_of(model, {cross});
      Chunks chunks = some_chunks(12);
      const auto expected = logits_with(*engine, chunks);
      std::ranges::reverse(chunks);
      // Sums over keys run in another order. Of the largest logit, which is about 5 here, where two
      // neighbouring F32 are 4.8e-7 apart; 6e-7 was the most.
      const double moved = largest_difference(logits_with(*engine, chunks), expected);
      CAPTURE(moved);
      CHECK(moved < 1e-6 * largest_difference(expected, std::vector(expected.size(), 0.0f)));
      std::swap(chunks[0].front(), chunks[0].back());
      std::swap(chunks[2].front(), chunks[2].back());
      CHECK(largest_difference(logits_with(*engine, chunks), expected) > 1e-4);
    }
}

TEST_CASE("parallel encoding: pieces, steps, threads and batches of the encoder change no bit") {
  for (const std::string& model : kModels)
    for (const std::string cross : {"attention.cross=cached", "attention.cross=absorbed"}) {
      const auto engine = engine_of(model, {cross});
      const auto expected = logits_with(*engine, some_chunks(22));
      Session pieces = engine->new_session();
      for (const auto& chunk : some_chunks(22)) give(*engine, pieces, {chunk});
      CHECK(logits_token_by_token(*engine, pieces, some_text()) == expected);
      for (const std::vector<std::string>& options :
           {std::vector<std::string>{"step.max_rows=3"},
            std::vector<std::string>{"attention.encoder_batch=1"},
            std::vector<std::string>{"threads.backend=tbb", "threads.count=2"},
            std::vector<std::string>{"kernels.check=true"}}) {
        std::vector<std::string> all{cross};
        all.insert(all.end(), options.begin(), options.end());
        CHECK(logits_with(*engine_of(model, all), some_chunks(22)) == expected);
      }
    }
}

TEST_CASE("parallel encoding: contexts come between turns, and a chunk that is taken out is gone") {
  for (const char* cross : {"attention.cross=cached", "attention.cross=absorbed"}) {
    const auto engine = engine_of("cepe_multi_hidden", {cross});
    const auto text = some_text();
    const std::span<const int32_t> all(text);
    const Chunks chunks = some_chunks(32), others = some_chunks(42);
    const auto run = [&](bool with_neighbour) {
      Session session = engine->new_session(), neighbour = engine->new_session();
      give(*engine, session, {chunks[0], chunks[1]});
      if (with_neighbour) give(*engine, neighbour, others);
      auto logits = all_logits(*engine, session, all.first(8));
      give(*engine, session, {chunks[2]});
      engine->forget_input(session, "contexts", 1);
      if (with_neighbour) all_logits(*engine, neighbour, all);
      CHECK(session.stream_length("contexts") == 19);
      const auto rest = all_logits(*engine, session, all.subspan(8));
      logits.insert(logits.end(), rest.begin(), rest.end());
      return logits;
    };
    CHECK(run(true) == run(false));
    // What is read later sees what is there then.
    Session expected = engine->new_session();
    give(*engine, expected, {chunks[0], chunks[1]});
    all_logits(*engine, expected, all.first(8));
    engine->clear_input(expected, "contexts");
    give(*engine, expected, {chunks[0], chunks[2]});
    const auto rest = all_logits(*engine, expected, all.subspan(8));
    const auto found = run(false);
    CHECK(std::equal(rest.begin(), rest.end(), found.end() - std::ssize(rest)));
  }
}

TEST_CASE("parallel encoding: a snapshot takes the encoder's states along") {
  for (const char* cross : {"attention.cross=cached", "attention.cross=absorbed"}) {
    const auto engine = engine_of("cepe_gqa_partial", {cross});
    const auto text = some_text();
    const std::span<const int32_t> all(text);
    Session session = engine->new_session();
    give(*engine, session, some_chunks(52));
    all_logits(*engine, session, all.first(6));
    const auto snapshot = session.snapshot();
    const auto expected = all_logits(*engine, session, all.subspan(6));
    Session restored = engine->new_session();
    restored.restore(snapshot);
    Session fork = engine->fork(restored);
    CHECK(all_logits(*engine, fork, all.subspan(6)) == expected);
    CHECK(restored.stream_chunks("contexts").size() == 4);
    CHECK(all_logits(*engine, restored, all.subspan(6)) == expected);
    engine->rewind(restored, 6);
    CHECK(all_logits(*engine, restored, all.subspan(6)) == expected);
    // Keys and values are no rows of the encoder.
    const bool cached = std::string(cross).ends_with("cached");
    const auto other = engine_of("cepe_gqa_partial",
                                 {cached ? "attention.cross=absorbed" : "attention.cross=cached"});
    Session elsewhere = other->new_session();
    CHECK_THROWS_AS(elsewhere.restore(snapshot), Error);
  }
}

TEST_CASE("parallel encoding: cross-attention is in the last layers and costs state there only") {
  const auto names = [](const std::string& model, const char* cross) {
    return engine_of(model, {std::string("attention.cross=") + cross})->new_session().state_names();
  };
  const auto has = [](const std::vector<std::string>& all, const char* name) {
    return std::ranges::count(all, name) == 1;
  };
  const auto partial = names("cepe_gqa_partial", "cached");
  CHECK_FALSE(has(partial, "blk.0.cross_attn_k"));
  CHECK(has(partial, "blk.1.cross_attn_k"));
  CHECK(has(partial, "blk.2.cross_attn_v"));
  CHECK(has(names("cepe_gqa_partial", "absorbed"), "encoder_states"));
  const auto several = names("cepe_multi_hidden", "absorbed");
  CHECK_FALSE(has(several, "encoder_states.0"));
  for (const char* name : {"encoder_states.1", "encoder_states.2", "encoder_states.3"})
    CHECK(has(several, name));
}

TEST_CASE("parallel encoding: a query behind chunks is seen, and its rows are kept or not") {
  const auto kept = engine_of("cepe_with_query", {"attention.chunk=7"});
  const auto dropped = engine_of(
      "cepe_with_query", {"attention.chunk=7", "attention.encode_mode=with_query_no_hid-3"});
  const auto alone =
      engine_of("cepe_with_query", {"attention.chunk=7", "attention.encode_mode=context_only"});
  const Chunks chunks{{1, 2, 3, 4, 5, 6, 7, 50, 51, 52}, {9, 8, 50, 51, 52}};
  Session with = kept->new_session(), without = dropped->new_session();
  give(*kept, with, chunks);
  give(*dropped, without, chunks);
  CHECK(with.stream_length("contexts") == 15);
  CHECK(without.stream_length("contexts") == 9);
  CHECK(std::ranges::equal(without.stream_chunks("contexts"), std::vector<int64_t>{7, 2}));
  // Chunks can be cut anywhere, also where the rows of queries are not kept.
  Session one_by_one = dropped->new_session();
  for (const auto& chunk : chunks) give(*dropped, one_by_one, {chunk});
  CHECK(all_logits(*dropped, one_by_one, some_text()) ==
        all_logits(*dropped, without, some_text()));
  // The query is seen.
  Session other = dropped->new_session();
  give(*dropped, other, {{1, 2, 3, 4, 5, 6, 7, 50, 51, 53}, {9, 8, 50, 51, 52}});
  Session same = dropped->new_session();
  give(*dropped, same, chunks);
  CHECK(all_logits(*dropped, other, some_text()) != all_logits(*dropped, same, some_text()));
  CHECK(largest_difference(logits_with(*alone, {{1, 2, 3, 4, 5, 6, 7}, {9, 8}}),
                           logits_with(*dropped, chunks)) > 1e-4);
  // The full session.
  const auto small = engine_of("cepe_with_query", {"attention.chunk=7", "attention.max_contexts=9",
                                                   "attention.encode_mode=with_query_no_hid-3"});
  Session full = small->new_session();
  give(*small, full, chunks);
  CHECK_THROWS_WITH_AS(give(*small, full, {{1, 50, 51, 52}}),
                       doctest::Contains("more than a session can hold, which is 9"), Error);
  CHECK_THROWS_WITH_AS(give(*dropped, without, {{50, 51, 52}}),
                       doctest::Contains("has 3 tokens; it must have 4 to 10"), Error);
}

TEST_CASE("parallel encoding: what does not fit a model is refused in one sentence") {
  CHECK(contains(refusal("../llama2rnn/models/llama.v0.bin", {}),
                 "needs a model with an encoder and cross-attention (CEPE)"));
  CHECK(contains(refusal("cepe_base", {"attention.chunk=33"}),
                 "attention.chunk of 33 tokens and a query of 0 are more than the encoder's 32"));
  CHECK(contains(refusal("cepe_with_query", {"attention.chunk=30"}), "a query of 3 are more than"));
  for (const char* mode : {"with_query-", "with_query-0", "with_query-x", "query-3",
                           "with_query_no_hid-3x", "with_query-99999999999999999999"})
    CHECK(contains(refusal("cepe_base", {std::string("attention.encode_mode=") + mode}),
                   std::string("attention.encode_mode is '") + mode + "' but must be"));
  for (const char* cross : {"attention.cross=both", "attention.cross=auto"})
    CHECK(contains(refusal("cepe_base", {cross}), "attention.cross"));
  CHECK(contains(refusal("cepe_base", {"attention.xpos=32"}), "a smaller attention.max_length"));
  CHECK(refusal("cepe_base", {"attention.chunk=auto", "attention.encoder_batch=auto"}).empty());
  CHECK(contains(refusal("cepe_base", {"attention.rope_scaling=dynamic"}),
                 "which only attention.strategy: full does"));
}

TEST_CASE("the encoder alone sees the whole text") {
  const auto engine = engine_of("mlm_encoder", {}, "bidirectional");
  const auto logits = [&](const std::vector<int32_t>& tokens) {
    Session session = engine->new_session();
    std::vector<float> all;
    const Feed one[] = {{&session, tokens, Feed::Logits::kWindow}};
    engine->feed(one, [&](size_t, size_t, std::span<const float> row) {
      all.insert(all.end(), row.begin(), row.end());
    });
    return all;
  };
  auto text = some_text();
  const auto before = logits(text);
  text.back() = (text.back() + 1) % 61;
  const auto after = logits(text);
  CHECK(before.size() == 17 * 61);
  CHECK_FALSE(std::equal(before.begin(), before.begin() + 61, after.begin()));
}
