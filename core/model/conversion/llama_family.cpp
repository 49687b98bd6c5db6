// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/llama_family.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/config/map_reader.hpp"
#include "core/model/architectures/architecture.hpp"

namespace perdure {
namespace {

// Behind "blk.N.".
constexpr std::array kInLayer = std::to_array<std::string_view>(
    {"attn_norm.weight", "ffn_norm.weight", "attn_q.weight", "attn_q.bias", "attn_k.weight",
     "attn_k.bias", "attn_v.weight", "attn_v.bias", "attn_output.weight", "attn_output.bias",
     "attn_q_norm.weight", "attn_k_norm.weight", "ffn_gate.weight", "ffn_gate.bias",
     "ffn_up.weight", "ffn_up.bias", "ffn_down.weight", "ffn_down.bias"});
constexpr std::array kOutside =
    std::to_array<std::string_view>({"token_embd.weight", "output_norm.weight", "output.weight"});

// "blk.3.attn_q.weight" -> "attn_q.weight"; other names stay.
std::string_view inside(std::string_view name) {
  if (!name.starts_with("blk.")) return name;
  const size_t dot = name.find('.', 4);
  return dot == name.npos ? name : name.substr(dot + 1);
}

bool is_known(std::string_view name) {
  return std::ranges::count(kOutside, name) > 0 ||
         (name.starts_with("blk.") && std::ranges::count(kInLayer, inside(name)) > 0);
}

std::optional<double> number(std::string_view text) {
  return scalar_to_real(std::string(text), false);
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), 1e-12); }

// Numbers, or lists of them, whatever their spelling; other texts as they are.
bool same_value(std::string_view a, std::string_view b) {
  return std::ranges::equal(list_items(a), list_items(b), [](auto item_a, auto item_b) {
    const auto x = number(item_a), y = number(item_b);
    return x && y ? near(*x, *y) : item_a == item_b;
  });
}

}  // namespace

std::vector<std::string_view> list_items(std::string_view value) {
  std::vector<std::string_view> items;
  while (!value.empty()) {
    const size_t end = std::min(value.find(','), value.size());
    items.push_back(value.substr(0, end));
    value.remove_prefix(std::min(value.find_first_not_of(", ", end), value.size()));
  }
  return items;
}

LlamaExport::LlamaExport(const Model& model, std::string target)
    : model_(model), target_(std::move(target)) {
  check();
  family_ = find_family();
}

void LlamaExport::refuse(const std::string& what) const {
  throw Error(target_ + " cannot hold " + what + " of the model");
}

void LlamaExport::check() const {
  const ModelInfo& info = spec().info;
  require_llama_family(model_);
  for (const auto& [name, weight] : model_.weights())
    if (!is_known(name)) refuse("the weight " + name);
  if (info.mem_len > 0) refuse("the memory");
  if (info.score_scale != 0) refuse("the score_scale");
  if (info.score_soft_cap != 0) refuse("the attn_logit_softcapping");
  if (info.classifier_rows() != info.vocab_size) refuse("the padded_vocab_size");
  if (!info.sizes.empty()) refuse("the " + info.sizes.begin()->first);
  if (!info.reals.empty()) refuse("the " + info.reals.begin()->first);
  if (option("key_norm") != nullptr) refuse("the key_norm");
  const Weight* q = model_.find("blk.0.attn_q.weight");
  if (q != nullptr && q->columns != info.hidden_size) refuse("the places in attn_q.weight");
}

LlamaFamily LlamaExport::find_family() const {
  const auto in_first = [&](const char* name) { return has(std::string("blk.0.") + name); };
  if (in_first("attn_q_norm.weight")) return LlamaFamily::kQwen3;
  const bool qwen2 = in_first("attn_q.bias") && in_first("attn_k.bias") &&
                     in_first("attn_v.bias") && !in_first("attn_output.bias") &&
                     !in_first("ffn_up.bias");
  return qwen2 ? LlamaFamily::kQwen2 : LlamaFamily::kLlama;
}

const ModelOption* LlamaExport::option(const std::string& name) const {
  const auto it = spec().strategy_options.find(name);
  return it == spec().strategy_options.end() ? nullptr : &it->second;
}

std::string LlamaExport::scaling() const {
  const ModelOption* found = option("rope_scaling");
  return found == nullptr || found->value == "none" ? "" : found->value;
}

std::optional<double> LlamaExport::parameter(const std::string& name) const {
  const ModelOption* found = option(name);
  if (found == nullptr) return std::nullopt;
  const auto value = number(found->value);
  if (!value) refuse("the " + name + " " + found->value);
  return value;
}

std::vector<float> LlamaExport::parameters(const std::string& name) const {
  std::vector<float> values;
  const ModelOption* found = option(name);
  if (found == nullptr) return values;
  for (const std::string_view item : list_items(found->value)) {
    const auto value = number(item);
    if (!value) refuse("the " + name + " " + found->value);
    values.push_back(static_cast<float>(*value));
  }
  return values;
}

int64_t LlamaExport::window() const {
  return static_cast<int64_t>(parameter("window").value_or(0));
}

void LlamaExport::check_equal_heads(const std::string& name, const Weight& weight) const {
  const auto size = static_cast<size_t>(spec().info.head_size) * sizeof(float);
  const auto* first = static_cast<const char*>(weight.data);
  for (size_t at = size; at < static_cast<size_t>(weight.columns) * sizeof(float); at += size)
    if (std::memcmp(first, first + at, size) != 0)
      refuse("the weight " + name + ", which differs from head to head,");
}

StreamedTensor LlamaExport::tensor(const std::string& name, const Weight& weight,
                                   RotationOrder order, bool has_blocks) const {
  const ModelInfo& info = spec().info;
  const std::string_view part = inside(name);
  StreamedTensor made{.name = name, .weight = weight, .dtype = weight.dtype};
  Weight& w = made.weight;
  if (part == "attn_q_norm.weight" || part == "attn_k_norm.weight") {
    check_equal_heads(name, w);
    w.columns = info.head_size;
  }
  made.shape = w.rows == 1 ? std::vector{w.columns} : std::vector{w.columns, w.rows};
  made.order = row_order(info, name, order);
  if (made.order.changes && w.rows == 1) std::swap(w.rows, w.columns);
  if (w.dtype == PERDURE_Q80 || (is_quantised(w.dtype) && !has_blocks)) made.dtype = PERDURE_F32;
  return made;
}

std::vector<StreamedTensor> LlamaExport::tensors(RotationOrder order, bool has_blocks) const {
  std::vector<StreamedTensor> tensors;
  for (const auto& [name, weight] : model_.weights())
    tensors.push_back(tensor(name, weight, order, has_blocks));
  return tensors;
}

void require_llama_family(const Model& model) {
  if (model.spec().architecture != "llama")
    throw Error("only models of llama's family can be converted, and this one is of " +
                model.spec().architecture + " (" + model.spec().format + ")");
}

void require_same_model(const ModelSpec& source, const ModelSpec& written,
                        const std::string& target) {
  const auto require = [&](bool same, const std::string& what) {
    if (!same) throw Error(target + " cannot hold the " + what + " of the model");
  };
  const ModelInfo &a = source.info, &b = written.info;
  const auto as_f32 = [](double x) { return static_cast<float>(x); };
  const NamedSizes sizes = named_sizes(written);
  for (size_t i = 0; const auto& [name, size] : named_sizes(source))
    require(size == sizes[i++].second, name);
  require(a.head_size == b.head_size && a.size_of_values() == b.size_of_values(), "head_dim");
  require(a.rotated_size() == b.rotated_size(), "rotary_dim");
  require(a.vocab_size == b.vocab_size, "vocab_size");
  require(a.train_length == b.train_length, "max_position_embeddings");
  require(as_f32(a.rope_theta) == as_f32(b.rope_theta), "rope_theta");
  require(as_f32(a.rms_norm_eps) == as_f32(b.rms_norm_eps), "rms_norm_eps");
  require(a.bos_id == b.bos_id, "token that begins a text");
  require(a.eos_ids == b.eos_ids, "tokens that end a text");
  for (const auto& [name, option] : source.strategy_options) {
    const auto found = written.strategy_options.find(name);
    require(
        found != written.strategy_options.end() && same_value(option.value, found->second.value),
        name);
  }
  for (const char* name : {"rope_scaling", "window"})
    require(source.strategy_options.contains(name) == written.strategy_options.contains(name),
            name);
}

}  // namespace perdure
