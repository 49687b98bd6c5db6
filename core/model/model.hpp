// SPDX-License-Identifier: Apache-2.0

// A model: what it is (ModelSpec) and its weights as borrowed views into mapped files. Formats:
// llama2.c v0, v1, v2, llama2Rnn v2 with memory, safetensors with a small JSON beside it, GGUF,
// Hugging Face folders. Says nothing about how the model is run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/strategy.hpp"
#include "core/api/types.h"
#include "core/base/mapped_file.hpp"

namespace perdure {

// A weight matrix [rows, columns], row-major (vectors: rows = 1). Both pointers may be unaligned.
struct Weight {
  perdure_dtype dtype = PERDURE_F32;
  int64_t rows = 0, columns = 0;
  const void* data = nullptr;
  const void* scales = nullptr;  // Q80: F32 per group of the flattened matrix
  int64_t group_size = 0;

  int64_t size() const { return rows * columns; }
};

struct ModelOption {
  std::string value;  // as in YAML
  // Another of the model's options that this one belongs to ("rope_scaling"), or nothing: given up
  // where a configuration sets that one to another value.
  std::string belongs_to = {};
};

struct ModelSpec {
  std::string architecture = "llama";  // core/model/architectures
  std::string format;  // "llama2.c v0", "llama2Rnn v2", "safetensors", ... for people
  ModelInfo info;
  int64_t intermediate_size = 0;  // width of the feed-forward
  // Options that are the model's own, such as its rope_scaling: they take the place of the defaults
  // of a strategy's options of these names.
  std::map<std::string, ModelOption> strategy_options;
  // Hash of the state that sessions begin with, where it came from a file of its own
  // (model.initial_state); else empty.
  std::string initial_state;
  // What a safetensors model's JSON said under llama2Rnn's own names, verbatim scalars as text
  // ("extend_method" -> "memlayer1_interpolation"); empty for .bin files.
  std::map<std::string, std::string> llama2rnn_args;
};

// Names of weights (GGUF's where it has one) and their shapes, [out, in]; blk.N stands before those
// of layer N. d = hidden_size, h = intermediate_size, kv = num_key_value_heads * head_size:
//
//   token_embd.weight [V, d]
//   output.weight [V, d]            absent: token_embd is the classifier
//   output_norm.weight [1, d]
//   attn_norm.weight [1, d]
//   attn_q.weight [d, d]            attn_k.weight, attn_v.weight [kv, d]
//                                   ConcatPE: of d + head_size columns, the last for the place
//   attn_output.weight [d, d]
//   ffn_norm.weight [1, d]
//   ffn_gate.weight [h, d]          ffn_up.weight [h, d]   ffn_down.weight [d, h]   (w1, w3, w2)
//
// Memory attention, where the model has them:
//
//   mem_init [M, d]                 F32; zeros where the file leaves it out
//   mem_wm.weight [d, d]
//   mem_norm.weight [1, d]          mem_ffn_norm.weight [1, d]
//   mem_ffn_gate.weight [h, d]      mem_ffn_up.weight [h, d]   mem_ffn_down.weight [d, h]
//   mem_k.weight, mem_v.weight [kv, d]    absent: attn_k and attn_v serve the memory too
//
// Where the architecture has them, beside any `X.weight` [out, in] its `X.bias` [1, out], and norms
// of the heads of queries and keys, one head's values repeated for all of them:
//
//   attn_q_norm.weight [1, heads * head_size]    attn_k_norm.weight [1, kv]
//
// ChunkLSTM, in the place of attn_q, attn_k and attn_v:
//
//   lstm_h, lstm_c [M, d]           lstm_reduce [M, M], not yet masked to its lower triangle
//   lstm_{ii,hi,if,hf,ig,hg,io,ho}.weight [d, d]
//
// Norms, biases, mem_init and the three LSTM states are F32 in every model; matrices are F32, F16,
// BF16, Q80 or in GGUF's blocks. A weight that the model's options leave unused is not listed.
class Model {
 public:
  // Maps and validates a file. `.safetensors` needs the JSON of the same name beside it.
  // Errors: Error, one sentence with the path and the byte offset (or JSON key) of what is wrong.
  // Never uses more memory than the file's size + 64 MiB.
  // `initial_state`, if not empty, names a file with the state that sessions begin with
  // (model.initial_state). Errors: UsageError if models of this architecture take none, Error with
  // its path if it does not fit the model.
  static Model open(const std::string& path, const std::string& initial_state = "");

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelSpec& spec() const { return spec_; }
  // nullptr if there is none of that name. Valid as long as the model.
  const Weight* find(std::string_view name) const;
  const std::map<std::string, Weight, std::less<>>& weights() const { return weights_; }

  // Puts an F32 matrix in the place of (or beside) a weight; the model owns the data.
  // Errors: Error if rows and columns do not fit the data.
  void replace(const std::string& name, int64_t rows, int64_t columns, std::vector<float> data);
  // The same for a weight of any type: `weight` gives type, shape and group size, its pointers are
  // not read; `scales` for Q80. Errors: Error if data or scales do not fit them.
  void replace(const std::string& name, const Weight& weight, std::vector<std::byte> data,
               std::vector<float> scales = {});

  // The files that weights lie in; empty for a model made of bytes.
  std::span<const MappedFile> files() const;
  // A sentence if one of them was written to since the model was opened: what has been computed by
  // then may belong to neither contents. Any thread.
  std::optional<std::string> changed_on_disk() const;
  // Errors: Error with that sentence.
  void require_unchanged() const;

  // Hash of names, shapes, types and contents of all weights: part of a memory's identity. Computed
  // on first use and kept: reads every weight once, or finds the hash of an unchanged large file
  // in the user's cache folder (weights_hash.hpp). What came from an initial state's file is not
  // in it: that has a hash of its own. Any thread, unless one replaces weights.
  const std::string& weights_hash() const;

 private:
  friend class ModelBuilder;  // the readers' back door, core/model/builder.hpp
  Model();
  struct Storage;  // the mapped files and owned copies
  std::unique_ptr<Storage> storage_;
  ModelSpec spec_;
  std::map<std::string, Weight, std::less<>> weights_;
};

}  // namespace perdure
