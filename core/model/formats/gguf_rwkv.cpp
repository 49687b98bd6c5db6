// SPDX-License-Identifier: Apache-2.0

// llama.cpp's names -> BlinkDL's; what comes of these is said in architectures/rwkv.hpp.
#include "core/model/formats/gguf_rwkv.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/builder.hpp"
#include "sdk/half.hpp"

namespace perdure {
namespace {

constexpr std::string_view kRwkv6 = "rwkv6", kRwkv7 = "rwkv7";

struct Renaming {
  std::string_view theirs, ours;
};

constexpr Renaming kOutside[] = {
    {"token_embd.weight", "emb.weight"},
    {"token_embd_norm.weight", "blocks.0.ln0.weight"},
    {"token_embd_norm.bias", "blocks.0.ln0.bias"},
    {"output_norm.weight", "ln_out.weight"},
    {"output_norm.bias", "ln_out.bias"},
    {"output.weight", "head.weight"},
};

// Behind "blk.N." and "blocks.N.".
constexpr Renaming kInside[] = {
    {"attn_norm.weight", "ln1.weight"},
    {"attn_norm.bias", "ln1.bias"},
    {"attn_norm_2.weight", "ln2.weight"},
    {"attn_norm_2.bias", "ln2.bias"},
    {"time_mix_ln.weight", "att.ln_x.weight"},
    {"time_mix_ln.bias", "att.ln_x.bias"},
    {"time_mix_receptance.weight", "att.receptance.weight"},
    {"time_mix_key.weight", "att.key.weight"},
    {"time_mix_value.weight", "att.value.weight"},
    {"time_mix_output.weight", "att.output.weight"},
    {"channel_mix_key.weight", "ffn.key.weight"},
    {"channel_mix_value.weight", "ffn.value.weight"},
};

constexpr Renaming kInside6[] = {
    {"time_mix_gate.weight", "att.gate.weight"},
    {"time_mix_w1.weight", "att.time_maa_w1"},
    {"time_mix_w2.weight", "att.time_maa_w2"},
    {"time_mix_decay_w1.weight", "att.time_decay_w1"},
    {"time_mix_decay_w2.weight", "att.time_decay_w2"},
    {"time_mix_decay.weight", "att.time_decay"},
    {"time_mix_first.weight", "att.time_faaaa"},
    {"time_mix_lerp_x.weight", "att.time_maa_x"},
    {"time_mix_lerp_w.weight", "att.time_maa_w"},
    {"time_mix_lerp_k.weight", "att.time_maa_k"},
    {"time_mix_lerp_v.weight", "att.time_maa_v"},
    {"time_mix_lerp_r.weight", "att.time_maa_r"},
    {"time_mix_lerp_g.weight", "att.time_maa_g"},
    {"channel_mix_lerp_k.weight", "ffn.time_maa_k"},
    {"channel_mix_lerp_r.weight", "ffn.time_maa_r"},
    {"channel_mix_receptance.weight", "ffn.receptance.weight"},
};

constexpr Renaming kInside7[] = {
    {"time_mix_w0.weight", "att.w0"},         {"time_mix_w1.weight", "att.w1"},
    {"time_mix_w2.weight", "att.w2"},         {"time_mix_a0.weight", "att.a0"},
    {"time_mix_a1.weight", "att.a1"},         {"time_mix_a2.weight", "att.a2"},
    {"time_mix_v0.weight", "att.v0"},         {"time_mix_v1.weight", "att.v1"},
    {"time_mix_v2.weight", "att.v2"},         {"time_mix_g1.weight", "att.g1"},
    {"time_mix_g2.weight", "att.g2"},         {"time_mix_k_k.weight", "att.k_k"},
    {"time_mix_k_a.weight", "att.k_a"},       {"time_mix_r_k.weight", "att.r_k"},
    {"channel_mix_lerp_k.weight", "ffn.x_k"}, {"time_mix_lerp_fused.weight", "att.x_rwkvag"},
};

std::string_view find_name(std::span<const Renaming> table, std::string_view theirs) {
  const auto found = std::ranges::find(table, theirs, &Renaming::theirs);
  return found == table.end() ? std::string_view() : found->ours;
}

// Where the bytes of a block have factors of all its values, all of them F16.
std::vector<int64_t> factor_offsets(perdure_dtype dtype) {
  switch (dtype) {
    case PERDURE_Q4_1:
    case PERDURE_Q5_1:
    case PERDURE_Q4_K:
    case PERDURE_Q5_K:
      return {0, 2};
    case PERDURE_Q6_K:
      return {208};
    default:
      return {0};
  }
}

template <class T>
void scale_at(std::byte* at, float factor, float (*to_f32)(T), T (*from_f32)(float)) {
  T stored;
  std::memcpy(&stored, at, sizeof stored);
  stored = from_f32(to_f32(stored) * factor);
  std::memcpy(at, &stored, sizeof stored);
}

// Values times a power of two, which is exact.
void scale_values(perdure_dtype dtype, std::span<std::byte> bytes, float factor) {
  const auto size = static_cast<size_t>(perdure_block_bytes(dtype));
  for (size_t at = 0; at < bytes.size(); at += size) {
    std::byte* block = bytes.data() + at;
    if (dtype == PERDURE_F32)
      scale_at<float>(block, factor, [](float x) { return x; }, [](float x) { return x; });
    else if (dtype == PERDURE_BF16)
      scale_at<uint16_t>(block, factor, bf16_to_f32, f32_to_bf16);
    else
      for (const int64_t offset : factor_offsets(dtype))
        scale_at<uint16_t>(block + offset, factor, f16_to_f32, f32_to_f16);
  }
}

class Reader {
 public:
  explicit Reader(std::span<const Gguf> parts)
      : parts_(parts),
        first_(parts.front()),
        is_7_(first_.text("general.architecture") == kRwkv7),
        prefix_(std::string(is_7_ ? kRwkv7 : kRwkv6) + ".") {}

  Model run() {
    check_keys();
    file_.path = first_.path();
    file_.format = "GGUF";
    file_.converted = true;
    for (const Gguf& part : parts_)
      for (const auto& [name, tensor] : part.tensors()) add(part, name, tensor);
    check_sizes();
    Model model = rwkv_model(file_);
    restore_halved(model);
    return model;
  }

 private:
  void check_keys() {
    const double eps = first_.real(prefix_ + "attention.layer_norm_epsilon").value_or(1e-5);
    if (static_cast<float>(eps) != 1e-5f)
      first_.fail(prefix_ + "attention.layer_norm_epsilon",
                  "must be 1e-5, as in every RWKV that can be run");
    if (first_.whole(prefix_ + "token_shift_count").value_or(2) != 2)
      first_.fail(prefix_ + "token_shift_count", "must be 2");
    if (first_.whole(prefix_ + "attention.head_count").value_or(0) != 0)
      first_.fail(prefix_ + "attention.head_count", "must be 0: RWKV has no attention");
    head_size_ = positive("wkv.head_size");
    n_layers_ = positive("block_count");
    width_ = positive("embedding_length");
    if (width_ % head_size_ != 0)
      first_.fail(prefix_ + "wkv.head_size", "does not divide embedding_length");
    halved_every_ = first_.whole(prefix_ + "rescale_every_n_layers").value_or(0);
    if (halved_every_ < 0 ||
        (halved_every_ > 0 && n_layers_ / std::max<int64_t>(1, halved_every_) > kMostHalvings))
      first_.fail(prefix_ + "rescale_every_n_layers",
                  "is " + std::to_string(halved_every_) + ", which cannot be undone");
  }

  int64_t positive(const char* name) const {
    const std::string key = prefix_ + name;
    const auto value = first_.whole(key);
    if (!value) first_.fail_missing(key);
    if (*value < 1 || *value > kMostSize)
      first_.fail(
          key, "is " + std::to_string(*value) + " but must be 1 to " + std::to_string(kMostSize));
    return *value;
  }

  [[noreturn]] static void fail(const Gguf& part, const GgufTensor& tensor, std::string_view name,
                                const std::string& what) {
    throw Error(part.path() + ": byte offset " + std::to_string(tensor.offset) + ": the tensor '" +
                shown_name(name) + "' " + what);
  }

  void add(const Gguf& part, std::string_view name, const GgufTensor& tensor) {
    RwkvTensor made{.shape = {tensor.shape.rbegin(), tensor.shape.rend()},
                    .weight = {.dtype = tensor.dtype, .data = tensor.bytes.data()}};
    if (const std::string_view ours = find_name(kOutside, name); !ours.empty())
      return put(std::string(ours), std::move(made));
    const size_t dot = name.starts_with("blk.") ? name.find('.', 4) : name.npos;
    if (dot == name.npos) fail(part, tensor, name, "has no meaning in a model of RWKV");
    const std::string block = "blocks." + std::string(name.substr(4, dot - 4)) + ".";
    const std::string_view inside = name.substr(dot + 1);
    if (!is_7_ && inside == "time_mix_lerp_fused.weight")
      return add_fused(part, name, tensor, block);
    if (is_7_ && block == "blocks.0." && is_idle(inside)) return;
    std::string_view ours = find_name(kInside, inside);
    if (ours.empty())
      ours = find_name(is_7_ ? std::span<const Renaming>(kInside7) : kInside6, inside);
    if (ours.empty()) fail(part, tensor, name, "has no meaning in a model of RWKV");
    if (ours == "att.r_k" || ours == "att.time_faaaa") by_heads(part, name, tensor, made);
    put(block + std::string(ours), std::move(made));
  }

  // llama.cpp fills those of the first layer with something that is not read.
  static bool is_idle(std::string_view inside) {
    return inside == "time_mix_v0.weight" || inside == "time_mix_v1.weight" ||
           inside == "time_mix_v2.weight";
  }

  void put(const std::string& name, RwkvTensor tensor) {
    file_.tensors.emplace(name, std::move(tensor));
  }

  // [heads, size of a head], however it is stored.
  void by_heads(const Gguf& part, std::string_view name, const GgufTensor& tensor,
                RwkvTensor& made) const {
    if (tensor.columns() * tensor.rows() != width_ || tensor.shape.size() > 2)
      fail(part, tensor, name, "must hold " + std::to_string(width_) + " values");
    made.shape = {width_ / head_size_, head_size_};
  }

  // The shifts of w, k, v, r and g one behind the other.
  void add_fused(const Gguf& part, std::string_view name, const GgufTensor& tensor,
                 const std::string& block) {
    constexpr std::array kShifts = {"w", "k", "v", "r", "g"};
    const int64_t row_bytes = width_ * element_bytes(tensor.dtype);
    if (row_bytes == 0 ||
        static_cast<int64_t>(tensor.bytes.size()) != row_bytes * std::ssize(kShifts))
      fail(part, tensor, name,
           "must hold five rows of " + std::to_string(width_) + " values, F32, F16 or BF16");
    for (size_t i = 0; i < kShifts.size(); ++i)
      put(block + "att.time_maa_" + kShifts[i],
          {.shape = {width_},
           .weight = {.dtype = tensor.dtype,
                      .data = tensor.bytes.data() + static_cast<int64_t>(i) * row_bytes}});
  }

  void check_sizes() const {
    const auto name = [](int64_t layer) {
      return "blocks." + std::to_string(layer) + ".ln1.weight";
    };
    if (file_.tensors.contains(name(n_layers_)) || !file_.tensors.contains(name(n_layers_ - 1)))
      first_.fail(prefix_ + "block_count", "is " + std::to_string(n_layers_) +
                                               ", but the tensors are of another number of layers");
    const auto embedding = file_.tensors.find("emb.weight");
    if (embedding == file_.tensors.end())
      throw Error(first_.path() + ": the tensor 'token_embd.weight' is missing");
    if (embedding->second.shape.back() != width_)
      first_.fail(prefix_ + "embedding_length",
                  "is " + std::to_string(width_) + ", but token_embd.weight has " +
                      std::to_string(embedding->second.shape.back()) + " columns");
  }

  // In such files everything that is added to the residual stream was divided by 2 once more every
  // few layers, and the stream is to be halved with it. Not doing either is the same.
  void restore_halved(Model& model) const {
    if (halved_every_ == 0) return;
    for (int64_t layer = halved_every_; layer < n_layers_; ++layer)
      for (const char* part : {"time_mix_output.weight", "channel_mix_value.weight"}) {
        const std::string name = "blk." + std::to_string(layer) + "." + part;
        const Weight weight = *model.find(name);
        const auto* data = static_cast<const std::byte*>(weight.data);
        std::vector<std::byte> bytes(
            data, data + weight.rows * perdure_row_bytes(weight.dtype, weight.columns));
        scale_values(weight.dtype, bytes,
                     std::ldexp(1.0f, static_cast<int>(layer / halved_every_)));
        model.replace(name, weight, std::move(bytes));
      }
  }

  // No product of two of them wraps; more halvings than F16 has exponents mean nothing.
  static constexpr int64_t kMostSize = int64_t{1} << 31, kMostHalvings = 30;

  std::span<const Gguf> parts_;
  const Gguf& first_;
  bool is_7_;
  std::string prefix_;
  int64_t head_size_ = 0, n_layers_ = 0, width_ = 0, halved_every_ = 0;
  RwkvFile file_;
};

}  // namespace

bool is_gguf_rwkv(const Gguf& file) {
  const GgufValue* value = file.find("general.architecture");
  if (value == nullptr || value->is_array || value->type != GgufType::kText) return false;
  const auto name = file.text("general.architecture");
  return name == kRwkv6 || name == kRwkv7;
}

Model read_gguf_rwkv(std::span<const Gguf> parts) { return Reader(parts).run(); }

}  // namespace perdure
