// SPDX-License-Identifier: Apache-2.0

#include "core/engine/contexts.hpp"

#include <algorithm>

#include "core/api/error.hpp"

namespace perdure {

InputStream context_stream(const Engine& engine) {
  for (InputStream& stream : engine.input_streams())
    if (stream.name == kContextStream) return stream;
  throw UsageError("attention.strategy: " + engine.settings().attention.choice.strategy +
                   " reads no contexts; they need parallel_encoding and a model for it");
}

std::vector<std::vector<int32_t>> split_tokens(std::span<const int32_t> tokens, int64_t size) {
  std::vector<std::vector<int32_t>> chunks;
  while (!tokens.empty()) {
    const auto chunk = tokens.first(std::min(tokens.size(), static_cast<size_t>(size)));
    chunks.emplace_back(chunk.begin(), chunk.end());
    tokens = tokens.subspan(chunk.size());
  }
  return chunks;
}

std::vector<std::vector<int32_t>> context_chunks(const InputStream& stream,
                                                 std::span<const int32_t> tokens,
                                                 std::span<const int32_t> query) {
  auto chunks = split_tokens(tokens, stream.max_chunk - stream.query);
  for (auto& chunk : chunks) chunk.insert(chunk.end(), query.begin(), query.end());
  return chunks;
}

}  // namespace perdure
