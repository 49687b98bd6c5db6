// SPDX-License-Identifier: Apache-2.0

#include "core/eval/question.hpp"

#include <algorithm>

#include "core/api/error.hpp"

namespace perdure {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

Question encode_question(const Tokenizer& tokenizer, const std::string& prompt,
                         const std::string& answer, bool bos, bool space) {
  if (answer.empty()) throw Error("an answer is empty");
  const bool touch =
      space && !prompt.empty() && !is_space(prompt.back()) && !is_space(answer.front());
  const std::vector<int32_t> alone = tokenizer.encode(prompt, bos, false);
  const std::vector<int32_t> both =
      tokenizer.encode(prompt + (touch ? " " : "") + answer, bos, false);
  const auto end = std::mismatch(alone.begin(), alone.end(), both.begin(), both.end()).second;
  if (end == both.end()) throw Error("the answer '" + answer + "' has no token of its own");
  return {{both.begin(), end}, {end, both.end()}};
}

}  // namespace perdure
