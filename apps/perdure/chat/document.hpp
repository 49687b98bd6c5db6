// SPDX-License-Identifier: Apache-2.0

// A document as a session reads it: its tokens, and how far the session has read them. That is kept
// in the session itself, so that it is saved, restored and forgotten with what was read. A document
// is known by its bytes, not by its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.hpp"

namespace perdure::app {

// The tokens of a text that a session begins with, which follow BOS, or of one that continues what
// it has read. Text that is cut anywhere is one text: only its first part has the space that
// sentencepiece puts before a text. Errors: as Tokenizer::encode_text.
std::vector<int32_t> encode_part(const Tokenizer& tokenizer, std::string_view text, bool begins);

class Document {
 public:
  // `again`: as if the session had never read it. Borrows the session. Errors: as encode_part.
  Document(Session& session, const Tokenizer& tokenizer, std::string_view text, bool again);

  std::span<const int32_t> tokens() const { return tokens_; }
  int64_t total() const { return std::ssize(tokens_); }
  // Tokens that the session has read.
  int64_t done() const { return done_; }
  // Those that it has not.
  std::span<const int32_t> rest() const {
    return std::span(tokens_).subspan(static_cast<size_t>(done_));
  }
  // Lets the session remember that it has read `done` of them.
  void set_done(int64_t done);

 private:
  Session& session_;
  std::string name_;
  bool begins_;  // its first token is, or was, the first one of the session
  std::vector<int32_t> tokens_;
  int64_t done_ = 0;
};

}  // namespace perdure::app
