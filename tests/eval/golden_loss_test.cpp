// SPDX-License-Identifier: Apache-2.0

// The loss measure against llama2Rnn's own evaluation (tests/golden/llama2rnn, case eval_loss).
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/base/json/json.hpp"
#include "core/eval/engines.hpp"
#include "core/eval/measure.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

std::string case_path(const std::string& file) {
  return golden_model("../cases/eval_loss/" + file);
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The only tensor of the case: I32, at the end of the file.
EvalText golden_text(size_t n_tokens) {
  const std::string bytes = contents(case_path("golden.safetensors"));
  std::vector<int32_t> tokens(n_tokens);
  std::memcpy(tokens.data(), bytes.data() + bytes.size() - n_tokens * sizeof(int32_t),
              n_tokens * sizeof(int32_t));
  return make_eval_text("golden", std::move(tokens));
}

}  // namespace

TEST_CASE("the loss measure finds the losses of llama2Rnn's evaluation") {
  const std::string path = case_path("case.json");
  const Json golden = Json::parse(contents(path), path);
  EvalText text = golden_text(1025);
  const std::vector<int32_t> tokens = text.tokens;
  int n_compared = 0;
  for (const Json& row : golden.at("results").list()) {
    const std::string& method = row.at("extend_method").text();
    const int64_t length = row.at("seq_len").integer();
    std::vector<std::string> overrides{"attention.train_length=256"};
    if (method == "interpolation_logn") {
      overrides.push_back("attention.rope_scaling=linear");
      overrides.push_back("attention.log_n=true");
    }
    EntryEngines engines(golden_settings("big.safetensors", overrides), linked_plugins());
    MeasureSpec spec{.kept = 256, .samples = 1, .tail = row.at("eval_last").flag() ? 1 : 256};
    if (row.at("repeat_tokens").flag()) spec.input = InputForm::kRepeat;
    if (method == "clip") spec.input = InputForm::kClip;
    // The case's windows start where the text does, not end where it ends.
    text = make_eval_text("golden", {tokens.begin(), tokens.begin() + length + 1});
    const auto result = run_measure(engines.at(length), spec, length, text);
    REQUIRE(result);
    CAPTURE(method);
    CAPTURE(length);
    CHECK(std::abs(result->figures[0].points[0].samples[0] - row.at("loss").real()) < 1e-4);
    CHECK(std::abs(result->figures[1].points[0].samples[0] - row.at("acc").real()) < 1e-6);
    ++n_compared;
  }
  CHECK(n_compared == 36);
}
