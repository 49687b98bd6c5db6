// SPDX-License-Identifier: Apache-2.0

#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/model/tokenizers/text_pattern.hpp"

#include <pcre2.h>

#include "core/api/error.hpp"

namespace perdure {

struct TextPattern::Code {
  pcre2_code* code = nullptr;

  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

namespace {

struct MatchData {
  pcre2_match_data* data;

  explicit MatchData(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
    if (data == nullptr) throw Error("not enough memory to take a text apart");
  }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;
  ~MatchData() { pcre2_match_data_free(data); }
};

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

TextPattern::TextPattern(const std::string& pattern) : code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE where = 0;
  code_->code =
      pcre2_compile(units(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF,
                    &error, &where, nullptr);
  if (code_->code == nullptr)
    throw Error("the pattern of a vocabulary cannot be used: error " + std::to_string(error) +
                " at " + std::to_string(where));
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);  // without it matching is slower, no more
}

TextPattern::TextPattern(TextPattern&&) noexcept = default;
TextPattern& TextPattern::operator=(TextPattern&&) noexcept = default;
TextPattern::~TextPattern() = default;

void TextPattern::split(std::string_view text,
                        const std::function<void(std::string_view)>& use) const {
  const MatchData match(code_->code);
  size_t at = 0;
  while (at < text.size()) {
    const int count =
        pcre2_match(code_->code, units(text), text.size(), at, PCRE2_NOTEMPTY, match.data, nullptr);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0)
      throw Error("the text cannot be taken apart at byte offset " + std::to_string(at) +
                  ": PCRE2 says error " + std::to_string(count) + "; give it in smaller pieces");
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.data);
    if (range[0] > at) use(text.substr(at, range[0] - at));
    use(text.substr(range[0], range[1] - range[0]));
    at = range[1];
  }
  if (at < text.size()) use(text.substr(at));
}

}  // namespace perdure
