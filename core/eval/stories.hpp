// SPDX-License-Identifier: Apache-2.0

// Facts scattered in a text and a question that one or two of them answer (after BABILong, Kuratov
// et al. 2024, arXiv:2406.10149): what the measure `facts` lets a model read. Apart from the
// measure, so that it can be looked at without a model. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/eval/retrieval.hpp"
#include "core/eval/text.hpp"
#include "core/eval/windows.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// Four people are in four places. "Where is Anna?" is answered by one fact; with two, everybody has
// a thing, and "Where is the ring?" is answered by who has it and where she is.
struct Story {
  std::vector<std::vector<int32_t>> supporting;  // what the answer follows from, one or two
  std::vector<std::vector<int32_t>> others;      // the same of other people
  std::vector<int32_t> question;  // up to the first token in which the four places differ
  int32_t answer = 0;             // this token of the right place
  std::vector<int32_t> choices;   // of all four, told in any order
};

inline constexpr int64_t kStoryChoices = 4;

// The same for the same seed and sample, whatever the length. Requires: n_supporting is 1 or 2.
// Errors: as Tokenizer::encode; UsageError if the vocabulary does not tell four places apart by one
// token.
Story make_story(const Tokenizer& tokenizer, int64_t n_supporting, uint64_t seed, int64_t sample);

// The same question without the facts.
Story untold(Story story);

struct StoryPlace {
  int64_t length = 0;    // tokens of the window
  int64_t segment = 0;   // tokens
  int64_t distance = 0;  // segments
};

// The begin, the text before `end` with the facts in it, the question; its last token is scored,
// among the choices. The last token of the first supporting fact lies in the segment that
// ends `distance` segments before the window's end; the others are anywhere, a second supporting
// one behind the first. Requires: (distance + 1) * segment <= length <= end. Errors: UsageError if
// the facts and the question do not fit into one segment.
Window story_window(const UsedIds& ids, const Story& story, const EvalText& text, int64_t end,
                    const StoryPlace& place, uint64_t seed, int64_t sample);

// The begin and the question alone.
Window question_window(const UsedIds& ids, const Story& story);

}  // namespace perdure
