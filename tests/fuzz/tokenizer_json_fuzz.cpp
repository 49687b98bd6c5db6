// SPDX-License-Identifier: Apache-2.0

// Any bytes as a tokenizer.json and a text: u16 vocabulary size, u16 length of the text, the text,
// the file. What is encoded must be ids of the vocabulary that can be decoded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/tokenizers/huggingface_tokenizer.hpp"

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const int64_t vocab_size = data[0] | data[1] << 8;
  const size_t length = std::min<size_t>(data[2] | data[3] << 8, size - 4);
  const std::string_view text(reinterpret_cast<const char*>(data) + 4, length);
  const auto file = std::as_bytes(std::span(data, size)).subspan(4 + length);
  try {
    const auto tokenizer = make_huggingface_tokenizer(file, "/nowhere/input", vocab_size);
    tokenizer->control_tokens();
    for (const int32_t id : tokenizer->encode(text, true, true)) {
      if (id < 0 || id >= vocab_size) __builtin_trap();
      tokenizer->decode(tokenizer->bos_id(), id);
    }
  } catch (const Error&) {
  }
  return 0;
}
