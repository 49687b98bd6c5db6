// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "core/eval/text.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

EvalText counted(int64_t n, std::vector<int64_t> document_ends = {}) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) tokens[static_cast<size_t>(i)] = static_cast<int32_t>(i);
  EvalText text = make_eval_text("counted", std::move(tokens));
  if (!document_ends.empty()) text.document_ends = std::move(document_ends);
  return text;
}

Llama2cTokenizer tokenizer() { return Llama2cTokenizer::open(golden_model("tok_320.bin"), 320); }

}  // namespace

TEST_CASE("samples end where the longest length fits, a tail apart, each place once") {
  const EvalText text = counted(5000);
  const std::vector<int64_t> ends = sample_ends(text, 1000, 1024, 256, 1);
  CHECK(ends.size() == (5000 - 1025) / 256 + 1);
  CHECK(std::set(ends.begin(), ends.end()).size() == ends.size());
  for (const int64_t end : ends) {
    CHECK(end >= 1025);
    CHECK(end <= 5000);
    CHECK((end - 1025) % 256 == 0);
  }
}

TEST_CASE("the first samples do not depend on how many follow") {
  const EvalText text = counted(100000);
  const std::vector<int64_t> few = sample_ends(text, 8, 512, 256, 7);
  const std::vector<int64_t> many = sample_ends(text, 64, 512, 256, 7);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
  CHECK(sample_ends(text, 8, 512, 256, 8) != few);
}

TEST_CASE("no sample crosses the end of a document") {
  const EvalText text = counted(3000, {500, 1700, 1750, 3000});
  for (const int64_t end : sample_ends(text, 100, 600, 16, 1)) {
    const bool in_second = end - 601 >= 500 && end <= 1700;
    const bool in_last = end - 601 >= 1750 && end <= 3000;
    CHECK((in_second || in_last));
  }
}

TEST_CASE("a text of just the length and one token has one sample") {
  CHECK(sample_ends(counted(257), 64, 256, 256, 1) == std::vector<int64_t>{257});
}

TEST_CASE("a text that is too short is refused with the length it needs") {
  CHECK_THROWS_WITH_AS(sample_ends(counted(256), 64, 256, 256, 1),
                       "the text counted has no document of 257 tokens, which a length of 256 "
                       "needs; give a longer text or leave out the longest lengths",
                       UsageError);
}

TEST_CASE("consecutive places follow the text through its documents") {
  const EvalText text = counted(40, {20, 40});
  CHECK(consecutive_ends(text, 4, 9, 5) == std::vector<int64_t>{10, 15, 20, 30});
}

TEST_CASE("every text between separators begins with BOS, and white space around it is dropped") {
  const Llama2cTokenizer t = tokenizer();
  const std::vector<std::string_view> documents{"  one <end>\n two\n<end>\n", "", " \n", "three"};
  const EvalText text = make_eval_text("texts", documents, "<end>", t);
  std::vector<int32_t> expected;
  for (const char* piece : {"one", "two", "three"}) {
    const std::vector<int32_t> ids = t.encode(piece, true, false);
    expected.insert(expected.end(), ids.begin(), ids.end());
  }
  CHECK(text.tokens == expected);
  CHECK(text.document_ends.size() == 2);
  CHECK(text.document_ends.back() == std::ssize(text.tokens));
  CHECK(text.hash.size() == 32);
}

TEST_CASE("the hash of a text changes with its bytes and its documents") {
  const Llama2cTokenizer t = tokenizer();
  const auto hash = [&](const std::vector<std::string_view>& documents) {
    return make_eval_text("x", documents, "", t).hash;
  };
  CHECK(hash({"ab"}) == hash({"ab"}));
  CHECK(hash({"ab"}) != hash({"a", "b"}));
  CHECK(hash({"ab"}) != hash({"ac"}));
}
