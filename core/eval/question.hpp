// SPDX-License-Identifier: Apache-2.0

// A text and the answer that should follow it, as token ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

struct Question {
  std::vector<int32_t> prompt, answer;
};

// Ids of `prompt` and `answer`, one space between them unless either brings white space or `space`
// is false. Where a token spans both, it belongs to the answer. `bos`: BOS first.
// Errors: Error for an answer without a token of its own; as Tokenizer::encode.
Question encode_question(const Tokenizer& tokenizer, const std::string& prompt,
                         const std::string& answer, bool bos, bool space = true);

}  // namespace perdure
