// SPDX-License-Identifier: Apache-2.0

// A conversation without end in a chat template's words. Templates write whole conversations; here
// the model has read the former turns already, and their words are not kept. So the template writes
// a small one,
//
//   [system,] question, answer [, system], question
//
// in which the answer stands for all that was said before, and what it puts behind that answer is
// what the model reads next. What a template does to the text of earlier turns when it writes them
// again (Qwen 3 drops what was thought) does not happen: a session remembers what it read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/templates/chat_template.hpp"
#include "core/model/templates/control_tokens.hpp"
#include "core/model/templates/jinja/jinja_template.hpp"

namespace perdure {

struct ChatTurn {
  std::string_view system = {};  // empty: none is told with this turn
  std::string_view user = {};
  bool is_first = true;  // no other turn was read in this session
};

// Immutable; any thread may use it.
class ChatWriter {
 public:
  // Borrows the tokenizer. Errors: UsageError, one sentence with the template's line, if it cannot
  // be used.
  ChatWriter(const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  // What the model reads before it answers; `already_read` are bytes of it that it wrote itself,
  // behind its last answer: they are left out if the turn begins with them. Errors: UsageError with
  // the template's own words if it refuses the turn, a system prompt for example; Error as of
  // Tokenizer::encode_text.
  std::vector<int32_t> turn(const ChatTurn& turn, std::string_view already_read = {}) const;
  // What the model reads behind every answer, "</s>" for example; may be empty.
  std::span<const int32_t> closing() const { return closing_tokens_; }
  // The token of these that ends an answer when the model writes it; none if there is none.
  std::span<const int32_t> ends() const { return ends_; }
  // Where no token ends an answer: the text between it and the next question's words, which does.
  const std::string& stop_text() const { return stop_text_; }

 private:
  MarkedText render(const ChatTurn& turn) const;
  MarkedText render_next(const ChatTurn& turn) const;
  MarkedText behind_answer(const ChatTurn& turn) const;
  void find_closing();

  ControlTokens tokens_;
  std::string name_;
  jinja::Template template_;
  std::string bos_, eos_;  // as they are written; empty: none
  int32_t bos_id_;
  std::string closing_, stop_text_;
  std::vector<int32_t> closing_tokens_, ends_;
};

}  // namespace perdure
