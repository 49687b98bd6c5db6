// SPDX-License-Identifier: Apache-2.0

// What a tokenizer.json holds: its tokens beside those of a model, its merges and its rules, before
// a tokenizer is made of them or they are written into another format.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/tokenizers/added_tokens.hpp"
#include "core/model/tokenizers/huggingface_rules.hpp"
#include "core/model/tokenizers/merge_table.hpp"
#include "core/model/tokenizers/tokenizer_json.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// A token that texts are taken apart at.
struct HuggingFaceAdded {
  std::string text;
  AddedToken token;
  bool is_normalized = false;  // looked for in the text that the normalizer has made
};

struct HuggingFaceVocabulary {
  VocabularyParts parts;
  std::vector<HuggingFaceAdded> added;
  HuggingFaceRules rules;
  bool whole_words = false;    // ignore_merges
  bool byte_fallback = false;  // characters that no token has become byte tokens
  bool fuse_unknown = false;
  std::shared_ptr<const TokenizerJson> json;  // has the merges

  // Errors: Error with path and key for a merge that is not of two of these tokens.
  MergeTable merges(const Vocabulary& vocabulary) const;
};

// Nothing of the bytes is kept. The files beside `path` say which tokens begin and end a text.
// Errors: Error with path and byte offset or key for what is malformed, not supported or does not
// fit `vocab_size`.
HuggingFaceVocabulary read_huggingface_vocabulary(std::span<const std::byte> bytes,
                                                  const std::string& path, int64_t vocab_size);

}  // namespace perdure
