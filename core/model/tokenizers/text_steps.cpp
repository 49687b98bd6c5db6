// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/text_steps.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/utf8.hpp"

namespace perdure {
namespace {

// A text of at most this size in form C takes a few times as much while it is made.
using Units = std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)>;

void append_composed(std::string_view valid, std::string& out) {
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                   static_cast<utf8proc_ssize_t>(valid.size()), &made,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const Units owner(made, &std::free);
  if (size < 0)
    throw Error(std::string("the text cannot be normalised: utf8proc says ") +
                utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
}

// Below U+0300 (CC 80) every character stands for itself in form C.
bool may_change(char c) { return static_cast<unsigned char>(c) >= 0xCC; }

// Where a stretch that may change ends: before an ASCII character that no mark follows, which takes
// part in nothing, or before a byte that is no UTF-8.
size_t stretch_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    const size_t size = utf8_character(text.substr(at));
    const bool is_ascii = static_cast<unsigned char>(text[at]) < 0x80;
    if (size == 1 && !is_ascii) return at;
    if (is_ascii && (at + 1 == text.size() || !may_change(text[at + 1]))) return at;
    at += size;
  }
  return at;
}

}  // namespace

std::string composed(std::string_view text) {
  std::string out;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    if (!may_change(text[at]) || utf8_character(text.substr(at)) == 1) {
      ++at;
      continue;
    }
    // The character before may be what a mark is put on.
    size_t begin = at;
    while (begin > done && is_utf8_continuation(text[begin - 1])) --begin;
    if (begin > done) --begin;
    const bool is_none = at - begin == 1 && static_cast<unsigned char>(text[begin]) >= 0x80;
    if (is_none || utf8_character(text.substr(begin)) != at - begin) begin = at;
    const size_t end = stretch_end(text, at);
    out += text.substr(done, begin - done);
    append_composed(text.substr(begin, end - begin), out);
    done = at = end;
  }
  if (done == 0) return std::string(text);
  out += text.substr(done);
  return out;
}

struct TextSteps::Step {
  enum class Kind { kPrepend, kReplace, kReplacePattern, kCompose } kind;
  std::string from, to;
  PrefixRule rule = PrefixRule::kAlways;
  std::optional<TextPattern> pattern = std::nullopt;

  bool operator==(const Step& other) const {
    const bool same_pattern = pattern.has_value() == other.pattern.has_value() &&
                              (!pattern || pattern->source() == other.pattern->source());
    return kind == other.kind && from == other.from && to == other.to && rule == other.rule &&
           same_pattern;
  }

  std::string prepended(std::string_view text, Begins begins) const {
    const bool is_there = rule != PrefixRule::kAlways && text.starts_with(to);
    const bool is_place =
        rule == PrefixRule::kTextUnlessThere ? begins == Begins::kText : begins != Begins::kNo;
    return (is_place && !is_there && !text.empty() ? to : "") + std::string(text);
  }

  std::string replaced(std::string_view text) const {
    std::string made;
    for (size_t at = 0;;) {
      const size_t found = text.find(from, at);
      made += text.substr(at, found - at);
      if (found == text.npos) return made;
      made += to;
      at = found + from.size();
    }
  }

  std::string replaced_by_pattern(std::string_view text) const {
    std::string made;
    pattern->split(text, [&](std::string_view piece, bool matches) {
      made += matches ? std::string_view(to) : piece;
    });
    return made;
  }

  std::string apply(std::string_view text, Begins begins) const {
    switch (kind) {
      case Kind::kPrepend:
        return prepended(text, begins);
      case Kind::kReplace:
        return replaced(text);
      case Kind::kReplacePattern:
        return replaced_by_pattern(text);
      case Kind::kCompose:
        return composed(text);
    }
    return std::string(text);
  }
};

void TextSteps::prepend(std::string text, PrefixRule rule) {
  steps_.push_back(std::make_shared<Step>(Step{Step::Kind::kPrepend, "", std::move(text), rule}));
}
void TextSteps::replace(std::string from, std::string to) {
  steps_.push_back(
      std::make_shared<Step>(Step{Step::Kind::kReplace, std::move(from), std::move(to)}));
}
void TextSteps::replace(TextPattern from, std::string to) {
  steps_.push_back(std::make_shared<Step>(
      Step{Step::Kind::kReplacePattern, "", std::move(to), PrefixRule::kAlways, std::move(from)}));
}
void TextSteps::compose() {
  steps_.push_back(std::make_shared<Step>(Step{Step::Kind::kCompose, "", ""}));
}

bool TextSteps::has_prefix() const {
  return std::ranges::any_of(steps_,
                             [](const auto& step) { return step->kind == Step::Kind::kPrepend; });
}

bool TextSteps::operator==(const TextSteps& other) const {
  return std::ranges::equal(steps_, other.steps_,
                            [](const auto& a, const auto& b) { return *a == *b; });
}

std::string TextSteps::rewrite(std::string_view text, Begins begins) const {
  std::string made(text);
  for (const auto& step : steps_) made = step->apply(made, begins);
  return made;
}

}  // namespace perdure
