// SPDX-License-Identifier: Apache-2.0

// What a session of an RWKV model begins with and with which it goes on, and its bits on every
// instruction set. The strategy is held to everything else by the suites that it joins in
// strategy_candidates.hpp, its numbers by the golden set.
#include <doctest/doctest.h>

#include "core/base/cpu.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/formats/safetensors.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/instruction_sets.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

Settings settings_of(const std::string& model, std::vector<std::string> overrides = {}) {
  return golden_settings("../../rwkv/" + model + "/model.safetensors", std::move(overrides));
}

}  // namespace

TEST_CASE("a session of RWKV 4 begins with no exponent, and a saved one continues from it") {
  Engine engine(settings_of("rand_v4"), linked_plugins());
  Session session = engine.new_session();
  CHECK(session.read_state("blk.1.wkv", 0, 2) == std::vector<float>(64, 0.0f));
  CHECK(session.read_state("blk.1.wkv", 2, 1) == std::vector<float>(32, -1e30f));
  Session restored = engine.new_session();
  restored.restore(session.snapshot());
  const auto tokens = random_tokens(9, engine.spec().info.vocab_size, 1);
  CHECK(all_logits(engine, restored, tokens) == all_logits(engine, session, tokens));
}

TEST_CASE("a tuned state is what every session of RWKV 6 begins with") {
  const SafetensorsFile original(golden_model("../../rwkv/rand_v6/model.safetensors"));
  RwkvFile file{.path = "m", .format = "a test"};
  for (const auto& [name, tensor] : original.tensors())
    file.tensors[name] = {tensor.shape, {.data = tensor.bytes.data()}};
  std::vector<float> state(3 * 16 * 16);
  for (size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(i % 7) - 3.0f;
  for (const char* layer : {"blocks.0.", "blocks.1."})
    file.tensors[std::string(layer) + "att.time_state"] = {{3, 16, 16}, {.data = state.data()}};
  Engine tuned(settings_of("rand_v6"), linked_plugins(), rwkv_model(file));
  Engine plain(settings_of("rand_v6"), linked_plugins());
  Session session = tuned.new_session(), zero = plain.new_session();
  const auto start = session.read_state("blk.1.wkv", 0, 48);
  CHECK(start[(16 + 3) * 16 + 5] == state[(16 + 5) * 16 + 3]);
  CHECK(zero.read_state("blk.1.wkv", 0, 48) == std::vector<float>(48 * 16, 0.0f));
  const auto tokens = random_tokens(5, tuned.spec().info.vocab_size, 1);
  // The same as a session whose state is set to it.
  for (const char* name : {"blk.0.wkv", "blk.1.wkv"}) zero.write_state(name, 0, start);
  CHECK(all_logits(tuned, session, tokens) == all_logits(plain, zero, tokens));
}

TEST_CASE("a state file is what every session begins with, and part of what memories belong to") {
  const TemporaryFolder folder;
  const auto write_state = [&](const char* name, float value) {
    std::vector<float> values(2 * 3 * 16 * 16, value);
    SafetensorsWriter writer(folder / name, {{"blocks.0.att.time_state", "F32", {3, 16, 16}},
                                             {"blocks.1.att.time_state", "F32", {3, 16, 16}}});
    writer.write(std::as_bytes(std::span(values)));
    writer.close();
    return "model.initial_state=" + (folder / name);
  };
  const std::string one = write_state("one.safetensors", 0.25f);
  const std::string two = write_state("two.safetensors", 0.5f);
  for (const char* model : {"rand_v6", "rand_v7"}) {
    INFO(std::string(model));
    Engine plain(settings_of(model), linked_plugins());
    Engine tuned(settings_of(model, {one}), linked_plugins());
    Engine other(settings_of(model, {two}), linked_plugins());
    Session session = tuned.new_session(), set = plain.new_session();
    for (const char* name : {"blk.0.wkv", "blk.1.wkv"})
      set.write_state(name, 0, std::vector<float>(48 * 16, 0.25f));
    const auto tokens = random_tokens(5, plain.spec().info.vocab_size, 1);
    const auto expected = all_logits(plain, set, tokens);
    CHECK(all_logits(tuned, session, tokens) == expected);
    Session again = tuned.new_session();
    CHECK(logits_token_by_token(tuned, again, tokens) == expected);
    const auto snapshot = session.snapshot();
    Session same = tuned.new_session(), different = other.new_session(), none = plain.new_session();
    same.restore(snapshot);
    CHECK_THROWS_WITH_AS(different.restore(snapshot), doctest::Contains("initial state '"), Error);
    CHECK_THROWS_WITH_AS(none.restore(snapshot), doctest::Contains("initial state '"), Error);
    Session without = plain.new_session();
    CHECK_THROWS_WITH_AS(same.restore(without.snapshot()), doctest::Contains("no initial state"),
                         Error);
  }
}

TEST_CASE("a session of RWKV of another version or size is refused by what differs") {
  Engine six(settings_of("rand_v6"), linked_plugins());
  Engine seven(settings_of("rand_v7"), linked_plugins());
  Session of_six = six.new_session(), of_seven = seven.new_session();
  const std::string refusal = [&] {
    try {
      of_seven.restore(of_six.snapshot());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  }();
  CHECK(refusal.find("rwkv.version '6' (here '7')") != std::string::npos);
}

TEST_CASE("RWKV's bits depend neither on the cut of a text, nor on the batch, nor on threads") {
  for (const char* model : {"rand_v4", "rand_v5.0", "rand_v5.2", "rand_v6", "rand_v7"})
    for (const InstructionSet& isa : kInstructionSets) {
      if ((cpu_features() & isa.feature) == 0) continue;
      INFO(std::string(model), " on ", std::string(isa.name));
      const std::vector<std::string> fast{"kernels.prefer=[simd]",
                                          "kernels.isa=" + std::string(isa.name)};
      Engine engine(settings_of(model, fast), linked_plugins());
      const auto tokens = random_tokens(45, engine.spec().info.vocab_size, 2);
      Session whole = engine.new_session(), single = engine.new_session();
      const auto expected = all_logits(engine, whole, tokens);
      CHECK(logits_token_by_token(engine, single, tokens) == expected);
      auto others = fast;
      others.insert(others.end(), {"step.max_rows=7", "threads.backend=tbb", "threads.count=2"});
      Engine in_company(settings_of(model, others), linked_plugins());
      Session one = in_company.new_session(), other = in_company.new_session();
      const auto unlike = random_tokens(31, engine.spec().info.vocab_size, 3);
      std::vector<float> found;
      const Feed feeds[] = {{&other, unlike, Feed::Logits::kNone},
                            {&one, tokens, Feed::Logits::kAll}};
      in_company.feed(feeds, [&](size_t, size_t, std::span<const float> logits) {
        found.insert(found.end(), logits.begin(), logits.end());
      });
      CHECK(found == expected);
      CHECK(one.read_state("blk.1.wkv", 0, 3) == whole.read_state("blk.1.wkv", 0, 3));
    }
}

TEST_CASE("a session of RWKV with another eps is refused by the option's name") {
  Engine engine(settings_of("rand_v7"), linked_plugins());
  Engine other(settings_of("rand_v7", {"attention.group_norm_eps=1e-5"}), linked_plugins());
  Session session = engine.new_session(), different = other.new_session();
  CHECK_THROWS_WITH_AS(different.restore(session.snapshot()), doctest::Contains("group_norm_eps"),
                       Error);
}
