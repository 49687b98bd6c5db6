// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/eval/windows.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kVocab = 320;

std::vector<Window> some_windows(size_t count, int64_t vocab_size = kVocab) {
  std::vector<Window> windows;
  for (size_t i = 0; i < count; ++i) {
    const size_t length = 20 + 17 * (i % 5);
    windows.push_back({random_tokens(length, vocab_size, static_cast<uint32_t>(i)),
                       random_tokens(1 + i % 9, vocab_size, static_cast<uint32_t>(100 + i))});
  }
  return windows;
}

// Losses of all scored rows, window by window.
std::vector<double> losses(Engine& engine, const std::vector<Window>& windows) {
  std::vector<double> result;
  REQUIRE(read_windows(
      engine, std::ssize(windows), [&](int64_t i) { return windows[static_cast<size_t>(i)]; },
      [&](int64_t, std::span<const RowScore> scores) {
        for (const RowScore& score : scores) result.push_back(score.loss);
      },
      {}));
  return result;
}

}  // namespace

TEST_CASE("the loss of a row is what is computed by hand") {
  CHECK(score_row(std::vector<float>{0, 0, 0, 0}, 2).loss == std::log(4.0));
  const std::vector<float> logits{1, 3, 2};
  const double sum = std::exp(1.0) + std::exp(3.0) + std::exp(2.0);
  CHECK(std::abs(score_row(logits, 2).loss - (std::log(sum) - 2)) < 1e-12);
  CHECK(score_row(logits, 1).top1);
  CHECK_FALSE(score_row(logits, 2).top1);
}

TEST_CASE("among equal logits the lowest id is the first choice") {
  CHECK(score_row(std::vector<float>{1, 2, 2}, 1).top1);
  CHECK_FALSE(score_row(std::vector<float>{1, 2, 2}, 2).top1);
}

TEST_CASE("large logits do not overflow, and a NaN is never right") {
  CHECK(score_row(std::vector<float>{1000, 0}, 0).loss == 0);
  CHECK(score_row(std::vector<float>{1000, 0}, 1).loss == 1000);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& logits : {std::vector<float>{1, nan}, {nan, 1}}) {
    CHECK(std::isnan(score_row(logits, 0).loss));
    CHECK_FALSE(score_row(logits, 0).top1);
  }
}

TEST_CASE("shares of rows without numbers are no numbers") {
  const RowScore right{0.5, true}, none{std::nan(""), false};
  CHECK(top1_share(std::vector{right, none}) != top1_share(std::vector{right, none}));
  CHECK(std::isnan(all_top1(std::vector{none, right})));
  CHECK(all_top1(std::vector{right, right}) == 1);
  CHECK(all_top1(std::vector{right, RowScore{1, false}}) == 0);
}

TEST_CASE("a window's losses are those of the logits it asks for") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const Window window = some_windows(8).back();
  Session session = engine.new_session();
  const std::vector<float> logits = all_logits(engine, session, window.tokens);
  const std::vector<double> found = losses(engine, {window});
  REQUIRE(found.size() == window.targets.size());
  const size_t first = window.tokens.size() - window.targets.size();
  for (size_t row = 0; row < found.size(); ++row)
    CHECK(found[row] ==
          score_row(std::span(logits).subspan((first + row) * kVocab, kVocab), window.targets[row])
              .loss);
}

TEST_CASE("a window's losses do not depend on the windows that share its steps, bit by bit") {
  for (const std::string model : {"llama.v0.bin", "memB_gqa.q80.bin"})
    for (const std::string kernels : {"kernels.prefer=[scalar]", "kernels.prefer=[simd]"}) {
      CAPTURE(model);
      CAPTURE(kernels);
      Engine engine(golden_settings(model, {kernels, "step.max_rows=32"}), linked_plugins());
      const std::vector<Window> windows = some_windows(40, engine.spec().info.vocab_size);
      std::vector<double> alone;
      for (const Window& window : windows) {
        const std::vector<double> one = losses(engine, {window});
        alone.insert(alone.end(), one.begin(), one.end());
      }
      CHECK(losses(engine, windows) == alone);
    }
}

TEST_CASE("windows share steps so that segments fill them, and states stay below the budget") {
  const Engine full(golden_settings("llama.v0.bin"), linked_plugins());
  const Engine memory(golden_settings("memA.q80.bin"), linked_plugins());
  const int64_t rows = full.settings().step.max_rows;
  CHECK(windows_at_once(full, 64 * rows) == 1);
  CHECK(windows_at_once(full, rows) == 16);
  CHECK(windows_at_once(full, 1) == 64);
  CHECK(windows_at_once(memory, 64 * rows) ==
        std::min<int64_t>(64, rows / memory.traits().segment_length));
  CHECK(windows_at_once(full, rows, 3 * full.state_bytes(rows)) == 3);
  CHECK(windows_at_once(full, rows, 1) == 1);
}

TEST_CASE("windows are reported in order, and stop when asked") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const std::vector<Window> windows = some_windows(40);
  int64_t total = 0, last = 0, told = 0;
  for (const Window& w : windows) total += std::ssize(w.tokens);
  const auto make = [&](int64_t i) { return windows[static_cast<size_t>(i)]; };
  const auto sink = [&](int64_t i, std::span<const RowScore> scores) {
    CHECK(i == told++);
    CHECK(scores.size() == windows[static_cast<size_t>(i)].targets.size());
  };
  CHECK(read_windows(engine, 40, make, sink, [&](int64_t done) {
    CHECK(done >= last);
    last = done;
    return true;
  }));
  CHECK(told == 40);
  CHECK(last == total);
  CHECK_FALSE(read_windows(
      engine, 40, make, [](int64_t, std::span<const RowScore>) {},
      [&](int64_t done) { return done < total / 2; }));
}

TEST_CASE("a reset leaves the scored rows alone, a shuffle keeps blocks together") {
  Window window{{}, {90, 91, 92}};
  for (int32_t i = 0; i < 23; ++i) window.tokens.push_back(i);  // 20 of context, 3 scored
  Window reset = window;
  apply_control(reset, Control::kReset, 4, 1, 0);
  CHECK(reset.tokens == std::vector<int32_t>{20, 21, 22});
  CHECK(reset.targets == window.targets);

  Window shuffled = window;
  apply_control(shuffled, Control::kShuffled, 4, 1, 0);
  CHECK(shuffled.targets == window.targets);
  CHECK(shuffled.tokens != window.tokens);
  CHECK(std::equal(shuffled.tokens.end() - 3, shuffled.tokens.end(), window.tokens.end() - 3));
  for (size_t i = 0; i < 20; ++i) CHECK(shuffled.tokens[i] % 4 == static_cast<int32_t>(i % 4));
  std::vector<int32_t> sorted = shuffled.tokens;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == window.tokens);

  Window again = window, other = window;
  apply_control(again, Control::kShuffled, 4, 1, 0);
  apply_control(other, Control::kShuffled, 4, 1, 1);
  CHECK(again.tokens == shuffled.tokens);
  CHECK(other.tokens != shuffled.tokens);
}
