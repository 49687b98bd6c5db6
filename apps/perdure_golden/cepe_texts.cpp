// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/cepe_texts.hpp"

namespace perdure::golden {

Tokens unmasked(std::span<const int32_t> tokens, std::span<const int32_t> mask) {
  Tokens kept;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (mask.empty() || mask[i] != 0) kept.push_back(tokens[i]);
  return kept;
}

std::vector<float> all_logits(Engine& engine, Session& session, std::span<const int32_t> tokens,
                              Feed::Logits which) {
  std::vector<float> all;
  const Feed one[] = {{&session, tokens, which}};
  engine.feed(one, [&](size_t, size_t, std::span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  });
  return all;
}

Texts::Texts(const Case& golden)
    : golden_(golden),
      n_texts_(size("input_ids", 0)),
      length_(size("input_ids", 1)),
      n_chunks_(golden.has("encoder_input_ids") ? size("encoder_input_ids", 1) : 0),
      chunk_(n_chunks_ > 0 ? size("encoder_input_ids", 2) : 0) {}

Tokens Texts::text(size_t number, const std::string& mask) const {
  return unmasked(rows("input_ids", length_, number), rows(mask, length_, number));
}

std::vector<Tokens> Texts::chunks(size_t number, const std::string& mask,
                                  const Tokens& query) const {
  std::vector<Tokens> chunks;
  for (size_t c = 0; c < n_chunks_; ++c) {
    const size_t row = number * n_chunks_ + c;
    Tokens chunk = unmasked(rows("encoder_input_ids", chunk_, row), rows(mask, chunk_, row));
    if (chunk.empty()) continue;
    chunk.insert(chunk.end(), query.begin(), query.end());
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

size_t Texts::size(const std::string& tensor, size_t axis) const {
  return static_cast<size_t>(golden_.tensor(tensor).shape.at(axis));
}

std::span<const int32_t> Texts::rows(const std::string& tensor, size_t n, size_t number) const {
  if (!golden_.has(tensor)) return {};
  return rows_of(golden_.tensor(tensor).integers, n, number, 1);
}

}  // namespace perdure::golden
