// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/pre_patterns.hpp"

#include <algorithm>
#include <iterator>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"

namespace perdure {
namespace {

// What \s is where the vocabularies were made: Unicode's White_Space. PCRE2's own has one more.
#define PERDURE_SPACES                                                            \
  "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}" \
  "\\x{205F}\\x{3000}"
#define PERDURE_SPACE "[" PERDURE_SPACES "]"
#define PERDURE_LAST_SPACES PERDURE_SPACE "+(?![^" PERDURE_SPACES "])|" PERDURE_SPACE "+"

constexpr const char* kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" PERDURE_SPACES
                              "\\p{L}\\p{N}]+|" PERDURE_LAST_SPACES;
// Of Llama 3 and of Qwen 2, but for how many digits are one word.
#define PERDURE_LATER_PATTERN(DIGITS)                                                         \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" DIGITS "| ?[^" PERDURE_SPACES \
  "\\p{L}\\p{N}]+[\\r\\n]*|" PERDURE_SPACE "*[\\r\\n]+|" PERDURE_LAST_SPACES

// Mistral's since Nemo: words change where small letters become capitals.
#define PERDURE_CAPITALS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define PERDURE_SMALL "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define PERDURE_BEFORE_WORD "[^\\r\\n\\p{L}\\p{N}]?"
constexpr const char* kTekken = PERDURE_BEFORE_WORD PERDURE_CAPITALS
    "*" PERDURE_SMALL "+|" PERDURE_BEFORE_WORD PERDURE_CAPITALS "+" PERDURE_SMALL
    "*|\\p{N}| ?[^" PERDURE_SPACES "\\p{L}\\p{N}]+[\\r\\n/]*|" PERDURE_SPACE
    "*[\\r\\n]+|" PERDURE_LAST_SPACES;

constexpr const char* kSpaces = PERDURE_SPACES;
constexpr size_t kMostPatternBytes = 4096;

struct Pre {
  std::string_view name;
  PrePatterns patterns;
};

// Copies a pattern, with \s and \S as sets of their own.
class PatternCopier {
 public:
  explicit PatternCopier(std::string_view pattern) : pattern_(pattern) {}

  std::string copy() {
    if (pattern_.size() > kMostPatternBytes) fail("more than 4096 bytes");
    while (at_ < pattern_.size()) step();
    if (in_set_) fail("a set without an end");
    return std::move(made_);
  }

 private:
  void step() {
    const char c = pattern_[at_];
    if (c == '\\') return escape();
    if (in_set_)
      check_in_set(c);
    else
      check_outside(c);
    made_ += c;
    ++at_;
  }

  void check_in_set(char c) {
    const bool first = at_ == set_at_ + 1 || (at_ == set_at_ + 2 && pattern_[at_ - 1] == '^');
    if (c == '[') fail("a set inside a set");
    if (c == '&' && pattern_.substr(at_).starts_with("&&")) fail("an intersection of sets");
    if (c == ']' && first) fail("an empty set");
    if (c == ']') in_set_ = false;
  }

  void check_outside(char c) {
    if (c == '^' || c == '$') fail(std::string("the anchor ") + c);
    if (c == '.') fail("the dot");
    if (c == '(' && pattern_.substr(at_).starts_with("(*")) fail("a verb");
    if (c != '[') return;
    in_set_ = true;
    set_at_ = at_;
  }

  void escape() {
    if (at_ + 1 == pattern_.size()) fail("a backslash at the end");
    const char c = pattern_[at_ + 1];
    if (c == 's') {
      made_ += in_set_ ? kSpaces : PERDURE_SPACE;
    } else if (c == 'S') {
      if (in_set_) fail("\\S in a set");
      made_ += std::string("[^") + kSpaces + "]";
    } else {
      const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      const bool is_known = std::string_view("pPdDrntfx").find(c) != std::string_view::npos;
      const bool is_digit = c >= '0' && c <= '9';
      if ((is_letter && !is_known) || is_digit || static_cast<unsigned char>(c) >= 0x80)
        fail("the escape \\" + shown_name({&c, 1}));
      made_ += {'\\', c};
    }
    at_ += 2;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("has at byte offset " + std::to_string(at_) + " " + what +
                ", which is not supported in a pattern");
  }

  std::string_view pattern_;
  std::string made_;
  size_t at_ = 0, set_at_ = 0;
  bool in_set_ = false;
};

// One line for each way of taking texts apart, by its names in files; of several the first is the
// one that is written.
std::span<const Pre> pre_table() {
  static const Pre table[] = {
      {"gpt-2", {{kGpt2}}},
      {"llama-bpe", {{PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true}},
      {"llama3", {{PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true}},
      {"llama-v3", {{PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true}},
      {"qwen2", {{PERDURE_LATER_PATTERN("\\p{N}")}}},
      {"deepseek-r1-qwen", {{PERDURE_LATER_PATTERN("\\p{N}")}}},
      {"smollm", {{"\\p{N}", kGpt2}}},
      {"tekken", {{kTekken}, true}},
  };
  return table;
}

}  // namespace

TextPattern gpt2_pattern() { return TextPattern(kGpt2); }

const PrePatterns* find_pre_patterns(std::string_view name) {
  const auto found = std::ranges::find(pre_table(), name, &Pre::name);
  return found == pre_table().end() ? nullptr : &found->patterns;
}

std::string_view pre_name_of(std::span<const TextPattern> words, bool whole_words) {
  const auto found = std::ranges::find_if(pre_table(), [&](const Pre& pre) {
    return pre.patterns.whole_words == whole_words &&
           std::ranges::equal(pre.patterns.patterns, words, {}, {}, &TextPattern::source);
  });
  return found == pre_table().end() ? "" : found->name;
}

TextPattern pattern_of_file(std::string_view pattern) {
  return TextPattern(PatternCopier(pattern).copy());
}

#undef PERDURE_BEFORE_WORD
#undef PERDURE_SMALL
#undef PERDURE_CAPITALS
#undef PERDURE_LATER_PATTERN
#undef PERDURE_LAST_SPACES
#undef PERDURE_SPACE
#undef PERDURE_SPACES

}  // namespace perdure
