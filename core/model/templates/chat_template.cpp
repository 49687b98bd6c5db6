// SPDX-License-Identifier: Apache-2.0

// The table of chat templates.
#include "core/model/templates/chat_template.hpp"

#include <span>

#include "core/api/error.hpp"

namespace perdure {

// One line each; the definition is in the file of its name.
const ChatTemplate& llama2_template();

namespace {

std::span<const ChatTemplate* const> table() {
  static const ChatTemplate* const entries[] = {
      &llama2_template(),
  };
  return entries;
}

}  // namespace

std::vector<std::string_view> chat_template_names() {
  std::vector<std::string_view> names;
  for (const ChatTemplate* entry : table()) names.push_back(entry->name());
  return names;
}

const ChatTemplate& find_chat_template(std::string_view name) {
  std::string known;
  for (const ChatTemplate* entry : table()) {
    if (entry->name() == name) return *entry;
    known += (known.empty() ? "" : ", ") + std::string(entry->name());
  }
  throw UsageError("chat.template: '" + std::string(name) + "' is unknown; known: " + known);
}

}  // namespace perdure
