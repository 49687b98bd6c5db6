// SPDX-License-Identifier: Apache-2.0

// config.json -> the sizes of decoder and encoder; tensors -> two llamas.
#include "core/model/formats/cepe_folder.hpp"

#include <optional>
#include <vector>

#include "core/api/error.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/llama_config.hpp"
#include "core/model/formats/llama_shards.hpp"

namespace perdure {
namespace {

constexpr const char* kContext = "LlamaForCausalContextLM";
constexpr const char* kMasked = "LlamaForMLM";
constexpr std::string_view kEncoder = "encoder.";

// A whole number. Errors: Error outside least .. most.
int64_t size_within(const HuggingFaceConfig& config, const char* key, int64_t otherwise,
                    int64_t least, int64_t most) {
  const int64_t value = config.size(key, otherwise);
  if (value < least || value > most)
    config.fail(key, "is " + std::to_string(value) + " but must be " + std::to_string(least) +
                         " to " + std::to_string(most));
  return value;
}

// The tensors of all shards, those of the encoder apart. Borrows them.
struct Tensors {
  LlamaTensors decoder, encoder;

  Tensors(const std::string& folder, const std::vector<SafetensorsFile>& shards)
      : decoder(no_llama_tensors(folder, kCepeNames)),
        encoder(no_llama_tensors(folder, kCepeEncoderNames)) {
    for (const SafetensorsFile& shard : shards)
      for (const auto& [name, tensor] : shard.tensors()) add(shard, name, tensor);
  }

 private:
  void add(const SafetensorsFile& shard, const std::string& name, const SafetensorsTensor& tensor) {
    // What the encoder alone keeps twice.
    if (name == "lm_head.bias" && shard.find("lm_bias") != nullptr) return;
    if (name.starts_with(kEncoder))
      add_llama_tensor(encoder, kCepeEncoderNames, shard, name, tensor);
    else
      add_llama_tensor(decoder, kCepeNames, shard, name, tensor);
  }
};

class ContextReader {
 public:
  ContextReader(const std::string& folder, const HuggingFaceConfig& config)
      : config_(config), shards_(open_llama_shards(folder)), tensors_(folder, shards_) {}

  Model read() {
    check();
    builder_.spec() = llama_spec(config_, kContext);
    if (config_.flag("do_cross_attention", false)) read_cross_attention();
    if (!tensors_.decoder.by_name.contains("output.weight"))
      throw Error(tensors_.decoder.path + ": the tensor 'lm_head.weight' is missing");
    add_llama_weights(tensors_.decoder, builder_);
    if (encoder_ || !tensors_.encoder.by_name.empty()) add_encoder();
    return take_with_shards(builder_, shards_);
  }

 private:
  ModelInfo& info() { return builder_.spec().info; }

  void check() const {
    if (!config_.flag("is_decoder", true))
      config_.fail("is_decoder", "is false; a decoder that sees later tokens is not supported");
    if (config_.flag("tie_word_embeddings", false))
      config_.fail("tie_word_embeddings", "must be false: CEPE has a classifier of its own");
  }

  void read_cross_attention() {
    auto& sizes = info().sizes;
    sizes["cross_attention.layers"] =
        size_within(config_, "num_cross_attn_layers", 0, 1, info().num_hidden_layers);
    const bool is_model = config_.flag("encoder_is_model", false);
    sizes["encoder.is_model"] = is_model ? 1 : 0;
    if (!is_model) read_encoder();
    const ModelInfo& encoder = is_model ? info() : encoder_->info;
    add_encoder_sizes(encoder);
    const int64_t width = config_.size("encoder_hidden_size", info().hidden_size);
    if (width != encoder.hidden_size)
      config_.fail("encoder_hidden_size", "is " + std::to_string(width) + " but the encoder has " +
                                              std::to_string(encoder.hidden_size));
    read_hidden_states(encoder.num_hidden_layers);
    read_encode_mode();
  }

  void read_encoder() {
    const HuggingFaceConfig config = config_.part("encoder_config");
    if (config.flag("is_decoder", false))
      config.fail("is_decoder", "is true, but an encoder sees all of a chunk");
    encoder_ = llama_spec(config, "LlamaForCausalLM");
    if (!encoder_->strategy_options.empty())
      config.fail("rope_scaling", "is set; an encoder is read without one");
    // The file may have more rows than the configuration says: those of added tokens.
    const auto table = tensors_.encoder.by_name.find("token_embd.weight");
    if (table != tensors_.encoder.by_name.end() && table->second.shape.size() == 2)
      encoder_->info.vocab_size = encoder_->info.padded_vocab_size = table->second.shape[0];
  }

  void add_encoder_sizes(const ModelInfo& encoder) {
    auto& sizes = info().sizes;
    sizes["encoder.hidden_size"] = encoder.hidden_size;
    sizes["encoder.num_hidden_layers"] = encoder.num_hidden_layers;
    sizes["encoder.num_attention_heads"] = encoder.num_attention_heads;
    sizes["encoder.num_key_value_heads"] = encoder.num_key_value_heads;
    sizes["encoder.head_size"] = encoder.head_size;
    sizes["encoder.vocab_size"] = encoder.vocab_size;
    sizes["encoder.max_position_embeddings"] = encoder.train_length;
    info().reals["encoder.rope_theta"] = encoder.rope_theta;
    info().reals["encoder.rms_norm_eps"] = encoder.rms_norm_eps;
  }

  // Layers count the encoder's list of its input, what goes into each further layer and its result
  // from its end, as the original does.
  void read_hidden_states(int64_t n_encoder_layers) {
    const int64_t n = size_within(config_, "num_cross_attn_hidden_states", 1, 1, int64_t{1} << 31);
    const int64_t n_cross = info().size("cross_attention.layers");
    if (n > 1 && n_cross > n_encoder_layers + 1)
      config_.fail("num_cross_attn_hidden_states",
                   "is above 1, but " + std::to_string(n_cross) +
                       " layers with cross-attention need as many hidden states and the encoder "
                       "has " +
                       std::to_string(n_encoder_layers + 1));
    info().sizes["cross_attention.hidden_states"] = n;
  }

  void read_encode_mode() {
    const std::string mode = config_.text("encode_mode", "context_only");
    if (mode != "context_only") builder_.spec().strategy_options["encode_mode"] = {mode};
  }

  void add_encoder() {
    if (!encoder_)
      throw Error(tensors_.encoder.path + ": the tensors 'encoder.*' are there, but config.json " +
                  "says nothing of an encoder (do_cross_attention, encoder_is_model)");
    add_llama_weights(tensors_.encoder, *encoder_, "enc.", builder_);
  }

  const HuggingFaceConfig& config_;
  std::vector<SafetensorsFile> shards_;
  Tensors tensors_;
  ModelBuilder builder_;
  std::optional<ModelSpec> encoder_;
};

Model read_masked(const std::string& folder, const HuggingFaceConfig& config) {
  if (config.flag("is_decoder", false))
    config.fail("is_decoder", "is true, but an encoder sees all of its text");
  std::vector<SafetensorsFile> shards = open_llama_shards(folder);
  Tensors tensors(folder, shards);
  ModelBuilder builder;
  builder.spec() = llama_spec(config, kMasked);
  if (config.flag("tie_word_embeddings", true)) tensors.decoder.by_name.erase("output.weight");
  for (const auto& [name, tensor] : tensors.encoder.by_name)
    throw Error(*tensor.path + ": the tensor '" + std::string(tensor.name) +
                "' has no meaning in a model of llama_mlm");
  add_llama_weights(tensors.decoder, builder);
  return take_with_shards(builder, shards);
}

bool is_cepe_folder(const std::string& folder) {
  try {
    if (!has_huggingface_config(folder)) return false;
    const std::string name = huggingface_architecture(HuggingFaceConfig(folder));
    return name == kContext || name == kMasked;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Model read_cepe_folder(const std::string& folder) {
  const HuggingFaceConfig config(folder);
  if (huggingface_architecture(config) == kMasked) return read_masked(folder, config);
  return ContextReader(folder, config).read();
}

ModelFormat cepe_folder_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return source.is_folder() && is_cepe_folder(source.path);
              },
          .read = [](ModelSource source) { return read_cepe_folder(source.path); }};
}

}  // namespace perdure
