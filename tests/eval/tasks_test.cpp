// SPDX-License-Identifier: Apache-2.0

// Multiple choice and exact match, against likelihoods made by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/eval/measure.hpp"
#include "core/eval/question.hpp"
#include "core/eval/windows.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "tests/support/damaged_model.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr size_t kVocab = 320;

Engine with_tokenizer() {
  return Engine(golden_settings("llama.v0.bin", {"model.tokenizer=" + golden_model("tok_320.bin")}),
                linked_plugins());
}

std::string written(const TemporaryFolder& folder, const std::string& lines) {
  const std::string path = folder / "tasks.jsonl";
  std::ofstream(path) << lines;
  return path;
}

// Scores of the answer's rows after the last `longest` tokens.
std::vector<RowScore> scores_by_hand(Engine& engine, const std::string& prompt,
                                     const std::string& answer) {
  const Question q = encode_question(engine.tokenizer(), prompt, answer, true);
  std::vector<int32_t> tokens = q.prompt;
  tokens.insert(tokens.end(), q.answer.begin(), q.answer.end());
  Session session = engine.new_session();
  const std::vector<float> logits = all_logits(engine, session, tokens);
  std::vector<RowScore> scores;
  for (size_t i = 0; i < q.answer.size(); ++i)
    scores.push_back(score_row(
        std::span(logits).subspan((q.prompt.size() - 1 + i) * kVocab, kVocab), q.answer[i]));
  return scores;
}

double sample(Engine& engine, const std::string& measure, const std::string& path,
              int64_t length = 1000, size_t figure = 0) {
  const auto result = run_measure(engine, {.name = measure, .tasks = path}, length, {});
  REQUIRE(result);
  REQUIRE(result->figures[figure].points[0].samples.size() == 1);
  return result->figures[figure].points[0].samples[0];
}

}  // namespace

TEST_CASE("the right choice counts if its text is the likeliest") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  const std::vector<std::string> choices{"the", "a long answer", "of"};
  size_t best = 0, best_per_byte = 0;
  std::vector<double> losses;
  for (const std::string& choice : choices) {
    double loss = 0;
    for (const RowScore& score : scores_by_hand(engine, "Once upon", choice)) loss += score.loss;
    losses.push_back(loss);
    if (loss < losses[best]) best = losses.size() - 1;
    const auto per_byte = [&](size_t i) {
      return losses[i] / static_cast<double>(choices[i].size());
    };
    if (per_byte(losses.size() - 1) < per_byte(best_per_byte)) best_per_byte = losses.size() - 1;
  }
  for (size_t right = 0; right < choices.size(); ++right) {
    const std::string path =
        written(folder,
                "{\"context\": \"Once upon\", \"choices\": [\"the\", \"a long answer\", \"of\"], "
                "\"answer\": " +
                    std::to_string(right) + "}");
    CHECK(sample(engine, "choice", path) == (right == best ? 1 : 0));
    CHECK(sample(engine, "choice", path, 1000, 1) == (right == best_per_byte ? 1 : 0));
  }
}

TEST_CASE("an exact match is an answer of first choices only") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  // Answers of one piece each, until the model has been right and wrong.
  bool found_right = false, found_wrong = false;
  for (int i = 0; i < 26 * 26 && !(found_right && found_wrong); ++i) {
    const std::string prompt{static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
    for (int32_t id = 259; id < static_cast<int32_t>(kVocab); ++id) {
      const std::string answer(engine.tokenizer().decode(Llama2cTokenizer::kBos, id));
      if (answer.empty() ||
          answer.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos)
        continue;
      const std::vector<RowScore> scores = scores_by_hand(engine, prompt, answer);
      const bool right = std::all_of(scores.begin(), scores.end(),
                                     [](const RowScore& score) { return score.top1; });
      bool& found = right ? found_right : found_wrong;
      if (found) continue;
      found = true;
      const std::string line = "{\"prompt\": \"" + prompt + "\", \"answer\": \"" + answer + "\"}";
      CHECK(sample(engine, "exact_match", written(folder, line)) == (right ? 1 : 0));
    }
  }
  CHECK(found_right);
  CHECK(found_wrong);
}

TEST_CASE("of a context that is longer than the length the end is read, after BOS") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  const std::string path = written(
      folder, "{\"prompt\": \"many words before the question is asked\", \"answer\": \"yes\"}");
  int64_t most = 0;
  const auto read =
      run_measure(engine, {.name = "exact_match", .tasks = path}, 8, {}, [&](int64_t done) {
        most = std::max(most, done);
        return true;
      });
  CHECK(read);
  CHECK(most == 8);
  CHECK_THROWS_AS(run_measure(engine, {.name = "exact_match", .tasks = path}, 1, {}), UsageError);
}

TEST_CASE("tasks are as many as samples, and are refused where they cannot be asked") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  const std::string line = "{\"prompt\": \"a\", \"answer\": \"b\"}\n";
  const std::string path = written(folder, line + line + line);
  const auto result =
      run_measure(engine, {.name = "exact_match", .samples = 2, .tasks = path}, 100, {});
  CHECK(result->figures[0].points[0].samples.size() == 2);
  CHECK(measure_tokens({.name = "exact_match", .tasks = path}, 100) >= 3);
  CHECK_THROWS_WITH_AS(run_measure(engine, {.name = "choice", .tasks = path}, 100, {}),
                       (path + ":1: a task without choices").c_str(), UsageError);
  CHECK_THROWS_WITH_AS(run_measure(engine, {.name = "choice"}, 100, {}),
                       "the measure 'choice' needs a file of tasks; give it as tasks", UsageError);
  CHECK_THROWS_AS(run_measure(engine, {.name = "choice", .tasks = folder / "none"}, 100, {}),
                  Error);
}

TEST_CASE("an exact match by a number of the tasks has samples for each of its values") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  std::string lines;
  for (const char* distance : {"8", "2", "8", "8", "2.5"})
    lines +=
        std::string("{\"prompt\": \"a\", \"answer\": \"b\", \"distance\": ") + distance + "}\n";
  const MeasureSpec spec{
      .name = "exact_match", .samples = 2, .by = "distance", .tasks = written(folder, lines)};
  CHECK(figures_of(spec)[0].axis == "distance");
  const auto result = run_measure(engine, spec, 100, {});
  REQUIRE(result);
  const std::vector<MeasurePoint>& points = result->figures[0].points;
  REQUIRE(points.size() == 3);
  CHECK(points[0].axis == 2);
  CHECK(points[1].axis == 2.5);
  CHECK(points[2].samples.size() == 2);
  MeasureSpec other = spec;
  other.by = "age";
  CHECK_THROWS_WITH_AS(
      run_measure(engine, other, 100, {}),
      (spec.tasks + ":1: the number \"age\" is missing, by which the measure groups tasks").c_str(),
      UsageError);
}

TEST_CASE("an answer begins where the prompt's tokens end, after one space") {
  const auto t = Llama2cTokenizer::open(golden_model("tok_320.bin"), kVocab);
  for (const char* prompt : {"it is", "it is "}) {
    const Question q = encode_question(t, prompt, "so", true);
    std::vector<int32_t> all = q.prompt;
    all.insert(all.end(), q.answer.begin(), q.answer.end());
    CHECK(all == t.encode("it is so", true, false));
    CHECK_FALSE(q.answer.empty());
  }
  const Question joined = encode_question(t, "it is", "so", true, false);
  std::vector<int32_t> all = joined.prompt;
  all.insert(all.end(), joined.answer.begin(), joined.answer.end());
  CHECK(all == t.encode("it isso", true, false));
  CHECK_THROWS_AS(encode_question(t, "it is", "", true), Error);
}

TEST_CASE("a model whose logits are no numbers is neither right nor wrong") {
  const TemporaryFolder folder;
  Engine engine(golden_settings("llama.v0.bin", {"model.path=" + model_with_nan(folder, 300),
                                                 "model.tokenizer=" + golden_model("tok_320.bin")}),
                linked_plugins());
  const std::string path =
      written(folder, "{\"context\": \"Once\", \"choices\": [\"a\", \"the\"], \"answer\": \"a\"}");
  CHECK(std::isnan(sample(engine, "choice", path)));
  CHECK(std::isnan(sample(engine, "exact_match", path)));
  const EvalText text = make_eval_text("random", random_tokens(500, 259, 1));
  for (const char* measure :
       {"loss", "perplexity", "loss_by_position", "passkey", "recall", "copy"}) {
    CAPTURE(measure);
    const auto result =
        run_measure(engine, {.name = measure, .samples = 2, .tail = 4, .pairs = {2}}, 100, text);
    REQUIRE(result);
    for (const FigureSamples& figure : result->figures)
      for (const MeasurePoint& point : figure.points)
        for (const double value : point.samples) CHECK(std::isnan(value));
  }
}

TEST_CASE("retrieved passages are read in front of a text, joined, mixed or not at all") {
  const TemporaryFolder folder;
  Engine engine = with_tokenizer();
  const std::string path = written(
      folder,
      "{\"text\": \"the sun is in the sky and the hen is not\", \"passages\": [\"the sky is "
      "blue\", \"a hen\"], \"scores\": [100, 0]}");
  const auto losses = [&](InputForm input, std::vector<int64_t> counts) {
    const MeasureSpec spec{.name = "passages",
                           .input = input,
                           .kept = 0,
                           .chunk = 9,
                           .tasks = path,
                           .counts = std::move(counts),
                           .query = 2};
    std::vector<double> means;
    const auto result = run_measure(engine, spec, 30, {});
    for (const MeasurePoint& point : result->figures[0].points) {
      REQUIRE(point.samples.size() == 1);
      means.push_back(point.samples[0]);
    }
    return means;
  };
  const auto joined = losses(InputForm::kWhole, {0, 1, 2}),
             mixed = losses(InputForm::kPassages, {0, 1, 2}),
             alone = losses(InputForm::kClip, {0, 2});
  CHECK(alone[0] == joined[0]);
  CHECK(alone[1] == alone[0]);
  CHECK(joined[1] != joined[0]);
  CHECK(joined[2] != joined[1]);
  CHECK(mixed[0] == doctest::Approx(alone[0]).epsilon(1e-6));
  CHECK(mixed[1] == doctest::Approx(joined[1]).epsilon(1e-6));
  CHECK(mixed[2] == doctest::Approx(mixed[1]).epsilon(1e-6));  // the second has no weight
  CHECK_THROWS_AS(losses(InputForm::kContexts, {1}), UsageError);
  CHECK_THROWS_AS(losses(InputForm::kRepeat, {1}), UsageError);
  CHECK_THROWS_WITH_AS(losses(InputForm::kWhole, {3}),
                       (path + ": no text has 3 passages; leave this number out of counts").c_str(),
                       UsageError);
}

TEST_CASE(
    "of retrieved passages as many tokens are estimated as the file's texts make a model read") {
  const TemporaryFolder folder;
  const std::string path =
      written(folder, "{\"text\": \"the sun\", \"passages\": [\"the sky\", \"a hen\"]}");
  MeasureSpec spec{.name = "passages", .chunk = 9, .tasks = path, .counts = {0, 2, 3}};
  CHECK(measure_tokens(spec, 30) == 30 + (30 + 2 * 9));
  spec.input = InputForm::kPassages;
  CHECK(measure_tokens(spec, 30) == 30 + 2 * (30 + 9));
  spec.input = InputForm::kClip;
  CHECK(measure_tokens(spec, 30) == 30 + 30);
  spec.tasks = folder / "none";
  CHECK_THROWS_AS(measure_tokens(spec, 30), Error);
}
