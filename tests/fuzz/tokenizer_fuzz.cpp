// SPDX-License-Identifier: Apache-2.0

// Any bytes as a tokenizer.bin and a text. What is encoded must be ids of the vocabulary, and a
// UTF-8 stream must lose and invent no byte.
#include <string>

#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "tests/fuzz/tokenizer_input.hpp"

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const fuzzing::TokenizerInput input(data, size);
  try {
    const Llama2cTokenizer tokenizer =
        Llama2cTokenizer::read(input.file, "input", input.vocab_size);
    Utf8Stream stream;
    std::string decoded, shown;
    int32_t previous = 0;
    for (const int32_t id : tokenizer.encode(input.text, true, true)) {
      if (id < 0 || id >= input.vocab_size) __builtin_trap();
      decoded += tokenizer.decode(previous, id);
      shown += stream.push(tokenizer.decode(previous, id));
      previous = id;
    }
    if (shown + stream.flush() != decoded) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
