// SPDX-License-Identifier: Apache-2.0

// The program's pure functions: templates, numbers for people, token lists.
#include <doctest/doctest.h>

#include <clocale>

#include "apps/perdure/chat/chat_text.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/columns.hpp"
#include "apps/perdure/terminal/keys.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "apps/perdure/terminal/statistics.hpp"
#include "apps/perdure/terminal/stop_texts.hpp"
#include "core/api/error.hpp"
#include "core/base/escape.hpp"

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

TEST_CASE("the model gets the time of a turn only with chat.clock") {
  CHECK(timed("hello", "") == "hello");
  CHECK(timed("hello", "2026-11-20 11:34:56") == "(2026-11-20 11:34:56) hello");
  CHECK(user_prompt("2026-11-20 11:34:56") == "(2026-11-20 11:34:56)  User: ");
  CHECK(user_prompt("") == "User: ");
}

TEST_CASE("a line is talk, a command or nothing") {
  const auto means = [](const char* line, ChatInput input, const char* text) {
    const ChatLine parsed = parse_line(line);
    CHECK(parsed.input == input);
    CHECK(parsed.text == text);
  };
  means(" hello there \n", ChatInput::kTalk, "hello there");
  means("//etc/passwd is a file", ChatInput::kTalk, "/etc/passwd is a file");
  means(" /quit ", ChatInput::kQuit, "");
  means("/save", ChatInput::kSave, "");
  means("/save now", ChatInput::kUnknown, "/save now");
  means("/QUIT", ChatInput::kQuit, "");
  means("/Load Alice", ChatInput::kLoad, "Alice");
  means("/file  a b.txt ", ChatInput::kFile, "a b.txt");
  means("/system be\nkind", ChatInput::kSystem, "be\nkind");
  means("/retry", ChatInput::kRegenerate, "");
  means(" \t", ChatInput::kNothing, "");
  means("/sav", ChatInput::kUnknown, "/sav");
  CHECK(unknown_command("/sav") ==
        "/sav is not a command; did you mean /save? (// begins a turn with /)");
  CHECK(unknown_command("/etc/passwd") ==
        "/etc/passwd is not a command; see /help (// begins a turn with /)");
  CHECK(unknown_command("/SAV now") ==
        "/sav is not a command; did you mean /save? (// begins a turn with /)");
  CHECK(unknown_command("/Save now") == "/save takes no words after it (// begins a turn with /)");
  for (const char* word : {"/new", "/help", "/undo", "/regenerate", "/system", "/file", "/load",
                           "/save", "/reset", "/memory", "/stats", "/quit"})
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
    CHECK(ends_text(token, {}, model, &vocabulary));
    CHECK_FALSE(ends_text(token, {.ignore_eos = true}, model, &vocabulary));
  }
  CHECK_FALSE(ends_text(2, {}, model, &vocabulary));
}

TEST_CASE("where the model states no BOS and no EOS, the vocabulary's end a text") {
  const Vocabulary vocabulary;
  ModelInfo model;
  model.bos_id = -1;
  model.eos_ids = {};
  CHECK(ends_text(2, {}, model, &vocabulary));
  CHECK_FALSE(ends_text(2, {.ignore_eos = true}, model, &vocabulary));
  CHECK_FALSE(ends_text(1, {}, model, &vocabulary));
}

TEST_CASE("what a terminal would obey is shown as its code, text in any language as it is") {
  CHECK(escaped("plain \t\n") == "plain \t\n");
  CHECK(escaped("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
  CHECK(escaped("a\rb\x7f") == "a\\x0db\\x7f");
  CHECK(escaped("\xc3\xa4 \xe6\x9c\xac \xf0\x9f\x90\x8d") ==
        "\xc3\xa4 \xe6\x9c\xac \xf0\x9f\x90\x8d");
  CHECK(escaped("\xc2\x9b") == "\\xc2\\x9b");    // CSI as one character
  CHECK(escaped("\x9bm\xff") == "\\x9bm\\xff");  // and as one byte
  CHECK(escaped("\xe2\x82") == "\\xe2\\x82");    // cut
  CHECK(escaped("\xc2") == "\\xc2");
  CHECK(escaped("\xc2\xa0\xe0\x9f\xbf") == "\xc2\xa0\\xe0\\x9f\\xbf");
  CHECK(escaped("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(escaped("\xc0\x9b\xed\xa0\x80") == "\\xc0\\x9b\\xed\\xa0\\x80");
}

TEST_CASE("what turns the direction of text around is shown as its code") {
  CHECK(escaped("a\u202ebin.exe") == "a\\u202ebin.exe");
  CHECK(escaped("\u061c\u200e\u200f\u202a\u202d\u2066\u2069") ==
        "\\u061c\\u200e\\u200f\\u202a\\u202d\\u2066\\u2069");
  for (const char* other : {"\u061b\u061d", "\u200d\u2010", "\u2029\u202f", "\u2065\u206a",
                            "\u05e9\u05dc\u05d5\u05dd", "\ue02e"})
    CHECK(escaped(other) == other);
}

TEST_CASE("a stop text is found across pieces, and nothing of it is shown") {
  StopTexts stops({"User:", "", "END"});
  CHECK(stops.push("hello Us") == "hello ");
  CHECK(stops.push("ual E") == "Usual ");
  CHECK_FALSE(stops.found());
  CHECK(stops.push("ND and more") == "");
  CHECK(stops.found());
  CHECK(stops.push("more") == "");
  CHECK(stops.flush() == "");
  StopTexts open({"User:"});
  CHECK(open.push("an Use") == "an ");
  CHECK(open.flush() == "Use");
  CHECK(StopTexts().push("all") == "all");
}

namespace {

// The characters that the line editor gets for the bytes of a terminal.
std::wstring keys_of(const std::string& typed) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  size_t at = 0;
  Keys keys([&](char& byte) -> ssize_t {
    if (at == typed.size()) return 0;
    byte = typed[at++];
    return 1;
  });
  std::wstring result;
  for (wchar_t c = 0; keys.next(c) > 0;) result += c;
  return result;
}

}  // namespace

TEST_CASE("of a stop text is known what it was and what came with it") {
  StopTexts stops({"\n\nUser:"});
  CHECK(stops.push("yes\n").empty() == false);
  CHECK(stops.found_text().empty());
  CHECK(stops.push("\nUser: a").empty());
  CHECK(stops.found_text() == "\n\nUser: a");
  CHECK(stops.flush().empty());
}

TEST_CASE("keys come through, and half a character swallows none of them") {
  CHECK(keys_of("h\xc3\xa4\n") == L"h\u00e4\n");
  CHECK(keys_of("\x1b[A\x1b"
                "f") ==
        L"\x1b[A\x1b"
        L"f");
  CHECK(keys_of("\x1b[200") == L"\x1b[200");
  CHECK(keys_of("a\xc3\nb") == L"a\nb");
  CHECK(keys_of("\xe2\x82x") == L"x");
  CHECK(keys_of("\xff\xc3\xc3\xa4") == L"\u00e4");
}

TEST_CASE("what is pasted is text: its line ends do not end the line, its escapes do nothing") {
  CHECK(keys_of("\x1b[200~one\rtwo\r\n\x1b[201~\n") == L"one\x16\ntwo\x16\n\n");
  CHECK(keys_of("\x1b[200~\x03\x1b[Ax\x1b[201~") == L"\x16\x03\x16\x1b[Ax");
}

TEST_CASE("words of a conversation are taken out of a snapshot, that there was one is not") {
  perdure::SessionValues values{
      {"chat.system", "be kind"}, {"chat.read_ahead", "User: and"}, {"chat.has_turns", int64_t{1}}};
  forget_chat_words(values);
  CHECK(values.size() == 1);
  CHECK(values.contains("chat.has_turns"));
}
