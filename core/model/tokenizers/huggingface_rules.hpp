// SPDX-License-Identifier: Apache-2.0

// What tokenizer.json says about texts: normalisers, pre-tokenizers, decoders and post-processors,
// as far as the families that this program reads need them. Anything else is refused by its type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/text_steps.hpp"
#include "core/model/tokenizers/tokenizer_json.hpp"

namespace perdure {

struct HuggingFaceRules {
  TextSteps normalizer;
  TextSteps spaces;                // of pre-tokenizers that change the text
  std::vector<TextPattern> words;  // of those that take it apart
  bool is_byte_level = false;
  bool drops_prefix = false;  // the decoder takes the first space away
  std::string bos;            // of the post-processor; "": none
};

// Errors: Error with path and key for what is missing, of another type or not supported.
HuggingFaceRules read_huggingface_rules(const JsonPlace& root);

}  // namespace perdure
