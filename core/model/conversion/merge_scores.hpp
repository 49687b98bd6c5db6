// SPDX-License-Identifier: Apache-2.0

// Scores of tokens from a list of merges: sentencepiece merges what makes the token of the highest
// score, whatever it is made of; Hugging Face's files list pairs by rank.
#pragma once

#include <vector>

#include "core/model/tokenizers/huggingface_vocabulary.hpp"

namespace perdure {

// A score for each token, with which merging by score gives the same ids as the list: 0, -1, -2 ...
// in the order of the merges, 0 for tokens that are not merged. Errors: GgufLacks if there are none
// such, because the pairs of a token stand apart in the list or some are missing; Error for a merge
// that is malformed.
std::vector<float> merge_scores(const HuggingFaceVocabulary& read);

}  // namespace perdure
