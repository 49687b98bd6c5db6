// SPDX-License-Identifier: Apache-2.0

// From BlinkDL's names to those of rwkv.hpp, layer by layer, every shape checked against the sizes
// that a few tensors give.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/base/checked.hpp"
#include "core/base/dtype.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/architectures/rwkv_tensors.hpp"
#include "core/model/builder.hpp"

namespace perdure {
namespace {

enum class Version { k4, k50, k51, k52, k6, k7 };

struct VersionName {
  const char* text;
  int64_t number;
};

VersionName name_of(Version version) {
  constexpr VersionName kNames[] = {{"4", 4},   {"5.0", 5}, {"5.1", 5},
                                    {"5.2", 5}, {"6", 6},   {"7", 7}};
  return kNames[static_cast<size_t>(version)];
}

// "blocks.7.att.key.weight" -> 7; -1 if it is the name of something else.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!name.starts_with(kBlocks)) return -1;
  name.remove_prefix(kBlocks.size());
  int64_t layer = -1;
  const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), layer);
  return status == std::errc() && end != name.data() + name.size() && *end == '.' ? layer : -1;
}

// Tensors that only unsupported variants have, by a part of their names behind "blocks.N.".
struct Variant {
  const char* mark;
  const char* name;
};

constexpr Variant kUnsupported[] = {
    {"att.gate_w1", "version 6 x060a, x060b or x060c"},
    {"att.time_maa_rkvw_w1", "version 6 x060a, x060b or x060c"},
    {"ffn.s_emb", "version 7a or 7b (DeepEmbed)"},
    {"ffn.s0", "version 7a or 7b (DeepEmbed)"},
    {"ffn.s1", "version 7a or 7b (DeepEmbed)"},
    {"ffn.s2", "version 7a or 7b (DeepEmbed)"},
    {"rosa", "version 8 (ROSA)"},
};

constexpr std::string_view kSpare = "blocks.0.att.v";  // 0, 1 and 2

// The sizes of a model.
struct Sizes {
  int64_t vocab = 0, width = 0, n_layers = 0, n_heads = 1, feed_forward = 0;
};

class Importer {
 public:
  explicit Importer(const RwkvFile& file) : file_(file), tensors_(file) {}

  Model run() {
    refuse_unsupported();
    refuse_state();
    version_ = version();
    measure();
    Metadata metadata(file_.path);
    metadata.set("hidden_size", sizes_.width);
    metadata.set("num_hidden_layers", sizes_.n_layers);
    metadata.set("num_attention_heads", sizes_.n_heads);
    metadata.set("head_dim", sizes_.width / sizes_.n_heads);
    metadata.set("vocab_size", sizes_.vocab);
    metadata.set("intermediate_size", sizes_.feed_forward);
    const int64_t version = name_of(version_).number;
    metadata.set("rwkv_version", version);
    metadata.set("group_norm_eps", file_.group_norm_eps(version, sizes_.width / sizes_.n_heads));
    builder_.spec() =
        read_spec("rwkv", metadata, file_.format + ", RWKV " + name_of(version_).text);
    import_ends();
    for (int64_t layer = 0; layer < sizes_.n_layers; ++layer) {
      tensors_.set_layer(layer);
      import_layer();
    }
    check_starts();
    refuse_unused();
    return builder_.take();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { tensors_.fail(what); }

  // --- Small tensors of the current layer. ---

  std::vector<float> vector_values(const std::string& name) const {
    return tensors_.values_of(tensors_.full_name(name), sizes_.width);
  }

  // [heads, head size], and in rwkv.cpp's files one more axis of size 1.
  std::vector<float> channel_values(const std::string& name) const {
    if (tensors_.first_size(name) != sizes_.n_heads)
      tensors_.wrong_shape(tensors_.full_name(name),
                           {sizes_.n_heads, sizes_.width / sizes_.n_heads});
    return vector_values(name);
  }

  // Of version 5.2 a value for each channel; else one for each head, which serves its channels.
  std::vector<float> head_values(const std::string& name) const {
    if (version_ == Version::k52) return channel_values(name);
    const std::vector<float> heads = tensors_.values_of(tensors_.full_name(name), sizes_.n_heads);
    std::vector<float> values;
    for (const float value : heads)
      values.insert(values.end(), static_cast<size_t>(sizes_.width / sizes_.n_heads), value);
    return values;
  }

  // --- What the model gets. ---

  std::string own_name(const std::string& name) const {
    return "blk." + std::to_string(tensors_.layer()) + "." + name;
  }

  void add_vector(const std::string& as, std::vector<float> values) {
    builder_.add_owned(own_name(as), 1, sizes_.width, std::move(values));
  }

  void vector(const std::string& from, const std::string& as) {
    add_vector(as, vector_values(from));
  }

  // Norm weights and biases.
  void norm(const std::string& from, const std::string& as) {
    for (const char* part : {".weight", ".bias"})
      builder_.add_owned(as + part, 1, sizes_.width, tensors_.values_of(from + part, sizes_.width));
  }

  void matrix(const std::string& from, const std::string& as, int64_t rows, int64_t columns) {
    builder_.add(own_name(as) + ".weight",
                 tensors_.matrix_of(tensors_.full_name(from), {rows, columns}));
  }

  // A matrix that BlinkDL stores [in, out] and rwkv.cpp [out, in], once or `n` times.
  void low_rank(const std::string& from, const std::string& as, int64_t out, int64_t in,
                int64_t n = 1) {
    const std::string name = tensors_.full_name(from), own = own_name(as) + ".weight";
    const auto shape = [&](int64_t rows, int64_t columns) {
      return n == 1 ? std::vector{rows, columns} : std::vector{n, rows, columns};
    };
    if (file_.converted) return builder_.add(own, tensors_.matrix_of(name, shape(out, in)));
    const Weight weight = tensors_.matrix_of(name, shape(in, out));
    const auto bytes = static_cast<size_t>(element_bytes(weight.dtype));
    if (bytes == 0 || weight.dtype == PERDURE_Q80)
      fail("the tensor '" + name + "' of type " + dtype_name(weight.dtype) +
           " would have to be transposed, which quantised weights cannot be");
    std::vector<std::byte> turned(static_cast<size_t>(weight.size()) * bytes);
    const auto* source = static_cast<const std::byte*>(weight.data);
    std::byte* target = turned.data();
    for (int64_t part = 0; part < n; ++part)
      for (int64_t o = 0; o < out; ++o)
        for (int64_t i = 0; i < in; ++i, target += bytes)
          std::memcpy(target, source + static_cast<size_t>((part * in + i) * out + o) * bytes,
                      bytes);
    builder_.add_owned(own, {.dtype = weight.dtype, .rows = n * out, .columns = in},
                       std::move(turned));
  }

  // Rows of shifts; `mixed`: the file has the share of the current token, we that of the previous.
  void lerps(const std::vector<std::string>& from, const std::string& as, bool mixed) {
    std::vector<float> rows;
    for (const std::string& name : from) {
      const std::vector<float> values = vector_values(name);
      rows.insert(rows.end(), values.begin(), values.end());
    }
    if (mixed)
      for (float& value : rows) value = 1.0f - value;
    builder_.add_owned(own_name(as), static_cast<int64_t>(from.size()), sizes_.width,
                       std::move(rows));
  }

  // --- The versions. ---

  void refuse_unsupported() const {
    for (const auto& [name, tensor] : file_.tensors)
      for (const Variant& variant : kUnsupported)
        if (layer_of(name) >= 0 && name.find(variant.mark) != std::string::npos)
          fail("this is RWKV " + std::string(variant.name) + ", as the tensor '" + name +
               "' shows; versions 4, 5.0, 5.1, 5.2, 6 and 7 can be run");
  }

  // Errors: Error if this is no model but the states of one.
  void refuse_state() const {
    const bool is_model = file_.tensors.contains("emb.weight");
    if (!is_model && tensors_.has("att.time_state"))
      fail(
          "this is a state that sessions of a model begin with, not a model; give it as "
          "model.initial_state");
  }

  Version version() const {
    if (tensors_.has("att.r_k")) return Version::k7;
    if (tensors_.has("att.time_maa_x")) return Version::k6;
    if (!tensors_.has("att.ln_x.weight")) return Version::k4;
    if (!tensors_.has("att.gate.weight")) return Version::k50;
    const int64_t heads = tensors_.first_size("att.time_decay");
    return tensors_.n_values("att.time_decay") == heads ? Version::k51 : Version::k52;
  }

  int64_t heads() const {
    switch (version_) {
      case Version::k4:
        return 1;
      case Version::k6:
        return tensors_.first_size("att.time_faaaa");
      case Version::k7:
        return tensors_.first_size("att.r_k");
      default:
        return tensors_.first_size("att.time_decay");
    }
  }

  // How many layers there must be for a tensor of that name.
  int64_t layers_by(const std::string& name) const {
    const int64_t layer = layer_of(name);
    const std::string what = file_.path + ": the layer of '" + name + "'";
    return layer < 0 ? 0 : checked_add(layer, 1, what.c_str());
  }

  void measure() {
    const RwkvTensor& embedding = tensors_.find("emb.weight");
    if (embedding.shape.size() != 2)
      fail("the tensor 'emb.weight' has the shape " + shape_text(embedding.shape) +
           " but [vocabulary, width] is needed");
    sizes_.vocab = embedding.shape[0];
    sizes_.width = embedding.shape[1];
    for (const auto& [name, tensor] : file_.tensors)
      sizes_.n_layers = std::max(sizes_.n_layers, layers_by(name));
    sizes_.n_heads = heads();
    sizes_.feed_forward = tensors_.first_size("ffn.key.weight");
    if (sizes_.width % sizes_.n_heads != 0)
      fail("the file has " + std::to_string(sizes_.n_heads) +
           " heads, which do not divide the width " + std::to_string(sizes_.width) +
           " of 'emb.weight'");
    // rwkv.cpp's converter loses the axis of a single head in versions 5.2 and 6.
    if (version_ != Version::k4 && sizes_.n_heads == sizes_.width)
      fail("the file has " + std::to_string(sizes_.n_heads) +
           " heads of one value, whose norm leaves nothing; if the model has a single head, the "
           "converter has lost that axis");
  }

  // Layer 0 of version 7 has no use for its share of the first values, which many files hold.
  // Errors: Error for any other tensor that was not read: with it the model is another one.
  void refuse_unused() const {
    const auto is_spare = [&](std::string_view name) {
      return version_ == Version::k7 && name.size() == kSpare.size() + 1 &&
             name.starts_with(kSpare);
    };
    for (const std::string_view name : tensors_.unused())
      if (!is_spare(name))
        fail("the tensor '" + std::string(name) + "' is in no RWKV " + name_of(version_).text +
             ", as which block 0 shows the file; what it does is not known here");
  }

  void import_ends() {
    builder_.add("token_embd.weight",
                 tensors_.matrix_of("emb.weight", {sizes_.vocab, sizes_.width}));
    builder_.add("output.weight", tensors_.matrix_of("head.weight", {sizes_.vocab, sizes_.width}));
    norm("blocks.0.ln0", "token_embd_norm");
    norm("ln_out", "output_norm");
  }

  void import_layer() {
    const int64_t c = sizes_.width, f = sizes_.feed_forward;
    import_start();
    norm(tensors_.full_name("ln1"), own_name("attn_norm"));
    norm(tensors_.full_name("ln2"), own_name("attn_norm_2"));
    for (const std::string part : {"receptance", "key", "value", "output"})
      matrix("att." + part + ".weight", "time_mix_" + part, c, c);
    matrix("ffn.key.weight", "channel_mix_key", f, c);
    matrix("ffn.value.weight", "channel_mix_value", c, f);
    if (version_ != Version::k4) norm(tensors_.full_name("att.ln_x"), own_name("time_mix_ln"));
    if (version_ == Version::k7) return import_7();
    matrix("ffn.receptance.weight", "channel_mix_receptance", c, c);
    if (version_ == Version::k6) return import_6();
    lerps({"ffn.time_mix_k", "ffn.time_mix_r"}, "channel_mix_lerp", true);
    std::vector<std::string> shifts = {"att.time_mix_k", "att.time_mix_v", "att.time_mix_r"};
    if (version_ == Version::k4) {
      import_4();
    } else if (version_ == Version::k50) {
      import_5("att.time_first");
    } else {
      import_5("att.time_faaaa");
      matrix("att.gate.weight", "time_mix_gate", c, c);
      shifts.push_back("att.time_mix_g");
    }
    lerps(shifts, "time_mix_lerp", true);
  }

  void import_4() {
    std::vector<float> decay = vector_values("att.time_decay");
    if (!file_.converted)
      for (float& value : decay) value = -std::exp(value);
    add_vector("time_mix_decay", std::move(decay));
    vector("att.time_first", "time_mix_first");
  }

  void import_5(const std::string& bonus) {
    std::vector<float> decay = head_values("att.time_decay"), first = head_values(bonus);
    if (!file_.converted) {
      for (float& value : decay) value = std::exp(-std::exp(value));
      if (version_ == Version::k50)
        for (float& value : first) value = std::exp(value);
    }
    add_vector("time_mix_decay", std::move(decay));
    add_vector("time_mix_first", std::move(first));
  }

  void import_6() {
    constexpr int64_t kShifts = 5;  // w, k, v, r, g
    const int64_t c = sizes_.width;
    matrix("att.gate.weight", "time_mix_gate", c, c);
    lerps({"att.time_maa_x", "att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r",
           "att.time_maa_g"},
          "time_mix_lerp", false);
    lerps({"ffn.time_maa_k", "ffn.time_maa_r"}, "channel_mix_lerp", false);
    const int64_t rank = rank_of("att.time_maa_w1") / kShifts;
    low_rank("att.time_maa_w1", "time_mix_w1", kShifts * rank, c);
    low_rank("att.time_maa_w2", "time_mix_w2", c, rank, kShifts);
    const int64_t decay_rank = rank_of("att.time_decay_w1");
    low_rank("att.time_decay_w1", "time_mix_decay_w1", decay_rank, c);
    low_rank("att.time_decay_w2", "time_mix_decay_w2", c, decay_rank);
    vector("att.time_decay", "time_mix_decay");
    add_vector("time_mix_first", channel_values("att.time_faaaa"));
  }

  // The first state, of versions that can have one.
  void import_start() {
    const std::string name = tensors_.full_name("att.time_state");
    if (!tensors_.has("att.time_state")) return;
    if (version_ == Version::k4)
      fail("the tensor '" + name + "' cannot be: version 4 keeps vectors, no matrices");
    ++n_starts_;
    const int64_t n = sizes_.width / sizes_.n_heads;
    builder_.add_owned(
        own_name("wkv_start"), sizes_.width, n,
        rwkv_first_state(tensors_.get("att.time_state"), file_.path, name, sizes_.n_heads, n));
  }

  // Either all layers have a first state or none has.
  void check_starts() {
    if (n_starts_ == 0) return;
    if (n_starts_ != sizes_.n_layers)
      fail("only " + std::to_string(n_starts_) + " of " + std::to_string(sizes_.n_layers) +
           " layers have a tensor 'att.time_state'; all must, or none");
    builder_.spec().info.sizes["rwkv.tuned_states"] = 1;
  }

  void import_7() {
    if (tensors_.has("att.x_rwkvag")) {
      constexpr int64_t kShifts = 6;
      builder_.add_owned(own_name("time_mix_lerp"), kShifts, sizes_.width,
                         tensors_.values_of(tensors_.full_name("att.x_rwkvag"),
                                            checked_mul(kShifts, sizes_.width, "att.x_rwkvag")));
    } else {
      lerps({"att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g"}, "time_mix_lerp",
            false);
    }
    lerps({"ffn.x_k"}, "channel_mix_lerp", false);
    for (const std::string part : {"w", "a", "v", "g"}) {
      if (part == "v" && tensors_.layer() == 0) continue;
      if (part != "g") vector("att." + part + "0", "time_mix_" + part + "0");
      const int64_t rank = rank_of("att." + part + "1");
      low_rank("att." + part + "1", "time_mix_" + part + "1", rank, sizes_.width);
      low_rank("att." + part + "2", "time_mix_" + part + "2", sizes_.width, rank);
    }
    for (const std::string part : {"k_k", "k_a"}) vector("att." + part, "time_mix_" + part);
    add_vector("time_mix_r_k", channel_values("att.r_k"));
  }

  // The inner width of a pair of low-rank matrices, by the first of them.
  int64_t rank_of(const std::string& first) const {
    const RwkvTensor& tensor = tensors_.get(first);
    if (tensor.shape.size() != 2)
      tensors_.wrong_shape(tensors_.full_name(first), {sizes_.width, 0});
    return tensor.shape[file_.converted ? 0 : 1];
  }

  const RwkvFile& file_;
  RwkvTensors tensors_;
  Version version_ = Version::k4;
  Sizes sizes_;
  int64_t n_starts_ = 0;  // layers with a first state
  ModelBuilder builder_;
};

}  // namespace

Model rwkv_model(const RwkvFile& file) { return Importer(file).run(); }

}  // namespace perdure
