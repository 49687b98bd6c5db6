// SPDX-License-Identifier: Apache-2.0

// What is done to a text before it is encoded, and tokens that stand in it as they are.
#include "core/model/tokenizers/text_steps.hpp"

#include <doctest/doctest.h>

#include "core/model/tokenizers/added_tokens.hpp"

using namespace perdure;

namespace {

// "[7]" for the token 7, "(text)" for what is between.
std::string parted(const AddedTokens& tokens, std::string_view text) {
  std::string made;
  tokens.split(
      text, [&](int32_t id) { made += "[" + std::to_string(id) + "]"; },
      [&](std::string_view part) { made += "(" + std::string(part) + ")"; });
  return made;
}

}  // namespace

TEST_CASE("form C composes marks with what stands before them, and nothing else changes") {
  CHECK(composed("") == "");
  CHECK(composed("plain caf\xC3\xA9") == "plain caf\xC3\xA9");
  CHECK(composed("e\xCC\x81") == "\xC3\xA9");
  CHECK(composed("xe\xCC\x81y") == "x\xC3\xA9y");
  CHECK(composed("\xC3\xAA\xCC\x81") == "\xE1\xBA\xBF");                      // U+1EBF
  CHECK(composed("o\xCC\x82\xCC\xA3") == "\xE1\xBB\x99");                     // reordered
  CHECK(composed("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8") == "\xEA\xB0\x81");  // Hangul
  CHECK(composed("\xE2\x84\xAB") == "\xC3\x85");                              // a singleton
  CHECK(composed("\xE0\xA5\x98") == "\xE0\xA4\x95\xE0\xA4\xBC");              // excluded
  CHECK(composed("\xCC\x81z") == "\xCC\x81z");                                // on nothing
}

TEST_CASE("bytes that are no UTF-8 stay where they are in form C") {
  CHECK(composed("\xFF\xCC") == "\xFF\xCC");
  CHECK(composed("e\xFF\xCC\x81") == "e\xFF\xCC\x81");
  CHECK(composed("e\xCC\x81\xCC"
                 "a\xCC\x81") == "\xC3\xA9\xCC\xC3\xA1");
  CHECK(composed("\x80\xCC\x81") == "\x80\xCC\x81");
}

TEST_CASE("steps follow each other; a prefix stands where its rule says") {
  TextSteps steps;
  steps.prepend("_", PrefixRule::kAlways);
  steps.replace(" ", "_");
  steps.replace(TextPattern("\\p{N}+"), "#");
  CHECK(steps.rewrite("a 12 b", Begins::kText) == "_a_#_b");
  CHECK(steps.rewrite("_a", Begins::kPiece) == "__a");
  CHECK(steps.rewrite("a", Begins::kNo) == "a");
  CHECK(steps.rewrite("", Begins::kText) == "");
  TextSteps first;
  first.prepend("_", PrefixRule::kTextUnlessThere);
  CHECK(first.rewrite("a", Begins::kText) == "_a");
  CHECK(first.rewrite("_a", Begins::kText) == "_a");
  CHECK(first.rewrite("a", Begins::kPiece) == "a");
}

TEST_CASE("the longest token is found, alone where it must be, with the spaces that it takes") {
  const AddedTokens tokens(
      {{"<a>", {.id = 1}}, {"<a>b", {.id = 2}}, {"", {.id = 3}}, {"<a>", {.id = 4}}});
  CHECK(parted(tokens, "x<a>b<a>y<a") == "(x)[2][1](y<a)");
  const AddedTokens word({{"the", {.id = 1, .single_word = true}}});
  CHECK(parted(word, "the other the\xC3\xA9 the. _the") == "[1]( other the\xC3\xA9 )[1](. _the)");
  const AddedTokens greedy({{"<l>", {.id = 1, .takes_left_space = true}},
                            {"<r>", {.id = 2, .takes_right_space = true}}});
  CHECK(parted(greedy, "a \xC2\xA0\n<l> b <r>\xE3\x80\x80 c") == "(a)[1]( b )[2](c)");
}
