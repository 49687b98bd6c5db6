// SPDX-License-Identifier: Apache-2.0

// How texts are taken apart before bytes are merged: the ways that files name, and patterns that
// files bring, in the words of PCRE2.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/text_pattern.hpp"

namespace perdure {

struct PrePatterns {
  std::vector<const char*> patterns;  // each takes the pieces of the one before apart
  bool whole_words = false;           // a word that is a token is not merged from its bytes
};

// GPT-2's own.
TextPattern gpt2_pattern();
// By GGUF's `tokenizer.ggml.pre`; nullptr: not known. Lives for ever.
const PrePatterns* find_pre_patterns(std::string_view name);
// The name of what takes texts apart so; "": there is none.
std::string_view pre_name_of(std::span<const TextPattern> words, bool whole_words);

// A pattern of tokenizer.json, which is written for Oniguruma, so that PCRE2 matches the same.
// Errors: Error that names what is in it that could mean something else here, with its byte offset.
TextPattern pattern_of_file(std::string_view pattern);

}  // namespace perdure
