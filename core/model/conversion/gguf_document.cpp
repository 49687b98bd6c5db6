// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/gguf_document.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/base/letters.hpp"
#include "core/model/conversion/gguf_vocabulary_keys.hpp"
#include "core/model/conversion/llama_family.hpp"
#include "core/model/formats/gguf.hpp"

namespace perdure {
namespace {

// What llama.cpp calls a file whose matrices are of a type (enum llama_ftype). It has no name for
// one of Q4_K or Q5_K alone; a file that does not say and is mostly of these is Q4_K_M or Q5_K_M.
struct StoredType {
  perdure_dtype dtype;
  uint32_t file_type;
};

constexpr StoredType kTypes[] = {
    {PERDURE_F32, 0},   {PERDURE_F16, 1},   {PERDURE_BF16, 32}, {PERDURE_Q8_0, 7},
    {PERDURE_Q4_0, 2},  {PERDURE_Q4_1, 3},  {PERDURE_Q5_0, 8},  {PERDURE_Q5_1, 9},
    {PERDURE_Q4_K, 15}, {PERDURE_Q5_K, 17}, {PERDURE_Q6_K, 18},
};

// --- From GGUF files. ---

bool lies_in_gguf(const Model& model) {
  return !model.files().empty() && is_gguf(model.files().front().bytes());
}

StreamedTensor tensor_as_it_is(std::string_view name, const GgufTensor& tensor) {
  int64_t rows = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) rows *= tensor.shape[i];
  return {.name = std::string(name),
          .shape = tensor.shape,
          .weight = {.dtype = tensor.dtype,
                     .rows = rows,
                     .columns = tensor.columns(),
                     .data = tensor.bytes.data()},
          .dtype = tensor.dtype};
}

template <class T>
std::vector<std::pair<std::string_view, const T*>> by_offset(
    const std::map<std::string_view, T>& map) {
  std::vector<std::pair<std::string_view, const T*>> entries;
  for (const auto& [name, value] : map) entries.emplace_back(name, &value);
  std::ranges::sort(entries, {}, [](const auto& entry) { return entry.second->offset; });
  return entries;
}

GgufDocument document_of_files(const Model& model) {
  GgufDocument document;
  document.bos_id = model.spec().info.bos_id;
  document.eos_ids = model.spec().info.eos_ids;
  for (const MappedFile& file : model.files()) {
    const Gguf part(file.bytes(), file.path());
    // The split and the alignment were the old files'.
    if (&file == &model.files().front())
      for (const auto& [key, value] : by_offset(part.metadata()))
        if (!key.starts_with("split.") && key != "general.alignment")
          document.keys.set(std::string(key), *value);
    for (const auto& [name, tensor] : by_offset(part.tensors()))
      document.tensors.push_back(tensor_as_it_is(name, *tensor));
  }
  return document;
}

// --- From other models of llama's family. ---

struct FamilyName {
  const char* name;
  RotationOrder order;
};

FamilyName name_of(LlamaFamily family) {
  constexpr FamilyName kNames[] = {{"llama", RotationOrder::kAdjacentPairs},
                                   {"qwen2", RotationOrder::kHalves},
                                   {"qwen3", RotationOrder::kHalves}};
  return kNames[static_cast<size_t>(family)];
}

class LlamaWriter {
 public:
  LlamaWriter(const Model& model, const std::string& tokenizer)
      : llama_(model, "a GGUF file"), name_(name_of(llama_.family())), tokenizer_(tokenizer) {}

  GgufDocument run() {
    document_.tensors = llama_.tensors(name_.order, true);
    document_.keys.set_text("general.architecture", name_.name);
    set_sizes();
    set_scaling();
    if (llama_.window() > 0) set("attention.sliding_window", llama_.window());
    add_vocabulary_keys(llama_.spec().info, tokenizer_, document_);
    return std::move(document_);
  }

 private:
  std::string key(const char* name) const { return std::string(name_.name) + "." + name; }

  void set(const char* name, int64_t value) {
    if (value < 0 || value > INT64_C(0xffffffff))
      llama_.refuse(key(name) + " " + std::to_string(value));
    document_.keys.set_whole(key(name), static_cast<uint32_t>(value));
  }
  void set_real(const char* name, double value) {
    document_.keys.set_real(key(name), static_cast<float>(value));
  }

  void set_sizes() {
    const ModelInfo& info = llama_.spec().info;
    set("block_count", info.num_hidden_layers);
    set("context_length", info.train_length);
    set("embedding_length", info.hidden_size);
    set("feed_forward_length", llama_.spec().intermediate_size);
    set("attention.head_count", info.num_attention_heads);
    set("attention.head_count_kv", info.num_key_value_heads);
    set("attention.key_length", info.head_size);
    set("attention.value_length", info.size_of_values());
    set("rope.dimension_count", info.rotated_size());
    set("vocab_size", info.vocab_size);
    set_real("attention.layer_norm_rms_epsilon", info.rms_norm_eps);
    set_real("rope.freq_base", info.rope_theta);
  }

  void set_scaling() {
    const std::string form = llama_.scaling();
    if (form.empty()) return;
    if (form == "linear") return set_linear();
    if (form == "yarn") return set_yarn();
    if (form == "longrope") return set_longrope();
    if (form == "llama3") return set_llama3();
    llama_.refuse("the rope_scaling " + form);
  }

  double needed(const char* name) const {
    const auto value = llama_.parameter(name);
    if (!value) llama_.refuse("the rope_scaling without a " + std::string(name));
    return *value;
  }

  void set_factor(const char* type) {
    document_.keys.set_text(key("rope.scaling.type"), type);
    set_real("rope.scaling.factor", needed("factor"));
  }

  void set_linear() { set_factor("linear"); }

  void set_yarn() {
    set_factor("yarn");
    if (llama_.spec().strategy_options.contains("truncate"))
      llama_.refuse("the rope_scaling with truncate: false");
    if (const auto length = llama_.parameter("original_max_position_embeddings"))
      set("rope.scaling.original_context_length", static_cast<int64_t>(*length));
    if (const auto fast = llama_.parameter("beta_fast"))
      set_real("rope.scaling.yarn_beta_fast", *fast);
    if (const auto slow = llama_.parameter("beta_slow"))
      set_real("rope.scaling.yarn_beta_slow", *slow);
    // YaRN's own temperature is on top of what the file says.
    if (const auto attention = llama_.parameter("attention_factor"))
      set_real("rope.scaling.attn_factor",
               *attention / (1.0 + 0.1 * std::log(std::max(1.0, needed("factor")))));
  }

  void set_longrope() {
    document_.keys.set_text(key("rope.scaling.type"), "longrope");
    set("rope.scaling.original_context_length",
        static_cast<int64_t>(needed("original_max_position_embeddings")));
    set_real("rope.scaling.attn_factor", needed("attention_factor"));
    add_vector("rope_factors_long.weight", llama_.parameters("long_factor"));
    add_vector("rope_factors_short.weight", llama_.parameters("short_factor"));
  }

  // As its result: the divisor of every frequency.
  void set_llama3() {
    const double factor = needed("factor"), length = needed("original_max_position_embeddings");
    const double low = needed("low_freq_factor"), high = needed("high_freq_factor");
    const ModelInfo& info = llama_.spec().info;
    const auto size = static_cast<double>(info.rotated_size());
    std::vector<float> divisors;
    for (int64_t i = 0; i < info.rotated_size() / 2; ++i) {
      const double wavelength =
          2 * std::numbers::pi * std::pow(info.rope_theta, 2.0 * static_cast<double>(i) / size);
      const double kept = std::clamp((length / wavelength - low) / (high - low), 0.0, 1.0);
      divisors.push_back(static_cast<float>(1.0 / ((1.0 - kept) / factor + kept)));
    }
    add_vector("rope_freqs.weight", std::move(divisors));
  }

  void add_vector(const char* name, std::vector<float> values) {
    const std::vector<float>& kept = document_.owned.emplace_back(std::move(values));
    const auto n = static_cast<int64_t>(kept.size());
    document_.tensors.push_back(
        {.name = name, .shape = {n}, .weight = {.rows = 1, .columns = n, .data = kept.data()}});
  }

  LlamaExport llama_;
  FamilyName name_;
  const std::string& tokenizer_;
  GgufDocument document_;
};

// --- Types. ---

// ggml's quantiser leaves them alone: they are small, and much depends on them.
bool is_never_quantised(std::string_view name) {
  static constexpr std::array<std::string_view, 16> kNames = {
      "time_mix_first", "time_mix_w0",    "time_mix_w1",   "time_mix_w2",
      "time_mix_v0",    "time_mix_v1",    "time_mix_v2",   "time_mix_a0",
      "time_mix_a1",    "time_mix_a2",    "time_mix_g0",   "time_mix_g1",
      "time_mix_g2",    "time_mix_decay", "time_mix_lerp", "norm.weight"};
  return std::ranges::any_of(kNames, [&](auto part) { return name.find(part) != name.npos; });
}

bool is_vector(const StreamedTensor& tensor) {
  return std::ranges::all_of(tensor.shape.begin() + 1, tensor.shape.end(),
                             [](int64_t size) { return size == 1; });
}

// nullptr if it is none.
const StoredType* find_type(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kTypes, [&](const StoredType& type) { return name == dtype_name(type.dtype); });
  return found == std::end(kTypes) ? nullptr : found;
}

uint32_t file_type(perdure_dtype dtype) {
  return std::ranges::find(kTypes, dtype, &StoredType::dtype)->file_type;
}

void require_same_tensors(const GgufDocument& document, const Gguf& file) {
  for (const StreamedTensor& tensor : document.tensors) {
    const auto found = file.tensors().find(tensor.name);
    if (found == file.tensors().end() || found->second.dtype != tensor.dtype ||
        found->second.shape != tensor.shape)
      throw Error(file.path() + ": the tensor '" + tensor.name + "' does not read back the same");
  }
}

}  // namespace

GgufDocument gguf_document(const Model& model, const std::string& tokenizer) {
  if (lies_in_gguf(model)) return document_of_files(model);
  return LlamaWriter(model, tokenizer).run();
}

void set_types(GgufDocument& document, perdure_dtype dtype) {
  std::string kept;
  size_t n_kept = 0;
  for (StreamedTensor& tensor : document.tensors) {
    if (is_vector(tensor)) {
      tensor.dtype = PERDURE_F32;
    } else if (is_never_quantised(tensor.name)) {
      continue;
    } else if (perdure_row_bytes(dtype, tensor.weight.columns) != 0) {
      tensor.dtype = dtype;
    } else if (++n_kept == 1) {
      kept = "'" + tensor.name + "' stays " + dtype_name(tensor.dtype) + ": its rows of " +
             std::to_string(tensor.weight.columns) +
             " values are not a whole number of blocks of " +
             std::to_string(perdure_block_values(dtype));
    }
  }
  if (n_kept > 1) kept += " (and so do " + std::to_string(n_kept - 1) + " more)";
  if (n_kept > 0) document.notes.push_back(kept);
  document.keys.set_whole("general.file_type", file_type(dtype));
  document.keys.set_whole("general.quantization_version", 2);
}

perdure_dtype parse_stored_type(const std::string& name) {
  const std::string word = in_lower_case(name);
  if (const StoredType* type = find_type(word)) return type->dtype;
  // llama.cpp gives some tensors other types under such names.
  const std::string_view base = std::string_view(word).substr(0, word.rfind('_'));
  if (word.size() == base.size() + 2 && find_type(base) != nullptr)
    throw UsageError("'" + name + "' is a mixture of types, which is not written; did you mean '" +
                     std::string(base) + "'?");
  std::string known;
  for (const StoredType& type : kTypes)
    known += (known.empty() ? "" : ", ") + std::string(dtype_name(type.dtype));
  throw UsageError("'" + name + "' is not a type of weights; these are: " + known);
}

bool write_gguf(const GgufDocument& document, const Model& model, const std::string& path,
                FileRules rules, const KeepGoing& keep_going) {
  std::vector<GgufDeclared> declared;
  for (const StreamedTensor& tensor : document.tensors)
    declared.push_back({tensor.name, tensor.dtype, tensor.shape});
  GgufWriter writer(path, document.keys, std::move(declared), rules);
  for (const StreamedTensor& tensor : document.tensors)
    if (!stream_tensor(
            tensor, model, [&](std::span<const std::byte> bytes) { writer.write(bytes); },
            keep_going))
      return false;
  writer.verify();
  const Model written = Model::open(writer.unfinished_path());
  ModelSpec expected = model.spec();
  expected.info.bos_id = document.bos_id;
  expected.info.eos_ids = document.eos_ids;
  require_same_model(expected, written.spec(), "a GGUF file");
  require_same_tensors(document, Gguf(written.files().front().bytes(), path));
  model.require_unchanged();
  writer.commit();
  return true;
}

}  // namespace perdure
