// SPDX-License-Identifier: Apache-2.0

// Regular expressions over UTF-8 by Unicode's classes, for vocabularies that take a text apart
// before they encode it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace perdure {

// Immutable; any thread. Movable.
class TextPattern {
 public:
  using Use = std::function<void(std::string_view piece, bool matches)>;

  // Errors: Error for what is no pattern of PCRE2; it says where.
  explicit TextPattern(const std::string& pattern);
  TextPattern(TextPattern&&) noexcept;
  TextPattern& operator=(TextPattern&&) noexcept;
  ~TextPattern();

  // As it was given.
  const std::string& source() const;

  // Calls `use` for each match and for each stretch between matches, in order; together they are
  // the text; `matches` says which it is. Bytes that are no UTF-8 match nothing. Errors: Error if a
  // text needs more memory or steps than PCRE2 allows.
  void split(std::string_view text, const Use& use) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace perdure
