// SPDX-License-Identifier: Apache-2.0

// Any bytes as a GGUF file: an Error, or a model whose weights can all be read and a tokenizer that
// encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/api/error.hpp"
#include "core/model/formats/gguf_model.hpp"
#include "core/model/formats/weight_values.hpp"
#include "core/model/tokenizers/gguf_tokenizer.hpp"

using namespace perdure;

namespace {

void read_model(const Gguf& file) {
  const Model model = read_gguf_model({&file, 1});
  model.weights_hash();
  for (const auto& [name, weight] : model.weights())
    if (perdure_block_values(weight.dtype) == 1) weight_values(weight);
}

void use_tokenizer(std::span<const std::byte> bytes, int64_t vocab_size) {
  const auto tokenizer = make_gguf_tokenizer(GgufVocabulary(bytes, "input", vocab_size));
  // The end of the file stands for a text: the fuzzer changes both.
  const auto text = bytes.last(bytes.size() < 64 ? bytes.size() : 64);
  const auto ids =
      tokenizer->encode_text({reinterpret_cast<const char*>(text.data()), text.size()}, true);
  for (const int32_t id : ids) tokenizer->decode(tokenizer->bos_id(), id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  try {
    const Gguf file(bytes, "input");
    size_t covered = 0;
    for (const auto& [name, tensor] : file.tensors()) covered += tensor.bytes.size();
    if (covered > size) __builtin_trap();
    try {
      read_model(file);
    } catch (const Error&) {
    }
    if (const GgufValue* tokens = file.find("tokenizer.ggml.tokens"))
      use_tokenizer(bytes, tokens->count);
  } catch (const Error&) {
  }
  return 0;
}
