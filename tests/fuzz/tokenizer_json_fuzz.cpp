// SPDX-License-Identifier: Apache-2.0

// Any bytes as a tokenizer.json and a text.
#include "core/model/tokenizers/huggingface_tokenizer.hpp"
#include "tests/fuzz/tokenizer_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return perdure::fuzzing::fuzz_tokenizer(data, size, perdure::make_huggingface_tokenizer);
}
