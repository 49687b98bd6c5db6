// SPDX-License-Identifier: Apache-2.0

// What a Hugging Face folder says beside its tokenizer: tokenizer_config.json,
// special_tokens_map.json, chat_template.jinja and generation_config.json. Says nothing about ids
// of texts; the tokenizer knows these.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure {

struct TokenizerConfig {
  std::string tokenizer_class;  // "" where it is not said, as all texts here
  // As they are written.
  std::string bos_token, eos_token, unk_token, pad_token;
  std::optional<bool> add_bos_token, add_eos_token;
  std::string chat_template;  // the one that is used where nobody asks for another
  // Of files with several: "tool_use", "rag", ...; "default" too.
  std::map<std::string, std::string> chat_templates;
};

// Of a folder; "" is the current one. Files that are not there say nothing; where two say the same
// thing, tokenizer_config.json has the word, but chat_template.jinja for the template.
// Errors: Error with path and key or byte offset for a file that is no JSON, larger than 16 MiB, or
// has a value of another type.
TokenizerConfig read_tokenizer_config(const std::string& folder);

// The ids that end a text by generation_config.json, in its order; nothing if it does not say.
// Errors: as above, and for an id that is not below `vocab_size`.
std::optional<std::vector<int64_t>> read_generation_ends(const std::string& folder,
                                                         int64_t vocab_size);

}  // namespace perdure
