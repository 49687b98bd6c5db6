// SPDX-License-Identifier: Apache-2.0

// Chat templates: how the turns of a conversation are written for a model. One file each and one
// line of the table in chat_template.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perdure {

// Immutable; any thread may use it.
class ChatTemplate {
 public:
  virtual ~ChatTemplate() = default;

  // The value of `chat.template`.
  virtual std::string_view name() const = 0;
  // What stands before the model's answer to `user`. `system` is empty except in the first turn.
  // BOS goes before it, and after the answer EOS; neither is part of the text.
  virtual std::string turn(std::string_view system, std::string_view user) const = 0;
};

// All of them, in the order of the table. core/config, which may not look here, has a list of these
// names as well; a test holds the two together.
std::vector<std::string_view> chat_template_names();
// Lives for ever. Errors: UsageError that lists the known names.
const ChatTemplate& find_chat_template(std::string_view name);

}  // namespace perdure
