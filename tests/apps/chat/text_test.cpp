// SPDX-License-Identifier: Apache-2.0

// The program's pure functions: templates, numbers for people, token lists.
#include <doctest/doctest.h>

#include "apps/perdure/chat/chat_text.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/columns.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "apps/perdure/terminal/statistics.hpp"
#include "core/api/error.hpp"

using namespace perdure;
using namespace perdure::app;

namespace {

// Without BOS, EOS is 2.
struct Vocabulary final : Tokenizer {
  std::vector<int32_t> encode_text(std::string_view, bool) const override { return {}; }
  std::string_view decode(int32_t, int32_t) const override { return {}; }
  int64_t vocab_size() const override { return 10; }
  int32_t bos_id() const override { return -1; }
  std::span<const int32_t> eos_ids() const override { return kEnds; }
  const std::string& hash() const override { return hash_; }

  static constexpr int32_t kEnds[] = {2};
  std::string hash_;
};

}  // namespace

TEST_CASE("the model is told when a turn was said only if there is a clock") {
  CHECK(timed("hello", "") == "hello");
  CHECK(timed("hello", "2026-11-20 11:34:56") == "(2026-11-20 11:34:56) hello");
  CHECK(user_prompt("2026-11-20 11:34:56") == "(2026-11-20 11:34:56)  User: ");
}

TEST_CASE("a line is talk, a command or nothing") {
  CHECK(classify("hello") == ChatInput::kTalk);
  CHECK(classify(" /quit ") == ChatInput::kQuit);
  CHECK(classify("/save") == ChatInput::kSave);
  CHECK(classify(" \t") == ChatInput::kNothing);
  CHECK(classify("/sav") == ChatInput::kUnknown);
  CHECK(unknown_command("/sav") == "/sav is no command; did you mean /save?");
  CHECK(unknown_command("/etc/passwd") == "/etc/passwd is no command; see /help");
  for (const char* word : {"/help", "/save", "/reset", "/memory", "/stats", "/quit"})
    CHECK(chat_help().find(word) != std::string::npos);
}

TEST_CASE("numbers are written for people") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(1234567) == "1.23 MB");
  CHECK(bytes_text(999999) == "1 MB");
}

TEST_CASE("a progress line says share, rate and time left") {
  const auto line = [](const char* what, int64_t done, int64_t total, double seconds) {
    return progress_line(reading_progress(what, done, total, seconds), 100);
  };
  CHECK(line("reading", 1000, 4000, 2.0) ==
        "reading [#####...............]  25 %  1,000 of 4,000 tokens, 500 tokens/s, 0:06 left");
  CHECK(line("reading", 0, 4000, 0.0) ==
        "reading [....................]   0 %  0 of 4,000 tokens, 0 tokens/s");
  CHECK(line("x", 5, 5, 1.0).find("[####################] 100 %") != std::string::npos);
}

TEST_CASE("a progress line fits any width, and gives up rate and time left last") {
  const ProgressText text = reading_progress("reading a book with a name", 1000, 4000, 2.0);
  const std::string full = progress_line(text, 200);
  for (size_t columns = 1; columns <= full.size(); ++columns)
    CHECK(progress_line(text, columns).size() <= columns);
  CHECK(progress_line(text, full.size()) == full);
  CHECK(progress_line(text, full.size() - 5) ==
        "reading a book with a name [###............]  25 %  1,000 of 4,000 tokens, 500 tokens/s, "
        "0:06 left");
  CHECK(progress_line(text, 64) ==
        "[##......]  25 %  1,000 of 4,000 tokens, 500 tokens/s, 0:06 left");
  CHECK(progress_line(text, 42) == "[##......]  25 %  500 tokens/s, 0:06 left");
  CHECK(progress_line(text, 30) == " 25 %  500 tokens/s, 0:06 left");
  const ProgressText wide = reading_progress("本本本本本本本本本本", 1000, 4000, 2.0);
  CHECK(display_width(progress_line(wide, 80)) <= 80);
}

TEST_CASE("the spread of measurements is median, smallest and largest") {
  const Spread odd = spread_of({3, 1, 2});
  CHECK(odd.median == 2);
  CHECK(odd.min == 1);
  CHECK(odd.max == 3);
  CHECK(spread_of({4, 1}).median == 2.5);
  CHECK(spread_of({7}).median == 7);
}

TEST_CASE("the kernels of a plan are listed once each") {
  const std::string plan =
      "plan for up to 1 rows: 2 nodes\n  mat_mul by mat_mul_f32_scalar, 12 bytes at 0\n"
      "  add by add_f32_scalar\n  mat_mul by mat_mul_f32_scalar, 4 bytes at 8\n";
  CHECK(kernels_in_plan(plan) == std::vector<std::string>{"add_f32_scalar", "mat_mul_f32_scalar"});
}

TEST_CASE("token lists are decimal ids and nothing else") {
  CHECK(parse_tokens(" 1\n22\t0 \r\n", 23, "ids") == std::vector<int32_t>{1, 22, 0});
  CHECK(parse_tokens("", 5, "ids").empty());
  CHECK_THROWS_WITH_AS(parse_tokens("1 2x", 9, "ids"),
                       "ids: at byte 2 there is no token id between 0 and 8", Error);
  CHECK_THROWS_AS(parse_tokens("9", 9, "ids"), Error);
  CHECK_THROWS_AS(parse_tokens("-1", 9, "ids"), Error);
  CHECK_THROWS_AS(parse_tokens("99999999999999999999", 9, "ids"), Error);
  CHECK_THROWS_AS(parse_tokens("1,2", 9, "ids"), Error);
}

TEST_CASE("the model's BOS and any of its EOS end a text unless they are ignored") {
  const Vocabulary vocabulary;
  ModelInfo model;
  model.bos_id = 7;
  model.eos_ids = {8, 9};
  for (const int32_t token : {7, 8, 9}) {
    CHECK(ends_text(token, {}, model, vocabulary));
    CHECK_FALSE(ends_text(token, {.ignore_eos = true}, model, vocabulary));
  }
  CHECK_FALSE(ends_text(2, {}, model, vocabulary));
}

TEST_CASE("where the model states no BOS and no EOS, the vocabulary's end a text") {
  const Vocabulary vocabulary;
  ModelInfo model;
  model.bos_id = -1;
  model.eos_ids = {};
  CHECK(ends_text(2, {}, model, vocabulary));
  CHECK_FALSE(ends_text(2, {.ignore_eos = true}, model, vocabulary));
  CHECK_FALSE(ends_text(1, {}, model, vocabulary));
}
