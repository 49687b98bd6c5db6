// SPDX-License-Identifier: Apache-2.0

// A text that knows of each byte where it came from. Whatever a template does with the words of a
// message, they stay distinct from its own, and never become control tokens.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace perdure {

// kAnswer: words of the model, by which an earlier answer is found in a rendering.
enum class Origin : char { kTemplate, kMessage, kAnswer };

class MarkedText {
 public:
  MarkedText() = default;
  MarkedText(std::string text, Origin origin)
      : text_(std::move(text)), origins_(text_.size(), static_cast<char>(origin)) {}

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  Origin origin(size_t at) const { return static_cast<Origin>(origins_[at]); }
  // Whether all of [begin, begin + count) is the template's. Requires: the range is within it.
  bool is_template(size_t begin, size_t count) const {
    const std::string_view part = std::string_view(origins_).substr(begin, count);
    return part.find_first_not_of(static_cast<char>(Origin::kTemplate)) == part.npos;
  }

  // As std::string's.
  MarkedText substr(size_t begin, size_t count = std::string::npos) const {
    return {text_.substr(begin, count), origins_.substr(begin, count)};
  }
  MarkedText& operator+=(const MarkedText& other) {
    text_ += other.text_;
    origins_ += other.origins_;
    return *this;
  }
  void append(std::string_view words, Origin origin) {
    text_ += words;
    origins_.append(words.size(), static_cast<char>(origin));
  }

 private:
  MarkedText(std::string text, std::string origins)
      : text_(std::move(text)), origins_(std::move(origins)) {}

  std::string text_;
  std::string origins_;  // one Origin for each byte
};

}  // namespace perdure
