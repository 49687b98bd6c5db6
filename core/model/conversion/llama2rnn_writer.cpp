// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/llama2rnn_writer.hpp"

#include <string_view>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/conversion/llama_family.hpp"
#include "core/model/conversion/safetensors_stream.hpp"
#include "core/model/conversion/scalar_json.hpp"
#include "core/model/formats/llama_names.hpp"
#include "core/model/formats/safetensors_model.hpp"

namespace perdure {
namespace {

constexpr const char* kTarget = "a safetensors file of llama2Rnn";

struct Renaming {
  std::string_view ours, theirs;
};

// Behind "blk.N." and behind "layers.N.attention.".
constexpr Renaming kMemory[] = {
    {"mem_init", "origin_mem"},
    {"mem_wm.weight", "wm.weight"},
    {"mem_norm.weight", "memory_norm.weight"},
    {"mem_k.weight", "wkm.weight"},
    {"mem_v.weight", "wvm.weight"},
    {"mem_ffn_norm.weight", "ffn_norm.weight"},
    {"mem_ffn_gate.weight", "feed_forward.w1.weight"},
    {"mem_ffn_down.weight", "feed_forward.w2.weight"},
    {"mem_ffn_up.weight", "feed_forward.w3.weight"},
    {"lstm_h", "h"},
    {"lstm_c", "c"},
    {"lstm_reduce", "reduce"},
    {"lstm_ii.weight", "wii.weight"},
    {"lstm_hi.weight", "whi.weight"},
    {"lstm_if.weight", "wif.weight"},
    {"lstm_hf.weight", "whf.weight"},
    {"lstm_ig.weight", "wig.weight"},
    {"lstm_hg.weight", "whg.weight"},
    {"lstm_io.weight", "wio.weight"},
    {"lstm_ho.weight", "who.weight"},
};

// They are F32 in every file.
bool is_initial_state(std::string_view name) {
  return name.ends_with(".mem_init") || name.ends_with(".lstm_h") || name.ends_with(".lstm_c") ||
         name.ends_with(".lstm_reduce");
}

[[noreturn]] void refuse(const std::string& what) {
  throw Error(std::string(kTarget) + " cannot hold " + what + " of the model");
}

// "blk.3.mem_init" -> "layers.3.attention.origin_mem". Errors: Error for a weight of another kind.
std::string name_in_file(const std::string& name) {
  const size_t dot = name.find('.', name.find('.') + 1);
  if (name.starts_with("blk.") && dot != name.npos)
    for (const auto& [ours, theirs] : kMemory)
      if (name.compare(dot + 1, name.npos, ours) == 0)
        return "layers." + name.substr(4, dot - 4) + ".attention." + std::string(theirs);
  const std::string renamed = kLlama2cNames.in_file(name);
  const bool has_place = renamed != name || name == "output.weight";
  if (!has_place || name.ends_with(".bias")) refuse("the weight " + name);
  return renamed;
}

StreamedTensor tensor_of(const Model& model, const std::string& name, const Weight& weight,
                         std::optional<perdure_dtype> dtype) {
  StreamedTensor tensor{.name = name_in_file(name),
                        .shape = {weight.columns},
                        .weight = weight,
                        .dtype = weight.dtype};
  if (weight.rows > 1) tensor.shape.push_back(weight.rows);
  tensor.order = row_order(model.spec().info, name, RotationOrder::kAdjacentPairs);
  if (is_quantised(weight.dtype)) tensor.dtype = PERDURE_F32;
  if (dtype && weight.rows > 1 && !is_initial_state(name)) tensor.dtype = *dtype;
  return tensor;
}

Json::Map given_options(const Model& model) {
  Json::Map args;
  for (const auto& [name, value] : model.spec().llama2rnn_args)
    args.emplace_back(name, scalar_json(value));
  return args;
}

Json::Map options_of(const Model& model) {
  const ModelSpec& spec = model.spec();
  const ModelInfo& info = spec.info;
  Json::Map args = {member("dim", info.hidden_size),
                    member("n_layers", info.num_hidden_layers),
                    member("n_heads", info.num_attention_heads),
                    member("n_kv_heads", info.num_key_value_heads),
                    member("hidden_dim", spec.intermediate_size),
                    member("vocab_size", info.vocab_size),
                    member("max_seq_len", info.train_length),
                    member("norm_eps", info.rms_norm_eps),
                    member("theta", info.rope_theta)};
  if (info.mem_len == 0) return args;
  const auto has = [&](const char* name) {
    return model.find(std::string("blk.0.") + name) != nullptr;
  };
  const Json::Map memory = {member("attention_type", "memory_attention"),
                            member("memseqlen", info.mem_len),
                            member("train_orimem", true),
                            member("do_wm", has("mem_wm.weight")),
                            member("do_memory_ffn", has("mem_ffn_norm.weight")),
                            member("memory_norm", has("mem_norm.weight")),
                            member("reuse_kv", !has("mem_k.weight"))};
  args.insert(args.end(), memory.begin(), memory.end());
  return args;
}

std::string options_text(const Model& model) {
  Json::Map args = model.spec().llama2rnn_args.empty() ? options_of(model) : given_options(model);
  return json_text(object({member("args", object(std::move(args)))})) + "\n";
}

// What is read back must be what was to be written.
void require_same(const Model& model, const SafetensorsWriter& writer, const std::string& options,
                  const std::string& path) {
  const MappedFile file(writer.unfinished_path());
  const Model written = read_safetensors_model(file.bytes(), options, path);
  require_same_model(model.spec(), written.spec(), kTarget);
  if (model.spec().info.mem_len != written.spec().info.mem_len) refuse("the length of the memory");
  for (const auto& [name, weight] : model.weights())
    if (written.find(name) == nullptr) refuse("the weight " + name);
}

}  // namespace

bool write_llama2rnn(const Model& model, const std::string& path,
                     std::optional<perdure_dtype> dtype, FileRules rules,
                     const KeepGoing& keep_going) {
  require_llama_family(model);
  std::vector<StreamedTensor> tensors;
  for (const auto& [name, weight] : model.weights())
    tensors.push_back(tensor_of(model, name, weight, dtype));
  const std::string options = options_text(model);
  NewFile json(safetensors_options_path(path), rules);
  json.write(std::as_bytes(std::span(options)));
  SafetensorsWriter writer(path, declared(tensors), rules);
  if (!stream_tensors(tensors, model, writer, keep_going)) return false;
  require_same(model, writer, options, path);
  model.require_unchanged();
  writer.close();
  json.commit();
  return true;
}

}  // namespace perdure
