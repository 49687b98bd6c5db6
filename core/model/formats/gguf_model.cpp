// SPDX-License-Identifier: Apache-2.0

// Keys first, then tensors, each by the shape that the keys ask for. What was not asked for is
// refused: it would change the numbers.
#include "core/model/formats/gguf_model.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/gguf_rotation.hpp"
#include "core/model/formats/gguf_rwkv.hpp"
#include "core/model/formats/gguf_tokens.hpp"
#include "core/model/formats/llama_weights.hpp"

namespace perdure {
namespace {

struct GgufArchitecture {
  std::string_view name;
  const char* rotation_order;
};

constexpr GgufArchitecture kArchitectures[] = {
    {"llama", "adjacent"},
    {"qwen2", "halves"},
    {"qwen3", "halves"},
};

const GgufArchitecture& architecture_of(const Gguf& file) {
  const std::string_view key = "general.architecture";
  const auto name = file.text(key);
  if (!name) file.fail_missing(key);
  const auto* found =
      std::ranges::find(kArchitectures, *name, [](const GgufArchitecture& a) { return a.name; });
  if (found == std::end(kArchitectures))
    file.fail(
        key,
        "is '" + shown_name(*name) +
            "', which cannot be read from GGUF files; llama, qwen2, qwen3, rwkv6 and rwkv7 can");
  return *found;
}

// Sizes and numbers of a file under its architecture's keys, as Hugging Face's config.json calls
// them.
class KeyReader {
 public:
  KeyReader(const Gguf& file, const GgufArchitecture& architecture, int64_t vocab_size)
      : file_(file),
        architecture_(architecture),
        prefix_(std::string(architecture.name) + "."),
        vocab_size_(vocab_size) {}

  ModelSpec read() {
    refuse_other_keys();
    Metadata m(file_.path());
    size(m, "embedding_length", "hidden_size");
    size(m, "block_count", "num_hidden_layers");
    size(m, "feed_forward_length", "intermediate_size");
    size(m, "attention.head_count", "num_attention_heads");
    size(m, "context_length", "max_position_embeddings");
    if (has("attention.head_count_kv")) size(m, "attention.head_count_kv", "num_key_value_heads");
    if (has("attention.key_length")) size(m, "attention.key_length", "head_dim");
    if (has("attention.value_length")) size(m, "attention.value_length", "value_head_dim");
    if (has("rope.dimension_count")) size(m, "rope.dimension_count", "rotary_dim");
    real(m, "rope.freq_base", "rope_theta");
    real(m, "attention.layer_norm_rms_epsilon", "rms_norm_eps");
    if (!has("attention.layer_norm_rms_epsilon"))
      file_.fail_missing(prefix_ + "attention.layer_norm_rms_epsilon");
    m.set("vocab_size", vocab_size_);
    m.set("rotation_order", architecture_.rotation_order);
    set_tokens(m);
    ModelSpec spec = read_spec(architecture_.name, m, "GGUF");
    set_window(spec);
    return spec;
  }

 private:
  bool has(const char* name) const { return file_.find(prefix_ + name) != nullptr; }

  // Sizes may differ from layer to layer in the format, but in none of these architectures.
  void size(Metadata& m, const char* from, const char* to) const {
    const std::string key = prefix_ + from;
    const std::vector<int64_t> values = file_.wholes(key);
    if (values.empty()) file_.fail_missing(key);
    if (std::ranges::any_of(values, [&](int64_t v) { return v != values.front(); }))
      file_.fail(key, "differs from layer to layer, which is not supported");
    if (values.front() < 1 || values.front() > kMostSize)
      file_.fail(key, "is " + std::to_string(values.front()) + " but must be 1 to " +
                          std::to_string(kMostSize));
    m.set(to, values.front());
  }

  void real(Metadata& m, const char* from, const char* to) const {
    const std::string key = prefix_ + from;
    const auto value = file_.real(key);
    if (!value) return;
    if (*value <= 0) file_.fail(key, "must be a number above 0");
    m.set(to, *value);
  }

  void set_tokens(Metadata& m) const {
    check_vocabulary();
    if (file_.find("tokenizer.ggml.model") == nullptr) return;
    const GgufSpecialTokens tokens = read_gguf_special_tokens(file_, vocab_size_);
    m.set("bos_token_id", tokens.begin);
    m.set("eos_token_id", tokens.ends);
  }

  void check_vocabulary() const {
    const std::string_view key = "tokenizer.ggml.tokens";
    const GgufValue* tokens = file_.find(key);
    if (tokens != nullptr && tokens->count != vocab_size_)
      file_.fail(key, "has " + std::to_string(tokens->count) + " tokens, but token_embd.weight " +
                          std::to_string(vocab_size_) + " rows");
  }

  void set_window(ModelSpec& spec) const {
    const std::string key = prefix_ + "attention.sliding_window";
    const auto window = file_.whole(key);
    if (!window || *window == 0) return;
    if (*window < 0) file_.fail(key, "is negative");
    spec.strategy_options["window"] = {std::to_string(*window)};
  }

  // Keys below these would change the numbers; others are ignored.
  void refuse_other_keys() const {
    static constexpr std::string_view kKnown[] = {
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.layer_norm_rms_epsilon",
        "attention.sliding_window",
        "rope.dimension_count",
        "rope.freq_base",
        "rope.scale_linear",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.attn_factor",
        "rope.scaling.yarn_attn_factor",
        "rope.scaling.yarn_ext_factor",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
        "rope.scaling.yarn_log_multiplier",
        "rope.scaling.original_context_length",
        "rope.scaling.finetuned",
    };
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with(prefix_)) continue;
      const std::string_view name = key.substr(prefix_.size());
      if (std::ranges::count(kKnown, name) == 0 && acts(name) && !says_nothing(key, name))
        file_.fail(key, "is not supported");
    }
  }

  static bool acts(std::string_view name) {
    static constexpr std::string_view kBeginnings[] = {"attention.", "rope.", "expert", "ssm.",
                                                       "use_parallel_residual"};
    return name.ends_with("_scale") || name.ends_with("softcapping") ||
           std::ranges::any_of(kBeginnings, [&](auto b) { return name.starts_with(b); });
  }

  bool says_nothing(std::string_view key, std::string_view name) const {
    const GgufValue& value = *file_.find(key);
    if (value.is_array || value.type == GgufType::kText) return false;
    if (name == "attention.causal") return file_.flag(key).value_or(false);
    return std::ranges::all_of(value.bytes, [](std::byte b) { return b == std::byte{0}; });
  }

  // No product of two of them wraps.
  static constexpr int64_t kMostSize = int64_t{1} << 31;

  const Gguf& file_;
  const GgufArchitecture& architecture_;
  std::string prefix_;
  int64_t vocab_size_;
};

std::string same_name(const std::string& name) { return name; }

LlamaTensors tensors_of(std::span<const Gguf> parts) {
  LlamaTensors tensors{
      .path = parts.front().path(), .columns_first = true, .name_in_file = same_name};
  for (const Gguf& part : parts)
    for (const auto& [name, found] : part.tensors())
      tensors.by_name.emplace(name, LlamaTensor{.name = name,
                                                .path = &part.path(),
                                                .offset = found.offset,
                                                .dtype = found.dtype,
                                                .shape = found.shape,
                                                .data = found.bytes.data()});
  return tensors;
}

// Takes divisors of the frequencies out of the tensors.
GgufFrequencyFactors take_factors(LlamaTensors& tensors, const ModelInfo& info) {
  const auto take = [&](const char* name) {
    std::vector<float> values = llama_vector(tensors, name, info.rotated_size() / 2);
    tensors.by_name.erase(name);
    return values;
  };
  return {.all = take("rope_freqs.weight"),
          .long_texts = take("rope_factors_long.weight"),
          .short_texts = take("rope_factors_short.weight")};
}

int64_t vocab_size_of(const LlamaTensors& tensors) {
  const auto embedding = tensors.by_name.find("token_embd.weight");
  if (embedding == tensors.by_name.end())
    throw Error(tensors.path + ": the tensor 'token_embd.weight' is missing");
  const std::vector<int64_t>& shape = embedding->second.shape;
  return shape.size() > 1 ? shape[1] : 1;
}

// "model-00001-of-00003.gguf": number and count of a part; nothing for other names.
struct PartName {
  std::string stem;
  int64_t number = 0, count = 0;
};

constexpr std::string_view kExtension = ".gguf", kOf = "-of-";
constexpr size_t kDigits = 5;

int64_t digits_at(std::string_view text, size_t at) {
  int64_t number = 0;
  const char* begin = text.data() + at;
  const auto [end, status] = std::from_chars(begin, begin + kDigits, number);
  return status == std::errc() && end == begin + kDigits ? number : 0;
}

std::optional<PartName> part_name(const std::string& path) {
  constexpr size_t kTail = 1 + 2 * kDigits + kOf.size() + kExtension.size();
  if (path.size() < kTail || !path.ends_with(kExtension)) return std::nullopt;
  const size_t at = path.size() - kTail;
  if (path[at] != '-' || path.compare(at + 1 + kDigits, kOf.size(), kOf) != 0) return std::nullopt;
  PartName name{path.substr(0, at), digits_at(path, at + 1),
                digits_at(path, at + 1 + kDigits + kOf.size())};
  if (name.number < 1 || name.count < name.number) return std::nullopt;
  return name;
}

std::string part_path(const PartName& name, int64_t number) {
  const auto five = [](int64_t n) {
    const std::string digits = std::to_string(n);
    return std::string(kDigits - digits.size(), '0') + digits;
  };
  return name.stem + "-" + five(number) + std::string(kOf) + five(name.count) +
         std::string(kExtension);
}

// Every part costs a mapping.
constexpr int64_t kMostParts = 1000;

int64_t part_count(const Gguf& first) {
  const int64_t count = first.whole("split.count").value_or(1);
  if (count > kMostParts)
    first.fail("split.count",
               "is " + std::to_string(count) + ", more than " + std::to_string(kMostParts));
  return std::max<int64_t>(count, 1);
}

void check_part(const Gguf& part, int64_t number, int64_t count) {
  if (part.whole("split.count").value_or(1) != count)
    part.fail("split.count", "is not " + std::to_string(count) + " as in the first file");
  if (part.whole("split.no").value_or(-1) != number)
    part.fail("split.no", "is not " + std::to_string(number));
}

void check_names(const std::vector<Gguf>& parts) {
  std::set<std::string_view> names;
  for (const Gguf& part : parts)
    for (const auto& [name, tensor] : part.tensors())
      if (!names.insert(name).second)
        throw Error(part.path() + ": byte offset " + std::to_string(tensor.offset) +
                    ": the tensor '" + shown_name(name) + "' is in an earlier file already");
  const auto total = parts.front().whole("split.tensors.count");
  if (total && *total != static_cast<int64_t>(names.size()))
    parts.front().fail("split.tensors.count", "is " + std::to_string(*total) +
                                                  ", but the files have " +
                                                  std::to_string(names.size()) + " tensors");
}

// The files behind the first one.
std::vector<MappedFile> map_rest(const Gguf& first) {
  std::vector<MappedFile> files;
  const int64_t count = part_count(first);
  if (count == 1) return files;
  const auto name = part_name(first.path());
  if (!name || name->count != count)
    first.fail("split.count",
               "is " + std::to_string(count) +
                   "; the files of a split model are named NAME-00001-of-0000N.gguf");
  if (name->number != 1 || first.whole("split.no").value_or(0) != 0)
    first.fail("split.no",
               "says that this is not the first file of the model; open " + part_path(*name, 1));
  for (int64_t number = 2; number <= count; ++number) files.emplace_back(part_path(*name, number));
  return files;
}

Model read_gguf_file(ModelSource source) {
  std::vector<Gguf> parts;
  parts.emplace_back(source.bytes(), source.path);
  std::vector<MappedFile> rest = map_rest(parts.front());
  for (const MappedFile& file : rest) {
    parts.emplace_back(file.bytes(), file.path());
    check_part(parts.back(), static_cast<int64_t>(parts.size()) - 1, part_count(parts.front()));
  }
  check_names(parts);
  Model model = read_gguf_model(parts);
  ModelBuilder::keep(model, std::move(*source.file));
  for (MappedFile& file : rest) ModelBuilder::keep(model, std::move(file));
  return model;
}

}  // namespace

Model read_gguf_model(std::span<const Gguf> parts) {
  const Gguf& first = parts.front();
  if (is_gguf_rwkv(first)) return read_gguf_rwkv(parts);
  const GgufArchitecture& architecture = architecture_of(first);
  LlamaTensors tensors = tensors_of(parts);
  ModelBuilder builder;
  ModelSpec& spec = builder.spec();
  spec = KeyReader(first, architecture, vocab_size_of(tensors)).read();
  const GgufFrequencyFactors factors = take_factors(tensors, spec.info);
  add_llama_weights(tensors, builder);
  read_gguf_rotation(first, std::string(architecture.name), factors, spec);
  return builder.take();
}

ModelFormat gguf_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return !source.is_folder() &&
                       (is_gguf(source.bytes()) || source.path.ends_with(kExtension));
              },
          .read = read_gguf_file};
}

}  // namespace perdure
