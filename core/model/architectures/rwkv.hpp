// SPDX-License-Identifier: Apache-2.0

// From the tensors of an RWKV file to a Model. Readers of formats (safetensors, rwkv.cpp, Hugging
// Face folders) bring tensors under BlinkDL's names and say in which form their values are; here
// the version is recognised by the names, shapes are checked, and the weights get the one form that
// the strategy `rwkv` computes with. Notation: L layers, C = hidden size, H heads of N = C / H, F
// the width of the channel mix, V the vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/model.hpp"

namespace perdure {

// What the names of BlinkDL's checkpoints begin with, and no others.
inline constexpr std::string_view kRwkvTensorPrefix = "blocks.0.att.";

// Of the norm of the heads' results, in everything BlinkDL trained.
inline constexpr double kRwkvGroupNormEps = 64e-5;

// Before it a head's state is no matrix, and cannot be tuned.
inline constexpr int64_t kFirstVersionWithMatrices = 5;

// A tensor as its file has it; data is borrowed. `weight.rows` and `weight.columns` are not read:
// a matrix is [shape[0], shape[1]], of a vector only the number of values counts, so that [C],
// [1, 1, C] and [H, N, 1] are the same.
struct RwkvTensor {
  std::vector<int64_t> shape;  // outermost first, as torch prints it
  Weight weight;               // type, data; for Q80 scales and group size
};

// The result of a reader.
struct RwkvFile {
  std::string path;    // stands in messages
  std::string format;  // for people: "safetensors", "rwkv.cpp 101"
  // "blocks.0.att.key.weight": names as BlinkDL's checkpoints have them.
  std::map<std::string, RwkvTensor, std::less<>> tensors;
  // Values as rwkv.cpp's converter leaves them:
  //   4    att.time_decay is -exp(time_decay)
  //   5.0  att.time_decay is exp(-exp(time_decay)), att.time_first is exp(time_first)
  //   5.1, 5.2  att.time_decay is exp(-exp(time_decay)), att.time_faaaa as it was
  //   6    att.time_decay as it was; att.time_maa_w1 [5D, C], att.time_decay_w1 [E, C] and
  //        att.time_decay_w2 [C, E] are transposed, and so is each of att.time_maa_w2 [5, C, D]
  //   7    att.w1, w2, a1, a2, v1, v2, g1, g2 are transposed; att.x_rwkvag [6, 1, C] is in the
  //        place of att.x_r, x_w, x_k, x_v, x_a, x_g
  bool converted = false;
  // By version (4, 5, 6 or 7) and size of a head; called once, while the model is made.
  std::function<double(int64_t version, int64_t head_size)> group_norm_eps = [](int64_t, int64_t) {
    return kRwkvGroupNormEps;
  };
};

// The model. Its weights borrow from the file's bytes, except for vectors and what had to be
// transposed, which it owns. Errors: Error, one sentence with the path and the tensor: missing, of
// another shape than the others ask for, of a type that has no kernel; a variant that is not
// supported, by its name.
Model rwkv_model(const RwkvFile& file);

// A layer's first state [H, N values, N keys], F32, F16 or BF16, as `wkv_start` below has it.
// `path` and `name` stand in messages. Errors: Error for another shape, and for values that are not
// finite or beyond 1e30.
std::vector<float> rwkv_first_state(const RwkvTensor& tensor, const std::string& path,
                                    const std::string& name, int64_t n_heads, int64_t head_size);

// Makes the states of a safetensors file, blocks.N.att.time_state of every layer, those that the
// model's sessions begin with. Metadata "rwkv_version", if it is there, is the model's ("7").
// Errors: UsageError for a model of version 4; Error with the path and the tensor that is missing,
// of another shape, damaged, or no state of this model; for files that are none of these, what they
// are.
void set_rwkv_initial_state(Model& model, const std::string& path);

// What comes out: ModelInfo has num_attention_heads = H (1 in version 4), head_size = N (C),
// num_key_value_heads = 0: there are no keys to attend to; sizes["rwkv.version"] = 4, 5, 6 or 7,
// reals["rwkv.group_norm_eps"] from version 5 on. Names of weights, GGUF's where it has one, and
// their shapes [out, in]; vectors are F32:
//
//   token_embd.weight [V, C]           token_embd_norm.weight, .bias [1, C]       (emb, ln0)
//   output_norm.weight, .bias [1, C]   output.weight [V, C]                       (ln_out, head)
//   attn_norm.weight, .bias [1, C]     attn_norm_2.weight, .bias [1, C]           (ln1, ln2)
//   time_mix_{receptance,key,value,output}.weight [C, C]
//   time_mix_ln.weight, .bias [1, C]   from 5 on (ln_x)
//   time_mix_gate.weight [C, C]        5.1, 5.2, 6
//   channel_mix_key.weight [F, C]      channel_mix_value.weight [C, F]
//   channel_mix_receptance.weight [C, C]   not in 7
//
// A shifted input is x + (previous - x) * m, m a row of these (1 - time_mix_* in 4 and 5):
//
//   time_mix_lerp [n, C]               4: k v r; 5.0: k v r; 5.1, 5.2: k v r g; 6: x w k v r g;
//                                      7: r w k v a g
//   channel_mix_lerp [n, C]            4 to 6: k r; 7: k
//
//   time_mix_decay [1, C]              4: log of the decay (negative); 5: the decay itself, one
//                                      value for each channel; 6: before exp(-exp(.))
//   time_mix_first [1, C]              4: log of the bonus; 5, 6: the bonus, for each channel
//   time_mix_w1.weight [5D, C]         6; time_mix_w2.weight [5C, D]: those of w, k, v, r, g
//   time_mix_decay_w1.weight [E, C]    6; time_mix_decay_w2.weight [C, E]
//   time_mix_{w,a,v}0 [1, C]           7; v only in layers from 1 on
//   time_mix_{w,a,v,g}1.weight [D, C]  7; time_mix_{w,a,v,g}2.weight [C, D]
//   time_mix_{k_k,k_a,r_k} [1, C]      7
//   wkv_start [C, N]                   5 to 7, where the file has att.time_state: the first state,
//                                      rows are key channels
//
// blk.N stands before those of layer N.

}  // namespace perdure
