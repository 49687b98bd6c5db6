// SPDX-License-Identifier: Apache-2.0

// A tokenizer's tokens beside the ids that its model has, and the tokens that begin and end a text
// by what the folder around the tokenizer says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// What a file of tokens says itself; ids are -1 where it does not.
struct OwnEnds {
  int32_t bos = -1;  // before every text
  int32_t eos = -1;
};

// Makes as many tokens as the model has: rows that only fill the model up become unused tokens
// "[PAD31999]", as GGUF files have them; control tokens beyond the model's are left out.
// Errors: Error with path if a token that a text is made of is beyond them, or so many are missing
// that the tokenizer must be another model's.
void fit_to_model(VocabularyParts& parts, int64_t vocab_size, const std::string& path);

// Sets bos and eos: tokenizer_config.json and generation_config.json beside the file at `path` go
// before what the file says. Errors: Error naming file and key for a token that is none, and as
// read_tokenizer_config.
void set_ends(VocabularyParts& parts, OwnEnds own, const std::string& path);

// The token that is written so, one that no text has if there is one; -1: none.
int32_t find_written(const VocabularyParts& parts, std::string_view text);

}  // namespace perdure
