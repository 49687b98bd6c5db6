// SPDX-License-Identifier: Apache-2.0

// The judge of golden cases: what must never pass.
#include "apps/perdure_golden/judge.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace perdure::golden;

namespace {

const std::vector<float> kGolden{1.0f, -2.0f, 0.5f};

Outcome judge_logits(const std::vector<float>& found, const Limits& limits) {
  Judge judge(limits);
  judge.logits("logits", found, kGolden);
  return judge.verdict();
}

}  // namespace

TEST_CASE("equal numbers pass at tolerance 0 and count as bit-equal") {
  const Outcome o = judge_logits(kGolden, {.max_abs = 0});
  CHECK(o.status == Status::kOk);
  CHECK(o.n_bit_equal == 3);
  CHECK(o.n_logits == 3);
}

TEST_CASE("a difference over the tolerance fails and is the worst figure") {
  CHECK(judge_logits({1.0f, -2.25f, 0.5f}, {.max_abs = 0.25}).status == Status::kOk);
  const Outcome o = judge_logits({1.0f, -2.5f, 0.5f}, {.max_abs = 0.25});
  CHECK(o.status == Status::kFail);
  CHECK(o.worst == 0.5);
  CHECK(o.n_bit_equal == 2);
}

TEST_CASE("many differences below the largest allowed fail if their mean is too high") {
  const std::vector<float> all_off{1.2f, -1.8f, 0.7f};
  CHECK(judge_logits(all_off, {.max_abs = 0.3}).status == Status::kOk);
  CHECK(judge_logits(all_off, {.max_abs = 0.3, .mean_abs = 0.1}).status == Status::kFail);
}

TEST_CASE("NaN and missing values fail whatever the tolerance") {
  const Limits wide{.max_abs = 1e30};
  CHECK(judge_logits({1.0f, std::nanf(""), 0.5f}, wide).status == Status::kFail);
  CHECK(judge_logits({1.0f, -2.0f}, wide).status == Status::kFail);
  Judge judge(wide);
  judge.state("memory", std::vector<float>{}, kGolden);
  CHECK(judge.verdict().status == Status::kFail);
}

TEST_CASE("the first thing that failed is the reason given") {
  Judge judge({.max_abs = 0});
  judge.require(true, "nothing");
  judge.require(false, "first");
  judge.require(false, "second");
  CHECK(judge.verdict().reason == "first");
}
