// SPDX-License-Identifier: Apache-2.0

// A model: what it is (ModelSpec) and its weights as borrowed views into a mapped file. Formats: llama2.c v0, v1, v2,
// llama2Rnn v2 with memory, safetensors with a small JSON beside it. Says nothing about how the model is run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/strategy.hpp"
#include "core/api/types.h"
#include "core/base/buffer.hpp"

namespace perdure {

// A weight matrix [rows, columns] (vectors: rows = 1), row-major. `data` and `scales` may be unaligned.
struct Weight {
  perdure_dtype dtype = PERDURE_F32;
  int64_t rows = 0, columns = 0;
  const void* data = nullptr;
  const void* scales = nullptr;  // Q80: F32 per group of the flattened matrix
  int64_t group_size = 0;

  int64_t size() const { return rows * columns; }
};

struct ModelSpec {
  std::string architecture = "llama";
  std::string format;             // "llama2.c v0", "llama2Rnn v2", "safetensors", ... for people
  ModelInfo info;
  int64_t intermediate_size = 0;  // width of the feed-forward
  // What a safetensors model's JSON said under llama2Rnn's own names, verbatim scalars as text
  // ("extend_method" -> "memlayer1_interpolation"); empty for .bin files.
  std::map<std::string, std::string> llama2rnn_args;
};

// Names of weights (GGUF's where it has one), shapes [out, in]:
//   token_embd.weight [V, d]   output_norm.weight [1, d]   output.weight [V, d] (absent: token_embd is the classifier)
//   blk.N.attn_norm.weight [1, d]  blk.N.attn_q.weight [H*hs, d]  attn_k, attn_v [G*hs, d]  attn_output [d, H*hs]
//   blk.N.ffn_norm.weight [1, d]   blk.N.ffn_gate.weight [h, d]   ffn_up [h, d]   ffn_down [d, h]     (w1, w3, w2)
// memory attention: blk.N.mem_init [M, d] (F32), and if the model has them blk.N.mem_wm.weight [d, d],
//   mem_norm.weight, mem_ffn_norm.weight [1, d], mem_ffn_gate/up/down.weight, mem_k.weight, mem_v.weight [G*hs, d]
// ChunkLSTM: blk.N.lstm_h, lstm_c [M, d], lstm_reduce [M, M], lstm_{ii,hi,if,hf,ig,hg,io,ho}.weight [d, d]
// A weight that the model's options leave unused (reuse_kv, do_memory_ffn off, ...) is not listed.
class Model {
 public:
  // Maps and validates a file. `.safetensors` needs the JSON of the same name beside it.
  // Errors: Error, one sentence with the path and the byte offset (or JSON key) of what is wrong. Never uses more
  // memory than the file's size + 64 MiB.
  static Model open(const std::string& path);

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelSpec& spec() const { return spec_; }
  // nullptr if there is none of that name. Valid as long as the model.
  const Weight* find(std::string_view name) const;
  const std::map<std::string, Weight, std::less<>>& weights() const { return weights_; }

  // Puts an F32 matrix in the place of (or beside) a weight; the model owns the copy. For tests and tools.
  void replace(const std::string& name, int64_t rows, int64_t columns, std::vector<float> data);

  // Hash of names, shapes, types and contents of all weights: part of a memory's identity. Reads every weight once;
  // computed on first use and kept. Thread safety: call from one thread first.
  const std::string& weights_hash() const;

 private:
  friend class ModelBuilder;  // the readers' back door, core/model/builder.hpp
  Model();
  struct Storage;  // the mapped file and owned copies
  std::unique_ptr<Storage> storage_;
  ModelSpec spec_;
  std::map<std::string, Weight, std::less<>> weights_;
};

}  // namespace perdure
