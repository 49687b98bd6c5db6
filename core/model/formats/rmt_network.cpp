// SPDX-License-Identifier: Apache-2.0

// The arguments give all sizes; every tensor's shape is checked against them, and a tensor that
// they do not explain is refused, because it would change the numbers.
#include "core/model/formats/rmt_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/json/json.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/architectures/rmt.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/safetensors_model.hpp"
#include "core/model/formats/small_text.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr std::string_view kMark = "read_memory_emb";
constexpr std::string_view kWrapperPrefix = "transformer.";
constexpr std::string_view kFrequencies = "rotary_pos_emb.inv_freq";
constexpr int64_t kLargestSize = int64_t{1} << 31;
// Of a table that a small file could ask for: 128 MiB.
constexpr int64_t kMostAngles = int64_t{32} << 20;

// Arguments that say how the network is trained, or nothing at all (enhanced_xl_recurrence has no
// effect in the original).
constexpr std::array<std::string_view, 6> kWithoutMeaning = {"attn_dropout",
                                                             "ff_dropout",
                                                             "ignore_index",
                                                             "emb_gradient_frac",
                                                             "next_write_mem_stop_grad",
                                                             "enhanced_xl_recurrence"};

std::string options_path(const std::string& path) {
  const std::string own = safetensors_options_path(path);
  if (std::filesystem::exists(own)) return own;
  return (std::filesystem::path(path).parent_path() / "config.json").string();
}

// The arguments of the constructor. Reading one marks it as known.
class Arguments {
 public:
  explicit Arguments(std::string path)
      : path_(std::move(path)), options_(Json::parse(read_small_text(path_), path_)) {
    const bool is_map = std::holds_alternative<Json::Map>(options_.content());
    arguments_ = is_map ? options_.find("constructor") : nullptr;
    if (arguments_ == nullptr || !std::holds_alternative<Json::Map>(arguments_->content()))
      throw Error(path_ + ": the key 'constructor' with the arguments of the network is missing");
    known_.insert(kWithoutMeaning.begin(), kWithoutMeaning.end());
  }

  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    throw Error(path_ + ": the key 'constructor." + name + "' " + what);
  }

  // A whole number of at least 1. `otherwise` = 0: it has to be there.
  int64_t size(const std::string& name, int64_t otherwise = 0) {
    const Json* value = find(name);
    if (value == nullptr && otherwise == 0) fail(name, "is missing");
    if (value == nullptr) return otherwise;
    const int64_t* number = std::get_if<int64_t>(&value->content());
    if (number == nullptr || *number < 1 || *number >= kLargestSize)
      fail(name, "must be a whole number from 1 to 2147483647");
    return *number;
  }

  bool flag(const std::string& name, bool otherwise) {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const bool* flag = std::get_if<bool>(&value->content());
    if (flag == nullptr) fail(name, "must be true or false");
    return *flag;
  }

  // int(dim * ff_mult * 2 / 3)
  int64_t feed_forward_width(int64_t dim) {
    const Json* value = find("ff_mult");
    double mult = 4.0;
    if (value != nullptr) {
      const auto* whole = std::get_if<int64_t>(&value->content());
      const auto* real = std::get_if<double>(&value->content());
      if (whole == nullptr && real == nullptr) fail("ff_mult", "must be a number");
      mult = whole != nullptr ? static_cast<double>(*whole) : *real;
    }
    const double width = static_cast<double>(dim) * mult * 2 / 3;
    if (!(width >= 1 && width < static_cast<double>(kLargestSize)))
      fail("ff_mult", "makes a feed-forward of no possible width");
    return static_cast<int64_t>(width);
  }

  bool mixed_streams() const {
    const Json* flavour = options_.find("residual_streams_flavor");
    if (flavour == nullptr) return true;
    const auto* text = std::get_if<std::string>(&flavour->content());
    if (text == nullptr || (*text != "mixed" && *text != "unmixed"))
      throw Error(path_ + ": the key 'residual_streams_flavor' must be \"mixed\" or \"unmixed\"");
    return *text == "mixed";
  }

  // Errors: Error for an argument that was not read.
  void refuse_others() const {
    for (const auto& [name, value] : arguments_->map()) {
      if (name == "token_shift" || name == "resi_dual_scale")
        fail(name, "belongs to versions below 0.6, whose network is another; it is not supported");
      if (!known_.contains(name)) fail(name, "is not an argument of this network");
    }
  }

  const std::string& path() const { return path_; }

 private:
  // nullptr if it is not given, or null.
  const Json* find(const std::string& name) {
    known_.insert(name);
    const Json* value = arguments_->find(name);
    const bool is_null =
        value != nullptr && std::holds_alternative<std::nullptr_t>(value->content());
    return is_null ? nullptr : value;
  }

  std::string path_;
  Json options_;
  const Json* arguments_ = nullptr;
  std::set<std::string, std::less<>> known_;
};

// What the arguments say.
struct Network {
  int64_t vocab = 0, d = 0, layers = 0, heads = 0, head = 0, memory = 0, tokens = 0, kept = 0,
          streams = 0, inner = 0;
  bool absolute = true, rotary = false, add_write = false, causal = true, slot_mask = false,
       always_read = true, mixed_streams = true;
};

void read_sizes(Arguments& a, Network& n) {
  n.vocab = a.size("num_tokens");
  n.d = a.size("dim");
  n.layers = a.size("depth");
  n.heads = a.size("heads", 8);
  n.head = a.size("dim_head", 64);
  n.memory = a.size("num_memory_tokens");
  n.tokens = a.size("seq_len");
  n.streams = a.size("num_residual_streams", 4);
  n.inner = a.feed_forward_width(n.d);
  const int64_t kept = a.size("xl_mem_len", n.tokens);
  if (kept > n.tokens) a.fail("xl_mem_len", "is more than seq_len");
  if (a.flag("use_xl_memories", true)) n.kept = kept;
}

void read_flags(Arguments& a, Network& n) {
  n.absolute = a.flag("abs_pos_emb", true);
  n.rotary = a.flag("rotary_pos_emb", false);
  if (!n.absolute && !n.rotary)
    a.fail("abs_pos_emb",
           "and rotary_pos_emb are both false; the network has one of them at least");
  n.add_write = a.flag("add_write_to_next_write_mem", false);
  n.always_read = a.flag("always_have_read_memories", true);
  n.mixed_streams = a.mixed_streams();
  n.causal = a.flag("causal", true);
  const bool memory_not_causal = a.flag("memory_not_causal", true);
  const bool flash = a.flag("use_flash_attn", false);
  n.slot_mask = n.causal && !memory_not_causal;
  if (n.slot_mask && !flash)
    a.fail("memory_not_causal",
           "is false without use_flash_attn, with which the original does not run");
}

ModelSpec spec_of(const Network& n, const std::string& path) {
  Metadata m(path, {{"hidden_size", n.d},
                    {"num_hidden_layers", n.layers},
                    {"num_attention_heads", n.heads},
                    {"head_dim", n.head},
                    {"vocab_size", n.vocab},
                    {"intermediate_size", n.inner},
                    {"num_memory_tokens", n.memory},
                    {"seq_len", n.tokens},
                    {"num_residual_streams", n.streams}});
  if (n.kept > 0) m.set("xl_mem_len", n.kept);
  const std::pair<const char*, bool> flags[] = {
      {"causal", n.causal},       {"slot_mask", n.slot_mask},
      {"rotary", n.rotary},       {"mixed_streams", n.mixed_streams},
      {"add_write", n.add_write}, {"always_read", n.always_read}};
  for (const auto& [name, value] : flags) m.set(name, std::string(value ? "true" : "false"));
  return read_spec("rmt", m, "safetensors");
}

using Shape = std::vector<int64_t>;

class Importer {
 public:
  Importer(const SafetensorsMap& tensors, const std::string& path)
      : tensors_(tensors),
        path_(path),
        prefix_(tensors.find(kMark) != tensors.end() ? "" : kWrapperPrefix) {}

  Model run() {
    Arguments arguments(options_path(path_));
    read_sizes(arguments, n_);
    read_flags(arguments, n_);
    arguments.refuse_others();
    builder_.spec() = spec_of(n_, arguments.path());
    matrix("token_emb.weight", "token_embd.weight", {n_.vocab, n_.d});
    places();
    vector("norm.weight", "output_norm.weight", {n_.d});
    matrix("to_logits.weight", "output.weight", {n_.vocab, n_.d});
    vector("to_logits.bias", "output.bias", {n_.vocab});
    for (int64_t layer = 0; layer < n_.layers; ++layer) import_layer(layer);
    if (n_.rotary) angles();
    refuse_others();
    return builder_.take();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(path_ + ": " + what); }

  // The tensor as a matrix: all axes but the last are its rows.
  Weight weight(const std::string& end, const Shape& shape) {
    const std::string name = prefix_ + end;
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail("the tensor '" + name + "' is missing");
    if (it->second.shape != shape)
      fail("the tensor '" + name + "' has the shape " + shape_text(it->second.shape) + " but " +
           shape_text(shape) + " is needed");
    used_.insert(name);
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); ++axis)
      rows = checked_mul(rows, shape[axis], name.c_str());
    return {.dtype = weight_dtype(name, it->second, path_),
            .rows = rows,
            .columns = shape.empty() ? 1 : shape.back(),
            .data = it->second.bytes.data()};
  }

  std::vector<float> values(const std::string& end, const Shape& shape) {
    return weight_values(weight(end, shape));
  }

  void matrix(const std::string& end, const std::string& as, const Shape& shape) {
    builder_.add(as, weight(end, shape));
  }
  // So many rows of a matrix from `first` on.
  void part(const Weight& whole, const std::string& as, int64_t first, int64_t count) {
    Weight part = whole;
    part.rows = count;
    part.data = static_cast<const std::byte*>(whole.data) +
                first * perdure_row_bytes(whole.dtype, whole.columns);
    builder_.add(as, part);
  }
  void vector(const std::string& end, const std::string& as, const Shape& shape) {
    auto all = values(end, shape);
    const auto n = static_cast<int64_t>(all.size());
    builder_.add_owned(as, 1, n, std::move(all));
  }

  // place_embd and write_memory.
  void places() {
    std::vector<float> all(static_cast<size_t>(n_.d), 0.0f);
    if (n_.absolute) all = values("pos_emb.weight", {n_.tokens, n_.d});
    const auto append = [&](const std::vector<float>& rows) {
      all.insert(all.end(), rows.begin(), rows.end());
    };
    append(values("read_memory_emb", {n_.memory, n_.d}));
    auto write = values("memory_tokens", {n_.memory, n_.d});
    append(n_.add_write ? write : std::vector<float>(static_cast<size_t>(n_.d), 0.0f));
    const auto n_rows = static_cast<int64_t>(all.size()) / n_.d;
    builder_.add_owned("place_embd", n_rows, n_.d, std::move(all));
    if (!n_.add_write) builder_.add_owned("write_memory", n_.memory, n_.d, std::move(write));
  }

  // Cosines and sines of F32 products, as the original has them. A file may leave the frequencies
  // out: they follow from their base.
  void angles() {
    std::vector<float> frequencies;
    if (tensors_.find(prefix_ + std::string(kFrequencies)) != tensors_.end()) {
      frequencies = values(std::string(kFrequencies), {n_.head / 2});
    } else {
      for (int64_t j = 0; j < n_.head / 2; ++j)
        frequencies.push_back(
            1.0f / std::pow(32768.0f, static_cast<float>(2 * j) / static_cast<float>(n_.head)));
    }
    const int64_t n_places = n_.kept + n_.tokens + 1;
    if (n_places + 1 > kMostAngles / n_.head)
      fail("segments of " + std::to_string(n_.tokens) + " tokens and heads of " +
           std::to_string(n_.head) + " values would take more than " + std::to_string(kMostAngles) +
           " angles");
    std::vector<float> all;
    all.reserve(static_cast<size_t>((n_places + 1) * n_.head));
    for (int64_t place = 0; place <= n_places; ++place) {
      const int64_t position = place == n_places ? 0 : kFirstRmtPlace - 1 + place;
      for (const float frequency : frequencies) {
        const float angle = static_cast<float>(position) * frequency;
        all.insert(all.end(), {std::cos(angle), std::sin(angle)});
      }
    }
    builder_.add_owned("key_angles", n_places + 1, n_.head, std::move(all));
  }

  void import_layer(int64_t layer) {
    const std::string from = "layers." + std::to_string(layer) + ".",
                      to = "blk." + std::to_string(layer) + ".";
    import_attention(from + "0.branch.", to, layer);
    const std::string ff = from + "1.branch.";
    vector(ff + "0.weight", to + "ffn_norm.weight", {n_.d});
    const Weight inner = weight(ff + "1.weight", {2 * n_.inner, n_.d});
    part(inner, to + "ffn_up.weight", 0, n_.inner);
    part(inner, to + "ffn_gate.weight", n_.inner, n_.inner);
    matrix(ff + "4.weight", to + "ffn_down.weight", {n_.d, n_.inner});
    if (n_.streams == 1) return;
    streams(from + "0.", to + "attn_streams.");
    streams(from + "1.", to + "ffn_streams.");
  }

  void import_attention(const std::string& from, const std::string& to, int64_t layer) {
    const int64_t width = n_.heads * n_.head;
    vector(from + "norm.weight", to + "attn_norm.weight", {n_.d});
    matrix(from + "to_q.weight", to + "attn_q.weight", {width, n_.d});
    const Weight kv =
        weight(from + "to_kv.weight", {checked_mul(2, width, "heads * dim_head"), n_.d});
    part(kv, to + "attn_k.weight", 0, width);
    part(kv, to + "attn_v.weight", width, width);
    matrix(from + "to_out.weight", to + "attn_output.weight", {n_.d, width});
    const auto null = values(from + "null_kv", {2, n_.heads, n_.head});
    builder_.add_owned(to + "null_k", 1, width, {null.begin(), null.begin() + width});
    builder_.add_owned(to + "null_v", 1, width, {null.begin() + width, null.end()});
    if (layer > 0)
      matrix(from + "learned_value_residual_mix.0.weight", to + "value_mix.weight",
             {n_.heads, n_.d});
  }

  void streams(const std::string& from, const std::string& to) {
    const int64_t s = n_.streams, d = n_.d;
    std::vector<float> norm = values(from + "norm.gamma", {d});
    for (float& gamma : norm) gamma += 1.0f;
    builder_.add_owned(to + "norm", 1, d, std::move(norm));
    // From [d, S + 1] and [d] to rows.
    const auto alpha = values(from + "dynamic_alpha_fn", {d, s + 1});
    std::vector<float> dynamic;
    for (int64_t column = 0; column <= s; ++column)
      for (int64_t i = 0; i < d; ++i)
        dynamic.push_back(alpha[static_cast<size_t>(i * (s + 1) + column)]);
    const auto beta = values(from + "dynamic_beta_fn", {d});
    dynamic.insert(dynamic.end(), beta.begin(), beta.end());
    builder_.add_owned(to + "dynamic", s + 2, d, std::move(dynamic));
    std::vector<float> scale(static_cast<size_t>(s + 1),
                             values(from + "dynamic_alpha_scale", {}).front());
    scale.push_back(values(from + "dynamic_beta_scale", {}).front());
    builder_.add_owned(to + "scale", 1, s + 2, std::move(scale));
    const auto fixed = values(from + "static_alpha", {s, s + 1});
    const auto shares = values(from + "static_beta", {s});
    std::vector<float> constant;
    for (int64_t stream = 0; stream < s; ++stream) {
      constant.insert(constant.end(), fixed.begin() + stream * (s + 1),
                      fixed.begin() + (stream + 1) * (s + 1));
      constant.push_back(shares[static_cast<size_t>(stream)]);
    }
    builder_.add_owned(to + "constant", s, s + 2, std::move(constant));
  }

  void refuse_others() const {
    for (const auto& [name, tensor] : tensors_)
      if (!used_.contains(name))
        fail("the tensor '" + name + "' is none of a network of these arguments");
  }

  const SafetensorsMap& tensors_;
  const std::string& path_;
  std::string prefix_;
  Network n_;
  ModelBuilder builder_;
  std::set<std::string> used_;
};

}  // namespace

bool is_rmt_network(const SafetensorsMap& tensors) {
  return tensors.find(kMark) != tensors.end() ||
         tensors.find(std::string(kWrapperPrefix) + std::string(kMark)) != tensors.end();
}

Model read_rmt_network(const SafetensorsMap& tensors, const std::string& path) {
  return Importer(tensors, path).run();
}

}  // namespace perdure
