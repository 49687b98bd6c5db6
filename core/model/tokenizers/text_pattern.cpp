// SPDX-License-Identifier: Apache-2.0

#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/model/tokenizers/text_pattern.hpp"

#include <pcre2.h>

#include <array>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/utf8.hpp"

namespace perdure {

struct TextPattern::Code {
  std::string source;
  pcre2_code* code = nullptr;

  explicit Code(std::string pattern) : source(std::move(pattern)) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

namespace {

struct MatchData {
  pcre2_match_data* data;

  explicit MatchData(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
    if (data == nullptr) throw Error("not enough memory to split a text");
  }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;
  ~MatchData() { pcre2_match_data_free(data); }
};

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 128> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// The first byte from `at` on with which no character begins.
size_t valid_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    const size_t size = utf8_character(text.substr(at));
    if (size == 1 && static_cast<unsigned char>(text[at]) >= 0x80) break;
    at += size;
  }
  return at;
}

// Calls `found` with begin and end of each match in text[begin:], which is valid UTF-8; patterns
// see nothing before it.
template <class Found>
void match_stretch(const pcre2_code* code, pcre2_match_data* match, std::string_view text,
                   size_t begin, const Found& found) {
  const std::string_view stretch = text.substr(begin);
  for (size_t at = 0; at < stretch.size();) {
    const int count = pcre2_match(code, units(stretch), stretch.size(), at,
                                  PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK, match, nullptr);
    if (count == PCRE2_ERROR_NOMATCH) return;
    if (count < 0)
      throw Error("cannot split the text at byte offset " + std::to_string(begin + at) +
                  ": PCRE2 says error " + std::to_string(count) + "; give it in smaller pieces");
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    found(begin + range[0], begin + range[1]);
    at = range[1];
  }
}

}  // namespace

TextPattern::TextPattern(const std::string& pattern) : code_(std::make_unique<Code>(pattern)) {
  int error = 0;
  PCRE2_SIZE where = 0;
  // Without PCRE2_MATCH_INVALID_UTF: it makes every match check the whole rest of the text, unless
  // the code is compiled by JIT. split looks for such bytes once.
  code_->code =
      pcre2_compile(units(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error, &where, nullptr);
  if (code_->code == nullptr)
    throw Error("the pattern of a vocabulary cannot be used: " + message_of(error) + " at byte " +
                std::to_string(where));
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);  // where there is none, matching is slower
}

TextPattern::TextPattern(TextPattern&&) noexcept = default;
TextPattern& TextPattern::operator=(TextPattern&&) noexcept = default;
TextPattern::~TextPattern() = default;

const std::string& TextPattern::source() const { return code_->source; }

void TextPattern::split(std::string_view text, const Use& use) const {
  const MatchData match(code_->code);
  size_t done = 0;
  const auto found = [&](size_t begin, size_t end) {
    if (begin > done) use(text.substr(done, begin - done), false);
    use(text.substr(begin, end - begin), true);
    done = end;
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = valid_end(text, begin);
    match_stretch(code_->code, match.data, text.substr(0, end), begin, found);
    begin = end + 1;
  }
  if (done < text.size()) use(text.substr(done), false);
}

}  // namespace perdure
