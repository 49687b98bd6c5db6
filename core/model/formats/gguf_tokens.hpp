// SPDX-License-Identifier: Apache-2.0

// The special tokens of a GGUF file's vocabulary; what is not said is as llama.cpp takes it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/formats/gguf.hpp"

namespace perdure {

struct GgufSpecialTokens {
  std::vector<int64_t> begin;  // the token before a text, or none
  std::vector<int64_t> ends;   // the first is the one that is written
};

// Errors: Error naming key and byte offset of a token that the vocabulary has not.
GgufSpecialTokens read_gguf_special_tokens(const Gguf& file, int64_t vocab_size);

}  // namespace perdure
