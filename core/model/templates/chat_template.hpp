// SPDX-License-Identifier: Apache-2.0

// Which chat template writes the turns of a conversation: one of a list by its name, the user's, or
// the model's own. All are Jinja; chat_writer.hpp runs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/settings.hpp"

namespace perdure {

struct ChatTemplate {
  std::string name;    // for messages: "llama2", a file and its key
  std::string source;  // Jinja
  // Nobody has chosen it, and the model is of a kind that usually brings one, but brings none.
  bool is_guess = false;
};

// Those of the list, in its order. core/config, which may not look here, has a list of these names
// as well; a test holds the two together.
std::vector<std::string_view> chat_template_names();
// Errors: UsageError that lists the known names.
ChatTemplate find_chat_template(std::string_view name);

// The one that a model brings: GGUF's `tokenizer.chat_template`, or chat_template.jinja or
// tokenizer_config.json of a folder or beside a file; llama2 if there is none. Errors: Error with
// path and key for a file that is malformed.
ChatTemplate model_chat_template(const std::string& model_path);

// As chat.template_file or chat.template say. Errors: as above; UsageError for a file that cannot
// be read, is too large, or if both are set.
ChatTemplate choose_chat_template(const Settings& settings);

}  // namespace perdure
