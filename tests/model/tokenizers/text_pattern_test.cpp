// SPDX-License-Identifier: Apache-2.0

// Texts with bytes that are no UTF-8 are taken apart as PCRE2 does it by itself.
#include "core/model/tokenizers/text_pattern.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "core/base/hash.hpp"

using namespace perdure;

namespace {

using Words = std::vector<std::string>;

// With a class, a length, a look ahead, and something that it leaves out (digits).
constexpr const char* kPattern =
    "'s| ?\\p{L}{1,3}|[\\t-\\r \\x{85}\\x{3000}]+(?![^\\t-\\r ])|[^\\p{N}]";

Words split(const TextPattern& pattern, std::string_view text) {
  Words words;
  pattern.split(text, [&](std::string_view word, bool) { words.emplace_back(word); });
  return words;
}

}  // namespace

TEST_CASE("bytes that are no UTF-8 match nothing and part what stands beside them") {
  const TextPattern pattern(kPattern);
  CHECK(split(pattern, "").empty());
  CHECK(split(pattern, "\xFF\x80") == Words{"\xFF\x80"});
  CHECK(split(pattern,
              "ab\xFF"
              "cd") == Words{"ab", "\xFF", "cd"});
  CHECK(split(pattern,
              "ab 12\xFF"
              "34 cd") == Words{"ab", " ",
                                "12\xFF"
                                "34",
                                " cd"});
  CHECK(split(pattern, "\xED\xA0\x80") == Words{"\xED\xA0\x80"});  // half of a surrogate pair
}

TEST_CASE("random bytes are taken apart as PCRE2_MATCH_INVALID_UTF takes them apart") {
  const TextPattern pattern(kPattern);
  std::mt19937 random(7);
  const std::string parts[] = {"a",
                               "'s",
                               " ",
                               "\n",
                               "7",
                               "\xC3\xA9",
                               "\xE2\x82\xAC",
                               "!",
                               "z",
                               "\xC3",
                               "\xE2\x82",
                               "\xED\xA0\x80",
                               "\xF0\x9F\x98\x80",
                               "\x80",
                               "\xF4\x90\x80\x80",
                               "\xC0\x80"};
  Hasher hasher;
  for (int round = 0; round < 2000; ++round) {
    std::string text, whole;
    const size_t n = random() % 40;
    for (size_t i = 0; i < n; ++i)
      text += round % 2 == 0 ? parts[random() % std::size(parts)]
                             : std::string(1, static_cast<char>(random()));
    for (const std::string& word : split(pattern, text)) {
      whole += word;
      hasher.add(std::to_string(word.size()) + ":" + word);
    }
    REQUIRE(whole == text);
  }
  CHECK(hasher.hex() == "90dc1f9e3b0d7b462dd9d9e384e9cc6d");  // of what that option gave
}
