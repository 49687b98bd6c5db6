// SPDX-License-Identifier: Apache-2.0

// The table of chat templates.
#include "core/model/templates/chat_template.hpp"

#include "core/api/error.hpp"

namespace perdure {

// One line each; the definition is in the file of its name.
const ChatTemplate& llama2_template();

const ChatTemplate& find_chat_template(std::string_view name) {
  const ChatTemplate* const table[] = {
      &llama2_template(),
  };
  std::string known;
  for (const ChatTemplate* entry : table) {
    if (entry->name() == name) return *entry;
    known += (known.empty() ? "" : ", ") + std::string(entry->name());
  }
  throw UsageError("chat.template: '" + std::string(name) + "' is unknown; known: " + known);
}

}  // namespace perdure
