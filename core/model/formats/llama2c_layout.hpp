// SPDX-License-Identifier: Apache-2.0

// The checkpoints of the llama2.c family: header fields and the order of tensors in each of the
// four kinds of file. One description, walked by the reader and by the writer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace perdure {

enum class Llama2cKind { kV0, kV1, kV2, kV2Mem };

struct Llama2cHeader {
  Llama2cKind kind = Llama2cKind::kV0;
  int64_t dim = 0, hidden_dim = 0, n_layers = 0, n_heads = 0, n_kv_heads = 0, vocab_size = 0,
          seq_len = 0;
  int64_t mem_len = 0;     // kV2Mem only
  bool shared = true;      // the token embedding is the classifier
  int64_t group_size = 0;  // kV2 and kV2Mem: values per scale

  int64_t head_size() const { return dim / n_heads; }
  int64_t kv_size() const { return n_kv_heads * head_size(); }
  bool quantised() const { return kind == Llama2cKind::kV2 || kind == Llama2cKind::kV2Mem; }
};

inline constexpr uint32_t kLlama2cMagic = 0x616B3432;
inline constexpr int64_t kLlama2cHeaderBytes = 256;  // of v1 and later
inline constexpr int64_t kLlama2cV0HeaderBytes = 28;

// One tensor of a file: [rows, columns], F32, or Q80 with its scales directly behind.
struct Llama2cTensor {
  std::string name;  // as in model.hpp; empty: floats that nobody reads
  int64_t rows = 0, columns = 0;
  bool quantised = false;
};

// All tensors in the order of the file. Requires: a valid header (llama2c.hpp).
std::vector<Llama2cTensor> llama2c_layout(const Llama2cHeader& header);

}  // namespace perdure
