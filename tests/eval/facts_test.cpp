// SPDX-License-Identifier: Apache-2.0

// What the measure `facts` lets a model read, and what it makes of the answers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "core/eval/measure.hpp"
#include "core/eval/stories.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "tests/support/damaged_model.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kVocab = 320;
constexpr UsedIds kIds{.begin = 1, .first = 3, .end = kVocab};
constexpr int64_t kSegment = 300;

Llama2cTokenizer tokenizer() { return Llama2cTokenizer::open(golden_model("tok_320.bin"), kVocab); }

EvalText some_text(size_t n_tokens = 3000) {
  return make_eval_text("random", random_tokens(n_tokens, kVocab, 5));
}

std::string decoded(const Tokenizer& t, std::span<const int32_t> tokens) {
  TokenStream stream(t, Llama2cTokenizer::kBos);
  std::string text;
  for (const int32_t token : tokens) text += stream.push(token);
  return text;
}

// Tokens from the end of a sentence to the end of the window.
int64_t behind(const Window& window, const std::vector<int32_t>& sentence) {
  const auto there =
      std::search(window.tokens.begin(), window.tokens.end(), sentence.begin(), sentence.end());
  REQUIRE(there != window.tokens.end());
  return window.tokens.end() - there - std::ssize(sentence);
}

std::string word_behind(const std::string& text, const std::string& before) {
  const size_t at = text.find(before);
  REQUIRE(at != std::string::npos);
  const size_t begin = at + before.size();
  return text.substr(begin, text.find_first_of(" .?", begin) - begin);
}

Engine with_tokenizer(const std::vector<std::string>& more = {}) {
  std::vector<std::string> settings{"model.tokenizer=" + golden_model("tok_320.bin")};
  settings.insert(settings.end(), more.begin(), more.end());
  return Engine(golden_settings("llama.v0.bin", settings), linked_plugins());
}

}  // namespace

TEST_CASE("the answer follows from the supporting facts, and the other places occur too") {
  const Llama2cTokenizer t = tokenizer();
  for (int64_t sample = 0; sample < 10; ++sample) {
    const Story story = make_story(t, 2, 1, sample);
    REQUIRE(story.supporting.size() == 2);
    CHECK(story.others.size() == 6);
    CHECK(std::set<int32_t>(story.choices.begin(), story.choices.end()).size() == 4);
    const std::string thing = word_behind(decoded(t, story.question), "Where is the ");
    const std::string held = decoded(t, story.supporting[0]);
    const std::string where = decoded(t, story.supporting[1]);
    CHECK(word_behind(held, " has the ") == thing);
    CHECK(word_behind(held, "") == word_behind(where, ""));
    std::vector<int32_t> begun = story.question;
    begun.push_back(story.answer);
    const std::string whole =
        "Where is the " + thing + "? The " + thing + " is in the " + word_behind(where, "in the ");
    CHECK(whole.starts_with(decoded(t, begun)));
  }
  CHECK(make_story(t, 1, 1, 3).supporting.size() == 1);
  CHECK(make_story(t, 1, 1, 3).others.size() == 3);
  CHECK(make_story(t, 1, 1, 3).question == make_story(t, 1, 1, 3).question);
}

TEST_CASE("no place is right more often than the others of its story") {
  const Llama2cTokenizer t = tokenizer();
  std::map<int32_t, int> told, right;  // several places begin with the same token here
  for (int64_t sample = 0; sample < 600; ++sample) {
    const Story story = make_story(t, 1, 1, sample);
    for (const int32_t choice : story.choices) ++told[choice];
    ++right[story.answer];
  }
  CHECK(told.size() < 8);
  for (const auto& [choice, times] : told) {
    CAPTURE(choice);
    CHECK(std::abs(right[choice] / static_cast<double>(times) - 0.25) < 0.08);
  }
}

TEST_CASE("the first supporting fact lies as many segments before the end as was asked for") {
  const Llama2cTokenizer t = tokenizer();
  const EvalText text = some_text();
  for (const int64_t n_supporting : {1, 2})
    for (const int64_t distance : {0, 1, 4})
      for (int64_t sample = 0; sample < 20; ++sample) {
        const Story story = make_story(t, n_supporting, 1, sample);
        const Window window =
            story_window(kIds, story, text, 2000, {1600, kSegment, distance}, 1, sample);
        CHECK(window.tokens.size() == 1600);
        CHECK(window.tokens[0] == kIds.begin);
        CHECK(window.targets == std::vector<int32_t>{story.answer});
        CHECK(window.among == story.choices);
        CHECK(behind(window, story.supporting[0]) / kSegment == distance);
        for (const auto& fact : story.supporting)
          CHECK(behind(window, fact) <= behind(window, story.supporting[0]));
        for (const auto& fact : story.others)
          CHECK(behind(window, fact) >= std::ssize(story.question));
        CHECK(behind(window, story.question) == 0);
      }
}

TEST_CASE("the latest place is mostly the right one near the end of a long text, and else seldom") {
  const Llama2cTokenizer t = tokenizer();
  const EvalText text = some_text(20000);
  const auto times_latest = [&](int64_t length, int64_t distance) {
    int times = 0;
    for (int64_t sample = 0; sample < 200; ++sample) {
      const Story story = make_story(t, 1, 1, sample);
      const Window window =
          story_window(kIds, story, text, 20000, {length, kSegment, distance}, 1, sample);
      const auto later = [&](const auto& fact) {
        return behind(window, fact) < behind(window, story.supporting[0]);
      };
      times += std::none_of(story.others.begin(), story.others.end(), later) ? 1 : 0;
    }
    return times;
  };
  CHECK(times_latest(900, 1) < 50);
  CHECK(times_latest(16000, 0) > 180);
  CHECK(times_latest(16000, 52) == 0);
}

TEST_CASE("without facts the same question stands behind the text alone") {
  const Llama2cTokenizer t = tokenizer();
  const EvalText text = some_text();
  const Story story = make_story(t, 2, 1, 0);
  const Window window = story_window(kIds, untold(story), text, 2000, {900, kSegment, 1}, 1, 0);
  CHECK(window.tokens.size() == 900);
  const std::vector<int32_t> context(window.tokens.begin() + 1,
                                     window.tokens.end() - std::ssize(story.question));
  CHECK(std::equal(context.rbegin(), context.rend(),
                   std::make_reverse_iterator(text.tokens.begin() + 2000)));
  const Window alone = question_window(kIds, story);
  CHECK(std::ssize(alone.tokens) == 1 + std::ssize(story.question));
  CHECK(alone.among == window.among);
  CHECK(alone.targets == window.targets);
}

TEST_CASE("a choice is right if no other choice has as large a logit, whatever else has") {
  const std::vector<float> logits{9, 1, 3, 3, 2};
  const auto top1 = [&](int32_t target, std::vector<int32_t> among) {
    return score_row_among(logits, target, among).top1;
  };
  CHECK(top1(2, {1, 2, 4}));
  CHECK_FALSE(top1(4, {1, 2, 4}));
  CHECK_FALSE(top1(2, {2, 3}));
  CHECK(score_row_among(logits, 2, std::vector<int32_t>{1, 2}).loss == score_row(logits, 2).loss);
  const std::vector<float> broken{std::numeric_limits<float>::quiet_NaN(), 1};
  CHECK_FALSE(score_row_among(broken, 1, std::vector<int32_t>{0, 1}).top1);
}

TEST_CASE("facts has a point per distance that fits, and controls that read what they say") {
  Engine engine = with_tokenizer();
  MeasureSpec spec{.name = "facts", .samples = 3, .distances = {0, 2, 5}, .segment = kSegment};
  const auto result = run_measure(engine, spec, 1000, some_text());
  REQUIRE(result);
  REQUIRE(result->figures.size() == 2);
  CHECK(result->figures[1].name == "two_facts");
  for (const FigureSamples& figure : result->figures) {
    CHECK(figure.chance == 0.25);
    REQUIRE(figure.points.size() == 2);
    CHECK(figure.points[1].axis == 2);
    for (const MeasurePoint& point : figure.points) CHECK(point.samples.size() == 3);
  }
  const auto read = [&](Control control) {
    int64_t most = 0;
    spec.control = control;
    const auto controlled = run_measure(engine, spec, 1000, some_text(), [&](int64_t done) {
      most = std::max(most, done);
      return true;
    });
    CHECK(controlled->figures[0].name ==
          (control == Control::kReset ? "one_fact/reset" : "one_fact/absent"));
    return most;
  };
  CHECK(read(Control::kAbsent) == 12 * 1000);
  CHECK(read(Control::kReset) < 12 * 100);
}

TEST_CASE("facts is refused where nothing fits, and without a tokenizer") {
  Engine engine = with_tokenizer();
  const auto refused = [&](int64_t segment, int64_t length, const char* message) {
    const MeasureSpec spec{.name = "facts", .samples = 1, .distances = {1}, .segment = segment};
    CHECK_THROWS_WITH_AS(run_measure(engine, spec, length, some_text()), doctest::Contains(message),
                         UsageError);
  };
  refused(300, 599,
          "no distance fits a length of 599 with segments of 300 tokens; ask for shorter distances "
          "or leave out this length");
  refused(40, 600, "which a segment of 40 has no room for; make segment larger");
  refused(0, 600, "has segment 0; it must be at least 1");
  Engine without(golden_settings("llama.v0.bin"), linked_plugins());
  CHECK_THROWS_AS(run_measure(without, {.name = "facts"}, 1000, some_text()), UsageError);
}

TEST_CASE("answers of a model whose logits are no numbers are no numbers") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer({"model.path=" + model_with_nan(folder, 300)});
  const auto result =
      run_measure(engine, {.name = "facts", .samples = 2, .distances = {0}, .segment = kSegment},
                  400, make_eval_text("random", random_tokens(500, 259, 1)));
  REQUIRE(result);
  CHECK(std::isnan(result->figures[0].points[0].samples[0]));
}
