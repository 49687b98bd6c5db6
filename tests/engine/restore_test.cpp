// SPDX-License-Identifier: Apache-2.0

// Sessions that are saved and come back: complete, and without a trace when refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/engine/snapshot.hpp"
#include "tests/engine/saved_sessions.hpp"

using namespace perdure;
using namespace perdure::testing;

TEST_CASE("a session saved at 20 random points and restored elsewhere continues bit for bit") {
  struct Candidate {
    const char* model;
    Overrides overrides;
  };
  const Candidate candidates[] = {
      {"memA.q80.bin", {"attention.strategy=memory"}},
      {"memA.q80.bin", {"attention={strategy: memory, update: token}"}},
      {"memB_gqa.q80.bin", {"attention={strategy: memory, update: never}"}},
      {"memA.q80.bin", {"attention.strategy=full"}},
      {"memA.q80.bin", {"attention={strategy: sliding_window, window: 7, sinks: 2}"}},
      {"memA.q80.bin", {"attention={strategy: memory, layers: {'1': {strategy: full}}}"}},
      {"pt_lstm.safetensors", {"attention.strategy=chunk_lstm"}},
  };
  for (const Candidate& candidate : candidates) {
    CAPTURE(candidate.overrides[0]);
    Engine engine = make_engine(candidate.overrides, candidate.model);
    Engine elsewhere = make_engine(candidate.overrides, candidate.model);
    const auto vocab_size = static_cast<size_t>(engine.spec().info.vocab_size);
    const auto tokens = random_tokens(60, engine.spec().info.vocab_size, 2);
    Session whole = engine.new_session();
    const auto expected = all_logits(engine, whole, tokens);
    std::mt19937 random(3);
    for (int i = 0; i < 20; ++i) {
      const size_t point = i < 4 ? std::array{0, 7, 8, 9}[static_cast<size_t>(i)] : random() % 60;
      CAPTURE(point);
      Session session = engine.new_session();
      all_logits(engine, session, std::span(tokens).first(point));
      session.random().state = 1000 + point;
      const Bytes memory = session.snapshot();
      Session restored = advanced(elsewhere, 13, 9);
      restored.restore(memory);
      CHECK(restored.position() == static_cast<int64_t>(point));
      CHECK(restored.random().state == 1000 + point);
      CHECK(std::ranges::equal(restored.tail(), session.tail()));
      CHECK(restored.snapshot() == memory);
      const auto rest = all_logits(elsewhere, restored, std::span(tokens).subspan(point));
      CHECK(std::ranges::equal(rest, std::span(expected).subspan(point * vocab_size)));
    }
  }
}

TEST_CASE("after any refused restore the session is what it was, bit for bit") {
  Engine engine = make_engine();
  Engine other = make_engine({"attention={strategy: memory, update: never}"});
  Session session = advanced(engine, 21, 4);
  const Bytes before = session.snapshot();
  const Bytes good = advanced(engine, kSavedAt, 5).snapshot();

  std::vector<Bytes> bad;
  bad.push_back(advanced(other, kSavedAt).snapshot());
  bad.push_back({});
  for (size_t size : {size_t{1}, size_t{100}, good.size() / 2, good.size() - 1}) {
    bad.emplace_back(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
  }
  std::mt19937_64 random(6);
  for (int i = 0; i < 200; ++i) {
    bad.push_back(good);
    bad.back()[random() % good.size()] ^= std::byte{1} << (random() % 8);
  }
  const auto changed = [&](const auto& change) {
    SnapshotContents contents = decode_snapshot(good);
    change(contents);
    bad.push_back(encode_snapshot(contents));
  };
  changed([](SnapshotContents& c) { c.tail[0] = 96; });
  changed([](SnapshotContents& c) { c.tail[0] = -1; });
  changed([](SnapshotContents& c) { c.tail.resize(65); });
  changed([](SnapshotContents& c) { c.tensors.pop_back(); });
  changed([](SnapshotContents& c) { c.tensors.push_back({"more", 1, 1, {0.0f}}); });
  changed([](SnapshotContents& c) { c.tensors[0].name += "x"; });
  changed([](SnapshotContents& c) { std::swap(c.tensors[0].rows, c.tensors[0].columns); });
  changed([](SnapshotContents& c) { c.identity += "more: x\n"; });

  for (const Bytes& bytes : bad) {
    CHECK_FALSE(refusal(session, bytes).empty());
    CHECK(session.snapshot() == before);
  }
  const auto tokens = random_tokens(30, 96, 7);
  Session reference = advanced(engine, 21, 4);
  CHECK(all_logits(engine, session, tokens) == all_logits(engine, reference, tokens));
}

TEST_CASE("a session comes back in its place although two of it are over the budget") {
  const auto tokens = random_tokens(900, 96, 8);
  const auto read = [&](Engine& engine) {
    Session session = engine.new_session();
    all_logits(engine, session, tokens);
    return session;
  };
  const ModelInfo info = make_engine().spec().info;
  // Two tensors a layer take whole blocks of 64 KiB.
  const int64_t tensor = 900 * info.num_key_value_heads * info.head_size * 4;
  const int64_t taken = 2 * info.num_hidden_layers * ((tensor + 65535) / 65536 * 65536);
  const std::string budget = std::to_string(taken * 3 / 2);
  Engine tight =
      make_engine({"attention={strategy: full, max_length: 1024}", "state.max_bytes=" + budget});
  Session session = read(tight);
  const Bytes memory = session.snapshot();
  CHECK_THROWS_WITH_AS(read(tight), doctest::Contains("state.max_bytes"), Error);
  for (int i = 0; i < 3; ++i) session.restore(memory);
  Bytes damaged = memory;
  damaged[damaged.size() / 2] ^= std::byte{1};
  CHECK_FALSE(refusal(session, damaged).empty());
  CHECK(session.snapshot() == memory);
}

TEST_CASE("a snapshot that is given away while it is read restores the same session") {
  Engine engine = make_engine({"attention={strategy: full, max_length: 4096}"});
  const Bytes memory = advanced(engine, 2000).snapshot();
  REQUIRE(memory.size() > (size_t{2} << 20));
  Session restored = engine.new_session();
  Bytes given = memory;
  restored.restore(std::move(given));
  CHECK(restored.snapshot() == memory);
  Bytes damaged = memory;
  damaged[damaged.size() / 2] ^= std::byte{1};
  CHECK_THROWS_AS(restored.restore(std::move(damaged)), Error);
  CHECK(restored.snapshot() == memory);
}

TEST_CASE("a snapshot begins with the states that grow, and its beginning stays the same") {
  Engine engine = make_engine(
      {"attention={strategy: sliding_window, window: 7, layers: {'1': {strategy: full}}}"});
  Session session = engine.new_session();
  const auto tokens = random_tokens(101, engine.spec().info.vocab_size, 1);
  all_logits(engine, session, std::span(tokens).first(100));
  const Bytes before = session.snapshot();
  const SnapshotContents contents = decode_snapshot(before);
  size_t appended_bytes = 0;
  for (const SnapshotTensor& tensor : contents.tensors) {
    CHECK((tensor.series != 0) == tensor.name.starts_with("blk.1."));
    if (tensor.series != 0) appended_bytes += static_cast<size_t>(tensor.size_bytes());
  }
  REQUIRE(appended_bytes > 0);
  all_logits(engine, session, std::span(tokens).last(1));
  const Bytes after = session.snapshot();
  constexpr size_t kFrame = 24;  // of the file and of the first chunk
  const size_t whole_bands = appended_bytes / 100 * 96;
  CHECK(std::equal(before.begin() + kFrame, before.begin() + kFrame + whole_bands,
                   after.begin() + kFrame));
}

TEST_CASE("what an application wants to remember comes back with the session, and only that") {
  Engine engine = make_engine();
  Session session = engine.new_session();
  session.set_value("documents", "a.txt\nb.txt");
  session.set_value("turns", int64_t{1} << 62);
  session.set_value("gone", 1);
  session.set_value("gone", std::nullopt);
  Session restored = engine.new_session();
  restored.set_value("of before", 1);
  restored.restore(session.snapshot());
  CHECK(restored.value("documents") == SessionValue("a.txt\nb.txt"));
  CHECK(restored.value("turns") == SessionValue(int64_t{1} << 62));
  CHECK_FALSE(restored.value("gone"));
  CHECK_FALSE(restored.value("of before"));
  CHECK_THROWS_AS(session.set_value("engine.segment_start", 1), Error);
  CHECK_THROWS_AS(session.value("engine.segment_start"), Error);
}

TEST_CASE(
    "a text written under penalties goes on after a restore as if it had not been interrupted") {
  Engine engine = make_engine();
  const int64_t vocab_size = engine.spec().info.vocab_size;
  const SamplingOptions options{.temperature = 1.2,
                                .top_k = 0,
                                .top_p = 0.9,
                                .temperature_last = true,
                                .presence_penalty = 0.3,
                                .frequency_penalty = 0.4};
  Sampler sampler(vocab_size);
  std::vector<float> logits(static_cast<size_t>(vocab_size));
  const auto write = [&](Session& session, int n, int32_t token) {
    std::vector<int32_t> written;
    for (int i = 0; i < n; ++i) {
      engine.feed(session, {&token, 1}, logits);
      token = sampler.sample(logits, options, {}, session.random(), session.counts().counts());
      session.counts().add(token, 0.9f);
      written.push_back(token);
    }
    return written;
  };
  Session session = engine.new_session();
  const std::vector<int32_t> first = write(session, 30, 1);
  const Bytes memory = session.snapshot();
  Session fork = engine.fork(session);
  const std::vector<int32_t> rest = write(session, 30, first.back());
  Session restored = advanced(engine, 5);
  restored.counts().add(2, 1.0f);
  restored.restore(memory);
  CHECK(write(restored, 30, first.back()) == rest);
  CHECK(write(fork, 30, first.back()) == rest);
  CHECK(restored.snapshot() == session.snapshot());

  SnapshotContents contents = decode_snapshot(memory);
  contents.values["engine.counts"] = "96 1065353216";
  CHECK(refusal(restored, encode_snapshot(contents)) ==
        "the snapshot's counts of tokens do not fit the vocabulary");
}

TEST_CASE("values of the engine that this program does not know are refused by name") {
  Engine engine = make_engine();
  Session session = advanced(engine, 3);
  SnapshotContents contents = decode_snapshot(session.snapshot());
  contents.values["engine.of_tomorrow"] = int64_t{1};
  CHECK(refusal(session, encode_snapshot(contents)).find("'engine.of_tomorrow'") !=
        std::string::npos);
}

TEST_CASE("state that is not finite is neither restored nor saved, and the tensor is named") {
  Engine engine = make_engine();
  Session session = advanced(engine, kSavedAt);
  const Bytes good = session.snapshot();
  for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 3e38f, -2e30f}) {
    CAPTURE(value);
    SnapshotContents contents = decode_snapshot(good);
    contents.tensors[1].values.back() = value;
    const std::string message = refusal(session, encode_snapshot(contents));
    CHECK(message.find("'" + contents.tensors[1].name + "'") != std::string::npos);
    CHECK(session.snapshot() == good);
  }
  std::vector<float> row = session.read_state("blk.0.attn_k", 0, 1);
  row[0] = std::nanf("");
  session.write_state("blk.0.attn_k", 0, row);
  CHECK_THROWS_WITH_AS(session.snapshot(), doctest::Contains("'blk.0.attn_k'"), Error);
}

TEST_CASE("a session of an impossible length is refused, and feeding continues") {
  Engine engine = make_engine({"attention={strategy: sliding_window, window: 7, sinks: 2}"});
  Session session = advanced(engine, kSavedAt);
  SnapshotContents contents = decode_snapshot(session.snapshot());
  contents.position = std::numeric_limits<int64_t>::max() - 2;
  CHECK(refusal(session, encode_snapshot(contents)).find("2^62") != std::string::npos);
  contents.position = int64_t{1} << 62;
  CHECK(refusal(session, encode_snapshot(contents)).empty());
  std::vector<float> logits(96);
  CHECK_THROWS_AS(engine.feed(session, std::array{1}, logits), Error);
}

TEST_CASE("a memory longer than a growing session may become is refused") {
  Engine small = make_engine({"attention={strategy: full, max_length: 64}"});
  Engine large = make_engine({"attention={strategy: full, max_length: 128}"});
  const Bytes memory = advanced(large, 100).snapshot();
  Session session = small.new_session();
  CHECK(refusal(session, memory).find("max_length") != std::string::npos);
  CHECK(session.position() == 0);
}

TEST_CASE("a configuration as long as one may be can be saved") {
  Settings settings = golden_settings("memA.q80.bin");
  settings.chat.system = std::string(1u << 20, '\n');  // each is written as four bytes
  Engine engine(settings, linked_plugins());
  Session session = engine.new_session();
  CHECK_NOTHROW(session.restore(session.snapshot()));
}
