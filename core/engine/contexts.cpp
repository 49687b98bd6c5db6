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

std::vector<std::vector<int32_t>> context_chunks(const InputStream& stream,
                                                 std::span<const int32_t> tokens,
                                                 std::span<const int32_t> query) {
  const auto size = static_cast<size_t>(stream.max_chunk - stream.query);
  std::vector<std::vector<int32_t>> chunks;
  for (size_t first = 0; first < tokens.size(); first += size) {
    const auto part = tokens.subspan(first, std::min(size, tokens.size() - first));
    auto& chunk = chunks.emplace_back(part.begin(), part.end());
    chunk.insert(chunk.end(), query.begin(), query.end());
  }
  return chunks;
}

}  // namespace perdure
