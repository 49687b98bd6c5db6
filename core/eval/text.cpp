// SPDX-License-Identifier: Apache-2.0

#include "core/eval/text.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/eval/random.hpp"

namespace perdure {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\f\v";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

void append_document(std::vector<int32_t>& tokens, std::string_view document,
                     const std::string& separator, const Tokenizer& tokenizer) {
  while (!document.empty()) {
    const size_t end = separator.empty() ? std::string_view::npos : document.find(separator);
    const std::string_view text = trimmed(document.substr(0, end));
    if (!text.empty()) {
      const std::vector<int32_t> ids = tokenizer.encode(text, true, false);
      tokens.insert(tokens.end(), ids.begin(), ids.end());
    }
    if (end == std::string_view::npos) return;
    document.remove_prefix(end + separator.size());
  }
}

// Places of one document where a sample may end: first, first + step, ..., `count` of them.
struct Places {
  int64_t first = 0, count = 0;
};

std::vector<Places> places_of(const EvalText& text, int64_t longest, int64_t step) {
  std::vector<Places> places;
  int64_t begin = 0;
  for (const int64_t end : text.document_ends) {
    const int64_t room = end - begin - (longest + 1);
    if (room >= 0) places.push_back({begin + longest + 1, room / step + 1});
    begin = end;
  }
  return places;
}

int64_t count_places(const EvalText& text, const std::vector<Places>& places, int64_t longest) {
  int64_t total = 0;
  for (const Places& p : places) total += p.count;
  if (total > 0) return total;
  if (text.tokens.empty())
    throw UsageError("the measure needs a text, and " +
                     (text.name.empty() ? "none is given" : text.name + " is empty"));
  throw UsageError("the text " + text.name + " has no document of " + std::to_string(longest + 1) +
                   " tokens, which a length of " + std::to_string(longest) +
                   " needs; give a longer text or leave out the longest lengths");
}

// Requires: number < count_places().
int64_t place_number(const std::vector<Places>& places, int64_t number, int64_t step) {
  auto p = places.begin();
  for (; number >= p->count; ++p) number -= p->count;
  return p->first + number * step;
}

}  // namespace

EvalText make_eval_text(std::string name, std::span<const std::string_view> documents,
                        const std::string& separator, const Tokenizer& tokenizer) {
  EvalText result{.name = std::move(name)};
  Hasher hasher;
  for (const std::string_view document : documents) {
    hasher.add(std::to_string(document.size()) + ":");
    hasher.add(document);
    const size_t before = result.tokens.size();
    append_document(result.tokens, document, separator, tokenizer);
    if (result.tokens.size() > before)
      result.document_ends.push_back(static_cast<int64_t>(result.tokens.size()));
  }
  hasher.add(separator);
  result.hash = hasher.hex();
  return result;
}

EvalText make_eval_text(std::string name, std::vector<int32_t> tokens) {
  EvalText result{.name = std::move(name), .tokens = std::move(tokens)};
  Hasher hasher;
  hasher.add(std::as_bytes(std::span(result.tokens)));
  result.hash = hasher.hex();
  if (!result.tokens.empty()) result.document_ends.push_back(std::ssize(result.tokens));
  return result;
}

std::vector<int64_t> sample_ends(const EvalText& text, int64_t count, int64_t longest, int64_t tail,
                                 uint64_t seed) {
  const std::vector<Places> places = places_of(text, longest, tail);
  const int64_t total = count_places(text, places, longest);
  // The beginning of a shuffle of all places, of which only what has moved is written down.
  EvalRandom random(seed, 0);
  std::unordered_map<int64_t, int64_t> moved;
  const auto at = [&](int64_t i) { return moved.contains(i) ? moved.at(i) : i; };
  std::vector<int64_t> ends;
  for (int64_t i = 0; i < std::min(count, total); ++i) {
    const int64_t chosen = i + random.below(total - i);
    const int64_t number = at(chosen);
    moved[chosen] = at(i);
    ends.push_back(place_number(places, number, tail));
  }
  return ends;
}

std::vector<int64_t> consecutive_ends(const EvalText& text, int64_t count, int64_t longest,
                                      int64_t step) {
  const std::vector<Places> places = places_of(text, longest, step);
  const int64_t total = count_places(text, places, longest);
  std::vector<int64_t> ends;
  for (int64_t i = 0; i < std::min(count, total); ++i)
    ends.push_back(place_number(places, i, step));
  return ends;
}

}  // namespace perdure
