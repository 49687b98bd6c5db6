// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include "core/api/error.hpp"
#include "core/eval/task_file.hpp"

using namespace perdure;

namespace {

void check_refused(const char* text, const char* message) {
  CAPTURE(text);
  CHECK_THROWS_WITH_AS(parse_tasks(text, "t.jsonl"), message, UsageError);
}

}  // namespace

TEST_CASE("a task names its right choice by number or by text, or has an answer alone") {
  const std::vector<Task> tasks = parse_tasks(
      "{\"context\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 1}\n"
      "\n"
      "{\"id\": 7, \"prompt\": \"b\", \"choices\": [\"x\", \"y\"], \"answer\": \"x\"}\r\n"
      "{\"prompt\": \"c\", \"answer\": \"z\"}",
      "t.jsonl");
  REQUIRE(tasks.size() == 3);
  CHECK(tasks[0].context == "a");
  CHECK(tasks[0].right == 1);
  CHECK(tasks[0].answer == "y");
  CHECK(tasks[1].right == 0);
  CHECK(tasks[1].place == "t.jsonl:3");
  CHECK(tasks[2].choices.empty());
  CHECK(tasks[2].answer == "z");
}

TEST_CASE("numbers of a task are kept, and the space before its answer can be left out") {
  const std::vector<Task> tasks = parse_tasks(
      "{\"prompt\": \"a\", \"answer\": \"x\", \"distance\": 3, \"share\": 0.5, \"name\": \"n\"}\n"
      "{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 1, \"space\": false}",
      "t.jsonl");
  CHECK(tasks[0].numbers == std::map<std::string, double>{{"distance", 3}, {"share", 0.5}});
  CHECK(tasks[0].space);
  CHECK(tasks[1].numbers.empty());
  CHECK_FALSE(tasks[1].space);
  check_refused("{\"prompt\": \"a\", \"answer\": \"x\", \"space\": 0}",
                "t.jsonl:1: \"space\" must be true or false");
}

TEST_CASE("what is wrong in a task file is named with its line") {
  check_refused("", "t.jsonl holds no tasks; write a JSON object per line");
  check_refused(" \n\n", "t.jsonl holds no tasks; write a JSON object per line");
  check_refused("[1]", "t.jsonl:1: a task is a JSON object, {...}");
  check_refused("\n{\"answer\": \"x\"}", "t.jsonl:2: a task has either \"context\" or \"prompt\"");
  check_refused("{\"context\": \"a\", \"prompt\": \"b\", \"answer\": \"x\"}",
                "t.jsonl:1: a task has either \"context\" or \"prompt\"");
  check_refused("{\"context\": 3, \"answer\": \"x\"}", "t.jsonl:1: \"context\" must be a text");
  check_refused("{\"context\": \"a\"}", "t.jsonl:1: the key \"answer\" is missing");
  check_refused("{\"context\": \"a\", \"answer\": 0}", "t.jsonl:1: \"answer\" must be a text");
  check_refused("{\"context\": \"a\", \"answer\": \"\"}", "t.jsonl:1: \"answer\" is empty");
  check_refused("{\"context\": \"a\", \"choices\": [\"x\"], \"answer\": 0}",
                "t.jsonl:1: \"choices\" needs two texts or more");
  check_refused("{\"context\": \"a\", \"choices\": [\"x\", \"\"], \"answer\": 0}",
                "t.jsonl:1: a choice is empty");
  check_refused("{\"context\": \"a\", \"choices\": \"x\", \"answer\": 0}",
                "t.jsonl:1: \"choices\" must be a list of texts");
  check_refused("{\"context\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 2}",
                "t.jsonl:1: \"answer\" is 2, but choices go from 0 to 1");
  check_refused("{\"context\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"z\"}",
                "t.jsonl:1: \"answer\" is none of the choices");
}

TEST_CASE("broken JSON is named with its line") {
  CHECK_THROWS_AS(parse_tasks("{\"context\": \"a\", \"answer\": \"x\"}\n{\"context\"", "t.jsonl"),
                  UsageError);
  try {
    parse_tasks("{\"context\": \"a\", \"answer\": \"x\"}\n{\"context\"", "t.jsonl");
  } catch (const UsageError& error) {
    CHECK(std::string(error.what()).starts_with("t.jsonl:2"));
  }
}

TEST_CASE("texts with retrieved passages are read, and refused where they contradict themselves") {
  const auto texts = parse_retrieved(
      "{\"text\": \"a\", \"passages\": [\"b\", \"c\"], \"scores\": [1, 0.5]}\n"
      "{\"text\": \"d\", \"passages\": []}\n",
      "t.jsonl");
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].passages == std::vector<std::string>{"b", "c"});
  CHECK(texts[0].scores == std::vector<double>{1, 0.5});
  CHECK(texts[1].place == "t.jsonl:2");
  const auto wrong = [](const char* line, const char* message) {
    CHECK_THROWS_WITH_AS(parse_retrieved(line, "t.jsonl"), message, UsageError);
  };
  wrong("{\"text\": \"a\", \"passages\": [\"b\"], \"scores\": [1, 2]}",
        "t.jsonl:1: there are 1 passages and 2 scores");
  wrong("{\"text\": \"\", \"passages\": []}", "t.jsonl:1: \"text\" is empty");
  wrong("{\"text\": \"a\", \"passages\": \"b\"}",
        "t.jsonl:1: \"passages\" must be a list of texts");
  wrong("[]", "t.jsonl:1: a task is a JSON object, {...}");
}
