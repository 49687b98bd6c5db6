// SPDX-License-Identifier: Apache-2.0

#include "core/eval/stories.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "core/eval/question.hpp"
#include "core/eval/random.hpp"

namespace perdure {
namespace {

using Words = std::array<const char*, 8>;
constexpr Words kPeople{"Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"};
// No two begin alike, so that most vocabularies tell all of them apart by one token, and small ones
// four.
constexpr Words kPlaces{"garden", "kitchen", "tower", "attic", "well", "orchard", "stable", "mill"};
constexpr Words kThings{"ring", "key", "book", "lamp", "crown", "sword", "mirror", "apple"};

using Chosen = std::array<std::string, kStoryChoices>;

Chosen choose(const Words& words, EvalRandom& random) {
  Words order = words;
  random.shuffle(std::span<const char*>(order));
  Chosen chosen;
  std::copy_n(order.begin(), chosen.size(), chosen.begin());
  return chosen;
}

std::vector<int32_t> tokens_of(const Tokenizer& tokenizer, const std::string& sentence) {
  return tokenizer.encode(sentence, false, false);
}

// Facts about person number `i`.
std::vector<std::vector<int32_t>> facts_of(const Tokenizer& tokenizer, const Chosen& people,
                                           const Chosen& places, const Chosen* things, size_t i) {
  std::vector<std::vector<int32_t>> facts;
  if (things != nullptr)
    facts.push_back(tokens_of(tokenizer, people[i] + " has the " + (*things)[i] + "."));
  facts.push_back(tokens_of(tokenizer, people[i] + " is in the " + places[i] + "."));
  return facts;
}

// How many tokens all begin with, without the last of the shortest. Requires: none empty.
size_t common_beginning(const std::vector<std::vector<int32_t>>& texts) {
  size_t n = 0;
  const auto same = [&](const std::vector<int32_t>& text) {
    return n + 1 < text.size() && text[n] == texts.front()[n];
  };
  while (std::all_of(texts.begin(), texts.end(), same)) ++n;
  return n;
}

std::vector<std::vector<int32_t>> answered(const Tokenizer& tokenizer, const std::string& question,
                                           const Words& places) {
  std::vector<std::vector<int32_t>> texts;
  for (const std::string place : places) {
    Question asked = encode_question(tokenizer, question, place, false);
    texts.push_back(std::move(asked.prompt));
    texts.back().insert(texts.back().end(), asked.answer.begin(), asked.answer.end());
  }
  return texts;
}

// Writes the question and its choices; returns the places, the right one first.
Chosen ask(Story& story, const Tokenizer& tokenizer, const std::string& question,
           EvalRandom& random) {
  Words order = kPlaces;
  random.shuffle(std::span<const char*>(order));
  const auto texts = answered(tokenizer, question, order);
  const size_t n = common_beginning(texts);
  Chosen places;
  for (size_t i = 0; i < order.size() && story.choices.size() < places.size(); ++i) {
    const int32_t own = texts[i][n];
    if (std::find(story.choices.begin(), story.choices.end(), own) != story.choices.end()) continue;
    places[story.choices.size()] = order[i];
    story.choices.push_back(own);
  }
  if (story.choices.size() < places.size())
    throw UsageError(
        "the vocabulary has no token of its own for the beginnings of four words, by which the "
        "measure tells answers apart");
  story.question.assign(texts.front().begin(),
                        texts.front().begin() + static_cast<std::ptrdiff_t>(n));
  // Drawn among the four: of places that begin alike those that come first are not right more
  // often.
  const auto right = static_cast<size_t>(random.below(kStoryChoices));
  std::swap(places.front(), places[right]);
  story.answer = story.choices[right];
  return places;
}

// A sentence, and how many tokens of the text stand behind it.
struct Placed {
  int64_t behind;
  const std::vector<int32_t>* sentence;
};

int64_t size_of(const std::vector<std::vector<int32_t>>& sentences) {
  int64_t size = 0;
  for (const auto& sentence : sentences) size += std::ssize(sentence);
  return size;
}

// Where the facts stand among `n_text` tokens of text, from the front.
std::vector<Placed> scatter(const Story& story, int64_t n_text, const StoryPlace& place,
                            EvalRandom random) {
  const int64_t facts = size_of(story.supporting) + size_of(story.others);
  const int64_t size = facts + std::ssize(story.question);
  const int64_t nearest_place =
      std::max<int64_t>(0, place.distance * place.segment - std::ssize(story.question));
  const int64_t room = (place.distance + 1) * place.segment - size - nearest_place;
  if (room < 1)
    throw UsageError("facts and question take " + std::to_string(size) +
                     " tokens, which a segment of " + std::to_string(place.segment) +
                     " has no room for; make segment larger");
  std::vector<Placed> placed;
  int64_t behind = nearest_place + random.below(room);
  for (const auto& fact : story.supporting) {
    placed.push_back({behind, &fact});
    behind = random.below(behind + 1);
  }
  for (const auto& fact : story.others) placed.push_back({random.below(n_text + 1), &fact});
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.behind > b.behind; });
  return placed;
}

Window asked_behind(std::vector<int32_t> context, const Story& story) {
  context.insert(context.end(), story.question.begin(), story.question.end());
  Window window = answer_window(std::move(context), {story.answer});
  window.among = story.choices;
  return window;
}

}  // namespace

Story make_story(const Tokenizer& tokenizer, int64_t n_supporting, uint64_t seed, int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  const Chosen people = choose(kPeople, random);
  const Chosen things = choose(kThings, random);
  const Chosen* held = n_supporting > 1 ? &things : nullptr;
  const std::string who = held != nullptr ? "the " + things[0] : people[0];
  const std::string again = held != nullptr ? "The " + things[0] : people[0];
  Story story;
  const Chosen places =
      ask(story, tokenizer, "Where is " + who + "? " + again + " is in the", random);
  for (size_t i = 0; i < people.size(); ++i) {
    auto facts = facts_of(tokenizer, people, places, held, i);
    auto& where = i == 0 ? story.supporting : story.others;
    where.insert(where.end(), facts.begin(), facts.end());
  }
  return story;
}

Story untold(Story story) {
  story.supporting.clear();
  story.others.clear();
  return story;
}

Window story_window(const UsedIds& ids, const Story& story, const EvalText& text, int64_t end,
                    const StoryPlace& place, uint64_t seed, int64_t sample) {
  const int64_t told = size_of(story.supporting) + size_of(story.others);
  const int64_t n_text = place.length - 1 - told - std::ssize(story.question);
  // A stream of its own: the story has those of the samples.
  const std::vector<Placed> placed =
      scatter(story, n_text, place, EvalRandom(seed, ~static_cast<uint64_t>(sample)));
  const auto last = text.tokens.begin() + end;
  auto next = last - n_text;
  std::vector<int32_t> context{ids.begin};
  for (const Placed& fact : placed) {
    context.insert(context.end(), next, last - fact.behind);
    context.insert(context.end(), fact.sentence->begin(), fact.sentence->end());
    next = last - fact.behind;
  }
  context.insert(context.end(), next, last);
  return asked_behind(std::move(context), story);
}

Window question_window(const UsedIds& ids, const Story& story) {
  return asked_behind({ids.begin}, story);
}

}  // namespace perdure
