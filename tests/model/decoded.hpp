// SPDX-License-Identifier: Apache-2.0

// The text of ids, for tests of tokenizers.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::test {

// As at the beginning of a text: behind BOS.
inline std::string decoded(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::string text;
  int32_t previous = tokenizer.bos_id();
  for (const int32_t id : ids) {
    text += tokenizer.decode(previous, id);
    previous = id;
  }
  return text;
}

}  // namespace perdure::test
