// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/chat_writer.hpp"

#include <ctime>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

using jinja::Value;

// Of the small conversation; any would do.
constexpr std::string_view kQuestion = "Hello", kAnswer = "Hi";

Value text(std::string_view words, Origin origin = Origin::kTemplate) {
  return std::make_shared<const MarkedText>(std::string(words), origin);
}

// A map or list of known, small depth, made where no template runs.
Value mapping(std::initializer_list<std::pair<const char*, Value>> members, int depth) {
  auto map = std::make_shared<jinja::Map>();
  for (const auto& [name, value] : members)
    map->items.emplace_back(std::make_shared<const MarkedText>(name, Origin::kTemplate), value);
  map->depth = depth;
  return std::shared_ptr<const jinja::Map>(std::move(map));
}

Value message(const char* role, std::string_view words, Origin origin) {
  return mapping({{"role", text(role)}, {"content", text(words, origin)}}, 1);
}

std::vector<Value> messages_of(const ChatTurn& turn) {
  std::vector<Value> messages;
  if (!turn.is_first) {
    messages.push_back(message("user", kQuestion, Origin::kMessage));
    messages.push_back(message("assistant", kAnswer, Origin::kAnswer));
  }
  if (!turn.system.empty()) messages.push_back(message("system", turn.system, Origin::kMessage));
  messages.push_back(message("user", turn.user, Origin::kMessage));
  return messages;
}

size_t find_origin(const MarkedText& text, Origin origin) {
  size_t at = 0;
  while (at < text.size() && text.origin(at) != origin) ++at;
  return at;
}

// Where the last byte of that origin ends; 0 if there is none.
size_t end_of(const MarkedText& text, Origin origin) {
  size_t end = text.size();
  while (end > 0 && text.origin(end - 1) != origin) --end;
  return end;
}

std::string without_space_at_end(std::string text) {
  text.erase(text.find_last_not_of(" \t\n") + 1);
  return text;
}

}  // namespace

ChatWriter::ChatWriter(const Tokenizer& tokenizer, const ChatTemplate& chat_template)
    : tokens_(tokenizer),
      name_(chat_template.name),
      template_(chat_template.source, chat_template.name),
      bos_(tokens_.text_of(tokenizer.bos_id())),
      eos_(tokenizer.eos_ids().empty() ? "" : tokens_.text_of(tokenizer.eos_ids().front())),
      bos_id_(tokenizer.bos_id()) {
  find_closing();
}

MarkedText ChatWriter::render(const ChatTurn& turn) const {
  auto messages = std::make_shared<jinja::List>();
  messages->items = messages_of(turn);
  messages->depth = 2;
  const Value globals = mapping({{"messages", std::shared_ptr<const jinja::List>(messages)},
                                 {"add_generation_prompt", true},
                                 {"tools", jinja::None{}},
                                 {"documents", jinja::None{}},
                                 {"bos_token", text(bos_)},
                                 {"eos_token", text(eos_)}},
                                3);
  return template_.render(globals, turn.system.size() + turn.user.size(), std::time(nullptr));
}

MarkedText ChatWriter::render_next(const ChatTurn& turn) const {
  try {
    return render(turn);
  } catch (const UsageError& error) {
    if (turn.system.empty()) throw;
    throw UsageError(std::string(error.what()) +
                     "; the system prompt cannot change within a session, so /reset begins "
                     "another one");
  }
}

MarkedText ChatWriter::behind_answer(const ChatTurn& turn) const {
  const MarkedText whole = render_next(turn);
  const size_t begin = end_of(whole, Origin::kAnswer);
  if (begin == 0)
    throw UsageError(name_ +
                     ": the template does not write the answers of earlier turns, so it cannot "
                     "continue a conversation; choose another chat.template");
  return whole.substr(begin);
}

// What comes before the question's words is the same for all turns: up to its first control token
// it belongs to the answer.
void ChatWriter::find_closing() {
  const MarkedText next = behind_answer({.user = kQuestion, .is_first = false});
  const size_t words = find_origin(next, Origin::kMessage);
  const auto token = tokens_.find(next, 0);
  if (!token || token->begin > words) {
    stop_text_ = without_space_at_end(next.text().substr(0, words));
    return;
  }
  if (token->id == bos_id_ && bos_ != eos_) return;
  closing_ = next.text().substr(0, token->end);
  closing_tokens_ = tokens_.encode(next.substr(0, token->end), false);
  ends_ = {token->id};
}

std::vector<int32_t> ChatWriter::turn(const ChatTurn& turn, std::string_view already_read) const {
  if (turn.is_first) return tokens_.encode(render(turn), true);
  MarkedText next = behind_answer(turn);
  if (!next.text().starts_with(closing_))
    throw UsageError(name_ +
                     ": the template does not end an answer before a system prompt as it does "
                     "before a question; the system prompt needs a new session");
  next = next.substr(closing_.size());
  if (closing_.empty() && next.text().starts_with(already_read))
    next = next.substr(already_read.size());
  return tokens_.encode(next, !closing_.empty());
}

}  // namespace perdure
