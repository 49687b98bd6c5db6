// SPDX-License-Identifier: Apache-2.0

// How often each token was written lately, with counts that fade: what presence and frequency
// penalties go by. Part of a session, saved with it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perdure {

struct TokenCount {
  int32_t token = 0;
  float count = 0;

  bool operator==(const TokenCount&) const = default;
};

class TokenCounts {
 public:
  // A count below it is forgotten, so that what there is stays small in a text without end: with a
  // decay of 0.996 a token that came once is remembered for 1,723 tokens.
  static constexpr float kForgotten = 1e-3f;

  // All counts are multiplied by `decay`, then that of `token` grows by one. Requires: 0 <= decay
  // <= 1.
  void add(int32_t token, float decay);

  // In no particular order, each token once.
  std::span<const TokenCount> counts() const { return counts_; }
  bool empty() const { return counts_.empty(); }

  // As a snapshot keeps them: token and the bits of its count in turns. Errors: Error for what no
  // session with that vocabulary can have.
  std::vector<int64_t> values() const;
  static TokenCounts from_values(std::span<const int64_t> values, int64_t vocab_size);

 private:
  std::vector<TokenCount> counts_;
};

}  // namespace perdure
