// SPDX-License-Identifier: Apache-2.0

#include "core/engine/token_counts.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/api/error.hpp"

namespace perdure {

void TokenCounts::add(int32_t token, float decay) {
  for (TokenCount& c : counts_) c.count *= decay;
  std::erase_if(counts_, [](const TokenCount& c) { return c.count < kForgotten; });
  const auto known = std::ranges::find(counts_, token, &TokenCount::token);
  if (known == counts_.end())
    counts_.push_back({token, 1.0f});
  else
    known->count += 1.0f;
}

std::vector<int64_t> TokenCounts::values() const {
  std::vector<int64_t> values;
  for (const TokenCount& c : counts_) {
    values.push_back(c.token);
    values.push_back(std::bit_cast<uint32_t>(c.count));
  }
  return values;
}

TokenCounts TokenCounts::from_values(std::span<const int64_t> values, int64_t vocab_size) {
  TokenCounts counts;
  std::vector<int32_t> seen;
  bool sound = values.size() % 2 == 0;
  for (size_t i = 0; sound && i < values.size(); i += 2) {
    const int64_t token = values[i], bits = values[i + 1];
    sound = token >= 0 && token < vocab_size && bits >= 0 && bits <= int64_t{0xffffffff};
    if (!sound) break;
    const float count = std::bit_cast<float>(static_cast<uint32_t>(bits));
    sound = std::isfinite(count) && count >= kForgotten;
    counts.counts_.push_back({static_cast<int32_t>(token), count});
    seen.push_back(static_cast<int32_t>(token));
  }
  std::ranges::sort(seen);
  if (!sound || std::ranges::adjacent_find(seen) != seen.end())
    throw Error("the snapshot's counts of tokens do not fit the vocabulary");
  return counts;
}

}  // namespace perdure
