// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/api/error.hpp"
#include "core/eval/results.hpp"

using namespace perdure;

namespace {

Comparison small_comparison() {
  Comparison c{.title = "two \"methods\"",
               .text_name = "stories.txt",
               .text_hash = "00ff",
               .text_tokens = 200000,
               .seed = 18446744073709551615u,
               .baseline = 0,
               .lengths = {256, 512}};
  c.entries = {{.name = "plain",
                .model = "a.bin",
                .weights_hash = "12",
                .train_length = 256,
                .configuration = "attention:\n  strategy: full\n",
                .configuration_hash = "34"},
               {.name = "memory", .model = "b.bin", .constant_memory = true}};
  c.measures = {{"loss", "Loss of the last 256 targets", "nats", true, ""},
                {"passkey", "Passkey retrieval", "share", false, "depth"}};
  using State = ComparedCell::State;
  c.cells = {{0, 0, 256, 0, State::kDone, "", 64, {1.0 / 3, 0.25, 0.5}, std::nullopt},
             {1, 0, 256, 0, State::kDone, "", 64, {1e-7, NAN, INFINITY}, Interval{-0.1, -0.2, 0.1}},
             {1, 1, 256, 0.25, State::kRefused, "no tokenizer", 0, {}, std::nullopt},
             {1, 1, 512, 0.25, State::kMissing, "", 0, {}, std::nullopt}};
  return c;
}

}  // namespace

TEST_CASE("a comparison is written as one line per entry, measure and cell") {
  const char* const expected =
      R"({
  "title": "two \"methods\"",
  "text_name": "stories.txt",
  "text_hash": "00ff",
  "text_tokens": 200000,
  "seed": -1,
  "baseline": 0,
  "lengths": [256,512],
  "entries": [
    {"name":"plain","model":"a.bin","weights_hash":"12","train_length":256,"constant_memory":false,"configuration":"attention:\n  strategy: full\n","configuration_hash":"34"},
    {"name":"memory","model":"b.bin","weights_hash":"","train_length":0,"constant_memory":true,"configuration":"","configuration_hash":""}
  ],
  "measures": [
    {"name":"loss","title":"Loss of the last 256 targets","unit":"nats","lower_is_better":true,"axis":""},
    {"name":"passkey","title":"Passkey retrieval","unit":"share","lower_is_better":false,"axis":"depth"}
  ],
  "cells": [
    {"entry":0,"measure":0,"length":256,"axis":0,"state":"done","samples":64,"figure":[0.3333333333333333,0.25,0.5]},
    {"entry":1,"measure":0,"length":256,"axis":0,"state":"done","samples":64,"figure":[1e-07,null,null],"difference":[-0.1,-0.2,0.1]},
    {"entry":1,"measure":1,"length":256,"axis":0.25,"state":"refused","reason":"no tokenizer"},
    {"entry":1,"measure":1,"length":512,"axis":0.25,"state":"missing"}
  ]
}
)";
  CHECK(comparison_json(small_comparison()) == expected);
}

TEST_CASE("a comparison that is read back is written with the same bytes") {
  const std::string text = comparison_json(small_comparison());
  const Comparison back = parse_comparison(text, "results.json");
  CHECK(comparison_json(back) == text);
  CHECK(back.seed == 18446744073709551615u);
  CHECK(back.cells[0].figure.value == 1.0 / 3);
  CHECK(std::isnan(back.cells[1].figure.low));
  CHECK(back.cells[2].reason == "no tokenizer");
  CHECK(comparison_json(parse_comparison(comparison_json({}), "empty")) == comparison_json({}));
}

TEST_CASE("marks, chance, machine and libraries are read back, and stand only where they are") {
  Comparison c = small_comparison();
  c.entries[0].libraries = {"attention.mine libmine.so 00ff"};
  c.cells[0].best = true;
  c.cells[0].chance = 5.5;
  c.cells[0].circumstances = {"A CPU", "avx2, fma", 2, 0.25, "2026-11-27T15:44:00Z", "1.2.3"};
  const std::string text = comparison_json(c);
  const Comparison back = parse_comparison(text, "r.json");
  CHECK(comparison_json(back) == text);
  CHECK(back.cells[0].best);
  CHECK(back.cells[0].chance == 5.5);
  CHECK(back.cells[0].circumstances->cpu == "A CPU");
  CHECK_FALSE(back.cells[1].circumstances);
  CHECK(back.entries[0].libraries == c.entries[0].libraries);
}

TEST_CASE("a figure is better than guessing, at chance or worse") {
  const ComparedMeasure loss{.lower_is_better = true}, share{.lower_is_better = false};
  ComparedCell cell{.state = ComparedCell::State::kDone, .figure = {2, 1.5, 2.5}};
  CHECK(beside_guessing(cell, loss) == Guessing::kBetter);  // chance is not known
  cell.chance = 3;
  CHECK(beside_guessing(cell, loss) == Guessing::kBetter);
  CHECK(beside_guessing(cell, share) == Guessing::kWorse);
  cell.chance = 2.2;
  CHECK(beside_guessing(cell, loss) == Guessing::kAtChance);
  CHECK(beside_guessing(cell, share) == Guessing::kAtChance);
  cell.chance = 1;
  CHECK(beside_guessing(cell, loss) == Guessing::kWorse);
  CHECK(beside_guessing(cell, share) == Guessing::kBetter);
  cell.figure = {NAN, NAN, NAN};
  CHECK(beside_guessing(cell, loss) == Guessing::kBetter);
}

TEST_CASE("broken results are refused with the file and what is wrong") {
  const std::string text = comparison_json(small_comparison());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  CHECK_THROWS_WITH_AS(parse_comparison(with("\"state\":\"done\"", "\"state\":\"won\""), "r.json"),
                       "r.json: cells 0: there is no state \"won\" of a cell", Error);
  CHECK_THROWS_WITH_AS(parse_comparison(with("{\"entry\":1", "{\"entry\":2"), "r.json"),
                       "r.json: cells: entry 2 is not among the 2 there are", Error);
  CHECK_THROWS_WITH_AS(parse_comparison(with("\"baseline\": 0", "\"baseline\": 5"), "r.json"),
                       "r.json: baseline: entry 5 is not among the 2 there are", Error);
  CHECK_THROWS_WITH_AS(parse_comparison(with(",0.25,0.5]", ",0.25]"), "r.json"),
                       "r.json: cells 0: an interval has 2 numbers, not 3", Error);
  CHECK_THROWS_AS(parse_comparison("{", "r.json"), Error);
  CHECK_THROWS_AS(parse_comparison("{}", "r.json"), Error);
}

TEST_CASE("samples of a measure are read back bit by bit") {
  const MeasureResult result{
      {{"loss", {{0, {0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max()}}}},
       {"passkey", {{0.25, {1, 0}}, {0.5, {}}}}}};
  const std::string text = measure_result_json(result);
  const MeasureResult back = parse_measure_result(text, "cell");
  CHECK(measure_result_json(back) == text);
  CHECK(back.figures[0].points[0].samples == result.figures[0].points[0].samples);
  CHECK(back.figures[1].points[1].axis == 0.5);
  CHECK_THROWS_AS(parse_measure_result("{\"figures\":[{}]}", "cell"), Error);
}
