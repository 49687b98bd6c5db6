// SPDX-License-Identifier: Apache-2.0

// Control tokens in what a template writes: found where the template itself wrote them, and nowhere
// else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/templates/marked_text.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

class ControlTokens {
 public:
  // Borrows the tokenizer.
  explicit ControlTokens(const Tokenizer& tokenizer);

  struct Found {
    size_t begin = 0, end = 0;
    int32_t id = 0;
  };
  // The first one at or after `from`, the longest of those that begin there.
  std::optional<Found> find(const MarkedText& text, size_t from) const;
  // How a token is written; "" if that is not known.
  std::string text_of(int32_t id) const;

  // Ids of what a template wrote. `begins`: nothing or a control token stands before it, so the
  // first words begin a text (Tokenizer::encode_text); words behind a control token always do.
  // Errors: Error as of Tokenizer::encode_text.
  std::vector<int32_t> encode(const MarkedText& text, bool begins) const;

 private:
  std::optional<Found> at(const MarkedText& text, size_t begin) const;

  const Tokenizer& tokenizer_;
  std::unordered_map<std::string, int32_t> ids_;
  std::array<std::vector<size_t>, 256> sizes_;  // by the first byte, longest first
};

}  // namespace perdure
