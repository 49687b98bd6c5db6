// SPDX-License-Identifier: Apache-2.0

// What the fuzz targets of tokenizers share: how their input is cut, and what must hold of any
// tokenizer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::fuzzing {

// u16 vocabulary size, u16 length of the text, the text, the file.
struct TokenizerInput {
  int64_t vocab_size;
  std::string_view text;
  std::span<const std::byte> file;

  // Requires: size >= 4.
  TokenizerInput(const uint8_t* data, size_t size)
      : vocab_size(data[0] | data[1] << 8),
        text(reinterpret_cast<const char*>(data) + 4,
             std::min<size_t>(data[2] | data[3] << 8, size - 4)),
        file(std::as_bytes(std::span(data, size)).subspan(4 + text.size())) {}
};

// What `make(file, path, vocab_size)` makes encodes the text, if at all, as ids of the vocabulary
// that can be decoded.
template <class Make>
int fuzz_tokenizer(const uint8_t* data, size_t size, const Make& make) {
  if (size < 4) return 0;
  const TokenizerInput input(data, size);
  try {
    const auto tokenizer = make(input.file, "/nowhere/input", input.vocab_size);
    tokenizer->control_tokens();
    for (const int32_t id : tokenizer->encode(input.text, true, true)) {
      if (id < 0 || id >= input.vocab_size) __builtin_trap();
      tokenizer->decode(tokenizer->bos_id(), id);
    }
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace perdure::fuzzing
