// SPDX-License-Identifier: Apache-2.0

// A model with a vocabulary as large as real ones have, and little else: one layer of random
// weights, written as a llama2.c file.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

namespace perdure::testing {

// Writes it to `path`: `vocab_size` tokens, 8 values per token.
inline void write_wide_model(const std::filesystem::path& path, int32_t vocab_size) {
  constexpr int32_t kDim = 8, kHidden = 8, kLayers = 1, kHeads = 2, kLength = 64;
  std::ofstream file(path, std::ios::binary);
  const int32_t header[] = {kDim, kHidden, kLayers, kHeads, kHeads, vocab_size, kLength};
  file.write(reinterpret_cast<const char*>(header), sizeof header);
  std::mt19937 random(3);
  const auto write = [&](int64_t count, float middle) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values)
      v = middle + (static_cast<float>(random() % 2001) - 1000.0f) / 1000.0f * 0.3f;
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
  };
  write(int64_t{vocab_size} * kDim, 0);                  // token embedding and classifier
  write(kDim, 1);                                        // norm before attention
  for (int i = 0; i < 4; ++i) write(kDim * kDim, 0);     // wq, wk, wv, wo
  write(kDim, 1);                                        // norm before feed-forward
  for (int i = 0; i < 3; ++i) write(kDim * kHidden, 0);  // w1, w2, w3
  write(kDim, 1);                                        // last norm
  write(kLength * (kDim / kHeads), 0);                   // rotation tables, which nobody reads
}

}  // namespace perdure::testing
