// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_own_keys.hpp"

#include <string>

#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {

// A space that is there already is one that the text begins with.
TextSteps marked_spaces(PrefixRule rule) {
  const std::string space(kSentencepieceSpace);
  TextSteps steps;
  if (rule == PrefixRule::kAlways) steps.prepend(space, rule);
  steps.replace(" ", space);
  if (rule != PrefixRule::kAlways) steps.prepend(space, rule);
  return steps;
}

}  // namespace perdure
