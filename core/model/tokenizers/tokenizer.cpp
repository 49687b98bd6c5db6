// SPDX-License-Identifier: Apache-2.0

// The table of tokenizers, and what all of them share.
#include "core/model/tokenizers/tokenizer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/formats/foreign_file.hpp"
#include "core/model/formats/gguf.hpp"
#include "core/model/tokenizers/gguf_tokenizer.hpp"
#include "core/model/tokenizers/huggingface_tokenizer.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "core/model/tokenizers/rwkv_world.hpp"
#include "core/model/tokenizers/sentencepiece_file.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/tokenizer_json.hpp"

namespace perdure {
namespace {

struct TokenizerKind {
  bool (*recognises)(std::span<const std::byte> file);
  std::unique_ptr<const Tokenizer> (*read)(MappedFile file, const ModelInfo& model);
};

// One line each, asked in this order.
constexpr TokenizerKind kKinds[] = {
    {is_gguf, read_gguf_tokenizer},
    {is_rwkv_world, read_rwkv_world_tokenizer},
    {is_sentencepiece_model, read_sentencepiece_tokenizer},
    {is_json, read_huggingface_tokenizer},
};

}  // namespace

std::unique_ptr<const Tokenizer> open_tokenizer(const std::string& path, const ModelInfo& model) {
  MappedFile file(path);
  const auto* kind = std::ranges::find_if(
      kKinds, [&](const TokenizerKind& k) { return k.recognises(file.bytes()); });
  if (kind != std::end(kKinds)) return kind->read(std::move(file), model);
  refuse_foreign_file(file.bytes(), path, Wanted::kTokenizer);
  return read_llama2c_tokenizer(std::move(file), model);  // has no mark
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool bos, bool eos) const {
  std::vector<int32_t> ids = encode_text(text, true);
  if (bos && bos_id() >= 0) ids.insert(ids.begin(), bos_id());
  if (eos && !eos_ids().empty()) ids.push_back(eos_ids().front());
  return ids;
}

bool Tokenizer::is_special(int32_t id) const {
  return id == bos_id() || std::ranges::count(eos_ids(), id) > 0;
}

}  // namespace perdure
