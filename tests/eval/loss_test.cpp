// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/eval/measure.hpp"
#include "core/eval/windows.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kVocab = 320;

EvalText some_text(size_t n_tokens, int64_t vocab_size = kVocab) {
  return make_eval_text("random", random_tokens(n_tokens, vocab_size, 5));
}

std::vector<double> samples(Engine& engine, const MeasureSpec& spec, int64_t length,
                            const EvalText& text, size_t figure = 0) {
  const std::optional<MeasureResult> result = run_measure(engine, spec, length, text);
  REQUIRE(result);
  REQUIRE(result->figures[figure].points.size() == 1);
  return result->figures[figure].points[0].samples;
}

// Mean loss of the last `n` targets of the tokens before `end`, `length` of them read, by logits.
double loss_by_hand(Engine& engine, const EvalText& text, int64_t end, int64_t length, int64_t n) {
  Session session = engine.new_session();
  const std::span<const int32_t> tokens(text.tokens);
  const std::vector<float> logits = all_logits(
      engine, session,
      tokens.subspan(static_cast<size_t>(end - length - 1), static_cast<size_t>(length)));
  double sum = 0;
  for (int64_t row = length - n; row < length; ++row) {
    const auto values = std::span(logits).subspan(static_cast<size_t>(row * kVocab), kVocab);
    double total = 0;
    for (const float logit : values) total += std::exp(static_cast<double>(logit));
    const int32_t target = text.tokens[static_cast<size_t>(end - length + row)];
    sum += std::log(total) - values[static_cast<size_t>(target)];
  }
  return sum / static_cast<double>(n);
}

}  // namespace

TEST_CASE("the loss of a sample is that of the logits, with the same targets at every length") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  const MeasureSpec spec{.samples = 5, .longest = 96, .tail = 16};
  const std::vector<int64_t> ends = sample_ends(text, 5, 96, 16, spec.seed);
  for (const int64_t length : {16, 40, 96}) {
    const std::vector<double> found = samples(engine, spec, length, text);
    REQUIRE(found.size() == 5);
    for (size_t i = 0; i < 5; ++i)
      CHECK(std::abs(found[i] - loss_by_hand(engine, text, ends[i], length, 16)) < 1e-6);
  }
}

TEST_CASE("samples are the same bits with one thread and two, and with smaller steps") {
  const EvalText text = some_text(3000, 96);
  const MeasureSpec spec{.samples = 12, .tail = 8};
  const auto run = [&](const std::vector<std::string>& overrides) {
    Engine engine(golden_settings("memA.q80.bin", overrides), linked_plugins());
    return samples(engine, spec, 90, text);
  };
  const std::vector<double> one = run({});
  CHECK(run({"threads.backend=tbb", "threads.count=2"}) == one);
  CHECK(run({"step.max_rows=24"}) == one);
  CHECK(run({}) == one);
}

TEST_CASE("another seed draws other samples") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  const std::vector<double> first = samples(engine, {.samples = 4, .tail = 8}, 32, text);
  CHECK(samples(engine, {.seed = 2, .samples = 4, .tail = 8}, 32, text) != first);
}

TEST_CASE("with its memory reset a model reads as if the targets were all there is") {
  Engine engine(golden_settings("memB_gqa.q80.bin"), linked_plugins());
  const EvalText text = some_text(3000, 96);
  const MeasureSpec reset{.control = Control::kReset, .samples = 3, .longest = 80, .tail = 16};
  const MeasureSpec plain{.samples = 3, .longest = 80, .tail = 16};
  CHECK(samples(engine, reset, 80, text) == samples(engine, plain, 16, text));
  CHECK(samples(engine, reset, 80, text) != samples(engine, plain, 80, text));
}

TEST_CASE("a shuffled context changes the loss, one without context does not") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  const MeasureSpec plain{.samples = 3, .tail = 16};
  MeasureSpec shuffled = plain;
  shuffled.control = Control::kShuffled;
  shuffled.shuffle_block = 4;
  CHECK(samples(engine, shuffled, 80, text) != samples(engine, plain, 80, text));
  CHECK(samples(engine, shuffled, 16, text) == samples(engine, plain, 16, text));
}

TEST_CASE("clip reads what a text of the training length would, repeat reads it again") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  MeasureSpec spec{.kept = 32, .samples = 3, .longest = 96, .tail = 16};
  const std::vector<double> short_text = samples(engine, spec, 32, text);
  spec.input = InputForm::kClip;
  CHECK(samples(engine, spec, 96, text) == short_text);
  CHECK(samples(engine, spec, 32, text) == short_text);
  CHECK(samples(engine, spec, 20, text) != short_text);
  spec.input = InputForm::kRepeat;
  CHECK(samples(engine, spec, 40, text) == short_text);  // once
  CHECK(samples(engine, spec, 96, text) != short_text);
}

TEST_CASE("passages stand before the text one by one, and their mixture is scored") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  MeasureSpec spec{.kept = 32, .chunk = 16, .samples = 3, .longest = 96, .tail = 16};
  MeasureSpec clipped = spec;
  clipped.input = InputForm::kClip;
  spec.input = InputForm::kPassages;
  MeasureSpec whole = spec;
  whole.input = InputForm::kWhole;
  const std::vector<double> none = samples(engine, spec, 32, text),
                            plain = samples(engine, clipped, 32, text),
                            one = samples(engine, spec, 48, text),
                            joined = samples(engine, whole, 48, text);
  for (size_t i = 0; i < one.size(); ++i) {
    CHECK(none[i] == doctest::Approx(plain[i]).epsilon(1e-6));
    CHECK(one[i] == doctest::Approx(joined[i]).epsilon(1e-6));
    CHECK(std::abs(one[i] - plain[i]) > 1e-3);
  }
  CHECK(samples(engine, spec, 96, text) != one);
  spec.tail = 33;
  CHECK_THROWS_AS(samples(engine, spec, 96, text), UsageError);
}

TEST_CASE("as contexts the tokens before the text go into the strategy's stream, in its chunks") {
  Engine engine(
      golden_settings("", {"model.path=" PERDURE_SOURCE_DIR "/tests/golden/cepe/cepe_base",
                           "attention.chunk=7"}),
      linked_plugins());
  const EvalText text = some_text(500, 61);
  const MeasureSpec spec{
      .input = InputForm::kContexts, .kept = 12, .samples = 3, .longest = 30, .tail = 5};
  const std::vector<double> found = samples(engine, spec, 30, text);
  const std::vector<int64_t> ends = sample_ends(text, 3, 30, 5, spec.seed);
  for (size_t i = 0; i < found.size(); ++i) {
    const auto tokens = std::span(text.tokens).subspan(static_cast<size_t>(ends[i] - 31), 31);
    Session session = engine.new_session();
    const std::span<const int32_t> chunks[] = {tokens.subspan(0, 7), tokens.subspan(7, 7),
                                               tokens.subspan(14, 4)};
    engine.feed_input(session, "contexts", chunks);
    const std::vector<float> logits = all_logits(engine, session, tokens.subspan(18, 12));
    double sum = 0;
    for (size_t row = 7; row < 12; ++row)
      sum += score_row(std::span(logits).subspan(row * 61, 61), tokens[19 + row]).loss;
    CHECK(found[i] == sum / 5);
  }
}

TEST_CASE("contexts are refused where the strategy reads none") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  const MeasureSpec spec{.input = InputForm::kContexts, .kept = 32, .samples = 3, .tail = 16};
  CHECK_THROWS_WITH_AS(
      samples(engine, spec, 96, text),
      "attention.strategy: full reads no contexts; they need parallel_encoding and "
      "a model for it",
      UsageError);
}

TEST_CASE("names and titles of figures tell the control") {
  const MeasureSpec spec{.control = Control::kReset, .tail = 16};
  const std::vector<FigureInfo> figures = figures_of(spec);
  REQUIRE(figures.size() == 2);
  CHECK(figures[0].name == "loss/reset");
  CHECK(figures[1].title == "Top-1 accuracy of the last 16 targets, memory reset");
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const auto result = run_measure(engine, spec, 16, some_text(100));
  CHECK(result->figures[0].name == "loss/reset");
}

TEST_CASE("what a measure cannot do is refused in a sentence") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(100);
  const auto refused = [&](const MeasureSpec& spec, int64_t length, const char* message) {
    CHECK_THROWS_WITH_AS(run_measure(engine, spec, length, text), message, UsageError);
  };
  refused({.name = "los"}, 16, "there is no measure 'los'; did you mean 'loss'?");
  refused({.tail = 32}, 16,
          "a window has 16 targets, fewer than the 32 that count; make tail smaller or leave out "
          "this length");
  refused({.tail = 0}, 16, "the measure 'loss' has tail 0; it must be at least 1");
  refused({.chunk = 0}, 16, "the measure 'loss' has chunk 0; it must be at least 1");
  refused({.name = "recall", .control = Control::kReset}, 16,
          "the measure 'recall' has no controls; loss and facts have");
  refused({.control = Control::kAbsent}, 80,
          "the measure 'loss' has no control 'absent'; it has reset and shuffled");
  refused({.tail = 4}, 0, "a length of 0 tokens is none");
  refused({.tail = 4}, 100,
          "the text random has no document of 101 tokens, which a length of 100 needs; give a "
          "longer text or leave out the longest lengths");
  CHECK_THROWS_WITH_AS(run_measure(engine, {}, 16, {}),
                       "the measure needs a text, and none is given", UsageError);
}

TEST_CASE("a length that no session can reach is refused before anything is read") {
  Engine engine(golden_settings("llama.v0.bin", {"attention={strategy: full, max_length: 40}"}),
                linked_plugins());
  CHECK_THROWS_WITH_AS(
      run_measure(engine, {.tail = 8}, 41, some_text(100)),
      "a session can have at most 40 tokens here, fewer than a length of 41; raise "
      "attention.max_length or leave out this length",
      UsageError);
  CHECK(run_measure(engine, {.tail = 8}, 40, some_text(100)));
}

TEST_CASE("a measure stops when asked, and the engine stays usable") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const EvalText text = some_text(3000);
  const MeasureSpec spec{.samples = 4, .tail = 8};
  CHECK_FALSE(run_measure(engine, spec, 64, text, [](int64_t done) { return done < 64; }));
  CHECK(run_measure(engine, spec, 64, text));
}

TEST_CASE("every measure has a name of its own, a sentence and figures") {
  std::set<std::string> names, figure_names;
  for (const MeasureInfo& info : measures()) {
    CAPTURE(info.name);
    CHECK(names.insert(info.name).second);
    CHECK(info.help.ends_with("."));
    for (const FigureInfo& figure : figures_of({.name = info.name}))
      CHECK(figure_names.insert(figure.name).second);
  }
  CHECK(names.size() == 13);
}
