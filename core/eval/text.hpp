// SPDX-License-Identifier: Apache-2.0

// The text that is evaluated, as token ids of one or several documents, and where its samples lie.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// Immutable once made; any thread may read it.
struct EvalText {
  std::string name;  // shown
  std::string hash;  // of what the text was made of, 32 hexadecimal digits
  std::vector<int32_t> tokens;
  std::vector<int64_t>
      document_ends;  // ascending, the last is tokens.size(); no window crosses one
};

// Token ids of documents. Where `separator` is not empty, each document is a chain of texts between
// separators (TinyStories: "<|endoftext|>"). Every text begins with BOS; white space around it is
// dropped, empty ones are left out. Errors: as Tokenizer::encode.
EvalText make_eval_text(std::string name, std::span<const std::string_view> documents,
                        const std::string& separator, const Tokenizer& tokenizer);
// One document that is token ids already.
EvalText make_eval_text(std::string name, std::vector<int32_t> tokens);

// Where samples end: `count` different places e such that tokens [e - longest - 1, e) lie in one
// document, drawn by the seed; places are `tail` apart, so that no two samples share a target. The
// first n of them are those of count = n. Fewer where the text has no more.
// Errors: UsageError if there is no such place.
std::vector<int64_t> sample_ends(const EvalText& text, int64_t count, int64_t longest, int64_t tail,
                                 uint64_t seed);

// The same places in the order of the text: the first `count` of them, `step` apart.
// Errors: as sample_ends.
std::vector<int64_t> consecutive_ends(const EvalText& text, int64_t count, int64_t longest,
                                      int64_t step);

}  // namespace perdure
