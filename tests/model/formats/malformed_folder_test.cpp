// SPDX-License-Identifier: Apache-2.0

// Hugging Face folders of llama's family, spoiled by hand: one row per fault, with the words that
// the sentence must hold. That each is refused at once, in one line and in bounded memory is
// checked by error_of.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <map>

#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

// 8 columns, 2 heads of 4, 1 of keys and values, 12 in the feed-forward, 1 layer, 6 tokens.
Shapes small_shapes() {
  const std::string layer = "model.layers.0.";
  return {{"model.embed_tokens.weight", {6, 8}},
          {"model.norm.weight", {8}},
          {"lm_head.weight", {6, 8}},
          {layer + "input_layernorm.weight", {8}},
          {layer + "post_attention_layernorm.weight", {8}},
          {layer + "self_attn.q_proj.weight", {8, 8}},
          {layer + "self_attn.k_proj.weight", {4, 8}},
          {layer + "self_attn.v_proj.weight", {4, 8}},
          {layer + "self_attn.o_proj.weight", {8, 8}},
          {layer + "mlp.gate_proj.weight", {12, 8}},
          {layer + "mlp.up_proj.weight", {12, 8}},
          {layer + "mlp.down_proj.weight", {8, 12}}};
}

// A config.json with `value` under `key`; "" takes the key out.
std::string config_with(const std::string& key = "", const std::string& value = "") {
  std::map<std::string, std::string> members = {{"architectures", R"(["LlamaForCausalLM"])"},
                                                {"hidden_size", "8"},
                                                {"intermediate_size", "12"},
                                                {"num_hidden_layers", "1"},
                                                {"num_attention_heads", "2"},
                                                {"num_key_value_heads", "1"},
                                                {"vocab_size", "6"},
                                                {"max_position_embeddings", "64"},
                                                {"rms_norm_eps", "1e-6"}};
  if (!key.empty()) members[key] = value;
  std::string text = "{";
  for (const auto& [name, content] : members)
    if (!content.empty()) text += (text == "{" ? "\"" : ", \"") + name + "\": " + content;
  return text + "}";
}

struct Folder : TemporaryFolder {
  Folder() {
    write_text(*this / "config.json", config_with());
    write_zeros(*this / "model.safetensors", small_shapes());
  }
  std::string refusal() const {
    return error_of([&] { Model::open(path().string()); });
  }
  // What is said about the file `name`, without its path.
  std::string refusal_of(const std::string& name) const {
    const std::string sentence = refusal(), begin = (*this / name) + ": ";
    return sentence.starts_with(begin) ? sentence.substr(begin.size()) : "elsewhere: " + sentence;
  }
};

// `value` under `key` of config.json, and words of the sentence.
struct Fault {
  const char *key, *value, *words;
};

constexpr const char* kWhole = "cannot be read: expected an integer, found";

const Fault kConfigFaults[] = {
    {"architectures", "", "key 'architectures' is missing"},
    {"architectures", "[]", "key 'architectures' is 'a list'"},
    {"architectures", "[7]", "key 'architectures' is 'a list'"},
    {"architectures", R"(["LlamaForCausalLM", "LlamaForCausalLM"])", "is 'a list'"},
    {"architectures", R"(["GPT2LMHeadModel"])", "is 'GPT2LMHeadModel', which cannot be read"},
    {"architectures", R"(["Llama\nFor\u001b[2J"])",
     "is 'Llama\\x0aFor\\x1b[2J', which cannot be read"},
    {"hidden_size", "", "key 'hidden_size' is missing"},
    {"hidden_size", "null", "key 'hidden_size' is missing"},
    {"hidden_size", "0", "key 'hidden_size' is 0 but must be 1 to 2147483648"},
    {"hidden_size", "-8", "key 'hidden_size' is -8 but must be 1 to"},
    {"hidden_size", "2147483649", "key 'hidden_size' is 2147483649 but must be 1 to"},
    {"hidden_size", "9223372036854775808", "the number 9223372036854775808 is too large"},
    {"hidden_size", "8.0", kWhole},
    {"hidden_size", "\"8\"", kWhole},
    {"hidden_size", "true", kWhole},
    {"hidden_size", "[8]", kWhole},
    {"hidden_size", "{}", kWhole},
    {"hidden_size", "16", "the shape [6, 8] but [6, 16] is needed"},
    {"hidden_size", "2147483648", "the shape [6, 8] but [6, 2147483648] is needed"},
    {"intermediate_size", "2147483648", "the shape [12, 8] but [2147483648, 8] is needed"},
    {"num_hidden_layers", "0", "key 'num_hidden_layers' is 0"},
    {"num_hidden_layers", "2", "'model.layers.1.input_layernorm.weight' is missing"},
    {"num_hidden_layers", "4097", "num_hidden_layers is more than 4096"},
    {"num_attention_heads", "3", "num_attention_heads is 3, which does not divide hidden_size"},
    {"num_attention_heads", "8", "head_dim makes heads of 1 values of which 1 rotate"},
    {"num_attention_heads", "16", "does not divide hidden_size"},
    {"num_key_value_heads", "4", "num_key_value_heads is 4, which does not divide"},
    {"head_dim", "5", "head_dim makes heads of 5 values of which 5 rotate"},
    {"head_dim", "2147483648", "the shape [8, 8] but [4294967296, 8] is needed"},
    {"vocab_size", "7", "the shape [6, 8] but [7, 8] is needed"},
    {"vocab_size", "-1", "key 'vocab_size' is -1"},
    {"max_position_embeddings", "0", "key 'max_position_embeddings' is 0"},
    {"rms_norm_eps", "0", "rms_norm_eps must be a number above 0"},
    {"rms_norm_eps", "-1e-5", "rms_norm_eps must be a number above 0"},
    {"rms_norm_eps", "\"1e-6\"", "key 'rms_norm_eps' cannot be read: expected a real"},
    {"rms_norm_eps", "1e999", "config.json: "},
    {"rms_norm_eps", "NaN", "the JSON cannot be read"},
    {"rms_norm_eps", "Infinity", "the JSON cannot be read"},
    {"rope_theta", "0", "key 'rope_theta' must be above 0"},
    {"rope_theta", "-1", "key 'rope_theta' must be above 0"},
    {"rope_theta", "\"ten\"", "key 'rope_theta' cannot be read"},
    {"rope_scaling", "7", "key 'rope_scaling' must be a map"},
    {"rope_scaling", R"({"type": "spiral"})", "has the type 'spiral'"},
    {"rope_scaling", R"({"type": "spi\nral"})", "has the type 'spi\\x0aral'"},
    {"rope_scaling", R"({"type": "linear", "factor": 2, "twist": 3})", "says 'twist'"},
    {"rope_scaling", R"({"type": "linear", "factor": {"a": 1}})", "rope_scaling.factor must be"},
    {"bos_token_id", "-1", "bos_token_id is -1, which is not a token id"},
    {"bos_token_id", "1.5", kWhole},
    {"bos_token_id", "6", "'bos_token_id' is 6, which is not a token of a vocabulary of 6"},
    {"eos_token_id", "6", "'eos_token_id' is 6, which is not a token of a vocabulary of 6"},
    {"eos_token_id", "[2, 4294967296]", "'eos_token_id' is 4294967296, which is not a token"},
    {"eos_token_id", "[2, \"x\"]", kWhole},
    {"eos_token_id", "[[2]]", kWhole},
    {"hidden_act", "\"gelu\"", "key 'hidden_act' must be silu"},
    {"hidden_act", "7", "key 'hidden_act' cannot be read: expected a text"},
    {"quantization_config", "{}", "key 'quantization_config' is not supported"},
    {"partial_rotary_factor", "0.5", "key 'partial_rotary_factor' must be 1"},
    {"tie_word_embeddings", "1", "key 'tie_word_embeddings' cannot be read: expected a bool"},
};

struct BadText {
  std::string text;
  const char* words;
};

// In the place of a whole config.json.
const BadText kBadConfigs[] = {
    {"", "the file is empty"},
    {"{", "byte offset 1: the JSON cannot be read"},
    {config_with().substr(0, 100), "byte offset 100: the JSON cannot be read"},
    {"[]", "byte offset 0: a config.json is an object"},
    {"7", "byte offset 0: a config.json is an object"},
    {"null", "byte offset 0: a config.json is an object"},
    {config_with() + "{}", "something follows the end of the JSON"},
    {config_with("hidden_size", "8, \"hidden_size\": 8"), "'hidden_size' occurs twice"},
    {config_with("a\\nb", "8, \"a\\nb\": 8"), "'a\\x0ab' occurs twice"},
    {config_with("deep", std::string(1000, '[')), "the JSON cannot be read: too deep"},
    {config_with(std::string(300, 'k'), "1"), "the JSON cannot be read: key too large"},
    {config_with("hidden_size", "8 /* wide */"), "the JSON cannot be read"},
    {config_with("hidden_size", "08"), "the JSON cannot be read"},
    {config_with("text", "\"\xff\""), "the JSON cannot be read"},
    {config_with("text", std::string("\"\0\"", 3)), "the JSON cannot be read"},
    {config_with("text", "\"\\ud800\""), "the JSON cannot be read"},
    {"\xEF\xBB\xBF" + config_with(), "byte offset 0: the JSON cannot be read"},
    {std::string("\xFF\xFE{\0}\0", 6), "byte offset 0: the JSON cannot be read"},
    {std::string(64, '\0'), "byte offset 0: the JSON cannot be read"},
    {std::string(size_t{1} << 20, ' '), "byte offset 262144: what a model says of itself"},
    {"<!DOCTYPE html>", "this is a web page"},
    {"\x1f\x8b packed", "compressed with gzip"},
};

// A file beside config.json, for what reads it alone.
struct BadFile {
  const char* name;
  std::string text;
  const char* words;
};

std::string many(const std::string& item, size_t n) {
  std::string items = item;
  for (size_t i = 1; i < n; ++i) items += "," + item;
  return items;
}

const BadFile kBadFiles[] = {
    {"tokenizer_config.json", "", "the file is empty"},
    {"tokenizer_config.json", R"({"bos_token": {"content": ["<s>"]}})", "'bos_token.content'"},
    {"tokenizer_config.json", R"({"bos_token": 1.5})", "key 'bos_token' must be a text"},
    {"tokenizer_config.json", R"({"add_eos_token": 1})", "key 'add_eos_token' must be true or"},
    {"tokenizer_config.json", R"({"tokenizer_class": []})", "'tokenizer_class' must be a text"},
    {"tokenizer_config.json", R"({"chat_template": [{"template": {}}]})", "must be a text"},
    {"tokenizer_config.json", R"({"chat_template": [[]]})", "must be an object with name and"},
    {"tokenizer_config.json", R"({"chat_template": [)" + many("{}", 1 << 20) + "]}",
     "key 'chat_template' has more than 256 templates"},
    {"tokenizer_config.json", R"({"x": ")" + std::string(size_t{5} << 20, 'x') + "\"}",
     "the JSON cannot be read: string too large"},
    {"tokenizer_config.json", R"({"x": [)" + many("0", (1 << 20) + 1) + "]}",
     "the JSON cannot be read: array too large"},
    {"tokenizer_config.json", R"({"x": )" + std::string(100, '['), "too deep"},
    {"tokenizer_config.json", R"({"bos_token": "a", "bos_token": "b"})", "occurs twice"},
    {"tokenizer_config.json", std::string(size_t{17} << 20, ' '), "at most 16 MiB"},
    {"special_tokens_map.json", R"({"unk_token": 7})", "key 'unk_token' must be a text"},
    {"special_tokens_map.json", R"(["<s>"] x)", "something follows the end"},
    {"generation_config.json", "{", "byte offset 1: the JSON cannot be read"},
    {"generation_config.json", R"({"eos_token_id": "2"})", "must be an id or a list of ids"},
    {"generation_config.json", R"({"eos_token_id": 2.5})", "must be an id or a list of ids"},
    {"generation_config.json", R"({"eos_token_id": {"a": 2}})", "must be an id or a list of ids"},
    {"generation_config.json", R"({"eos_token_id": 99999999999999999999})", "must be an id"},
    {"generation_config.json", R"({"eos_token_id": [2, 6]})", "'eos_token_id' is 6, which is not"},
};

void cut_shapes(const Folder& folder, const std::string& name, size_t n) {
  Shapes shapes = small_shapes();
  while (shapes.size() > n) shapes.erase(std::prev(shapes.end()));
  write_zeros(folder / name, shapes);
}

void add_tensor(const Folder& folder, const std::string& name, std::vector<int64_t> shape) {
  Shapes more = small_shapes();
  more[name] = std::move(shape);
  write_zeros(folder / "model.safetensors", more);
}

// Shards: what is done to the folder, and words of the sentence.
struct BadShards {
  const char* what;
  void (*spoil)(const Folder& folder);
  const char* words;
};

void in_two(const Folder& folder) {
  Shapes first = small_shapes(), second;
  second.insert(first.extract("lm_head.weight"));
  write_zeros(folder / "model-00001-of-00002.safetensors", first);
  write_zeros(folder / "model-00002-of-00002.safetensors", second);
  std::filesystem::remove(folder / "model.safetensors");
}

const BadShards kBadShards[] = {
    {"no weights", [](const Folder& f) { std::filesystem::remove(f / "model.safetensors"); },
     "there is neither model.safetensors nor a first shard"},
    {"a count of no shards",
     [](const Folder& f) {
       std::filesystem::rename(f / "model.safetensors", f / "model-00001-of-00000.safetensors");
     },
     "there is neither model.safetensors nor a first shard"},
    {"a pickle",
     [](const Folder& f) {
       std::filesystem::rename(f / "model.safetensors", f / "pytorch_model.bin");
     },
     "pytorch_model.bin, which only PyTorch can read"},
    {"a shard that is missing",
     [](const Folder& f) {
       in_two(f);
       std::filesystem::remove(f / "model-00002-of-00002.safetensors");
     },
     "model-00002-of-00002.safetensors: No such file"},
    {"more shards than there are",
     [](const Folder& f) {
       std::filesystem::rename(f / "model.safetensors", f / "model-00001-of-99999.safetensors");
     },
     "model-00002-of-99999.safetensors: No such file"},
    {"a tensor in two shards",
     [](const Folder& f) {
       in_two(f);
       write_zeros(f / "model-00002-of-00002.safetensors", small_shapes());
     },
     "is in an earlier file already"},
    {"a shard that is a pointer",
     [](const Folder& f) {
       in_two(f);
       write_text(f / "model-00002-of-00002.safetensors", "version https://git-lfs");
     },
     "model-00002-of-00002.safetensors: this is a Git LFS pointer"},
    {"an empty shard",
     [](const Folder& f) {
       in_two(f);
       write_text(f / "model-00002-of-00002.safetensors", "");
     },
     "byte offset 0: the file ends inside the header's length"},
    {"a folder in the place of the weights",
     [](const Folder& f) {
       std::filesystem::remove(f / "model.safetensors");
       std::filesystem::create_directory(f / "model.safetensors");
     },
     "model.safetensors: it is a directory"},
    {"a pipe in the place of the weights",
     [](const Folder& f) {
       std::filesystem::remove(f / "model.safetensors");
       ::mkfifo((f / "model.safetensors").c_str(), 0600);
     },
     "model.safetensors: not a regular file"},
    {"a pipe in the place of config.json",
     [](const Folder& f) {
       std::filesystem::remove(f / "config.json");
       ::mkfifo((f / "config.json").c_str(), 0600);
     },
     "config.json: not a regular file"},
    {"a link that leads to itself",
     [](const Folder& f) {
       std::filesystem::remove(f / "config.json");
       std::filesystem::create_symlink("config.json", f / "config.json");
     },
     "holds no model of a known format"},
    {"a tensor too few", [](const Folder& f) { cut_shapes(f, "model.safetensors", 11); },
     "the tensor 'model.norm.weight' is missing"},
    {"a tensor of no meaning",
     [](const Folder& f) { add_tensor(f, "model.layers.0.self_attn.sinks", {2}); },
     "'model.layers.0.self_attn.sinks' has no meaning"},
    {"a layer too many",
     [](const Folder& f) { add_tensor(f, "model.layers.1.input_layernorm.weight", {8}); },
     "'model.layers.1.input_layernorm.weight' has no meaning"},
    {"a layer of no number",
     [](const Folder& f) { add_tensor(f, "model.layers.-1.input_layernorm.weight", {8}); },
     "'model.layers.-1.input_layernorm.weight' has no meaning"},
};

}  // namespace

TEST_CASE("the folder that the faults are put into is a model") {
  CHECK(Folder().refusal().empty());
}

TEST_CASE("each fault of a config.json is refused with its key") {
  const Folder folder;
  for (const Fault& fault : kConfigFaults) {
    CAPTURE(fault.key);
    CAPTURE(fault.value);
    write_text(folder / "config.json", config_with(fault.key, fault.value));
    const std::string sentence = folder.refusal();
    CHECK_MESSAGE(contains(sentence, fault.words), sentence);
    CHECK_MESSAGE(sentence.starts_with(folder.path().string()), sentence);
  }
}

TEST_CASE("each text that is no config.json is refused with its place") {
  const Folder folder;
  for (const BadText& bad : kBadConfigs) {
    CAPTURE(bad.text.substr(0, 80));
    write_text(folder / "config.json", bad.text);
    const std::string sentence = folder.refusal_of("config.json");
    CHECK_MESSAGE(contains(sentence, bad.words), sentence);
  }
}

TEST_CASE("each fault of a tokenizer's configuration is refused with its key or place") {
  for (const BadFile& bad : kBadFiles) {
    const TemporaryFolder folder;
    CAPTURE(bad.name);
    CAPTURE(bad.text.substr(0, 80));
    write_text(folder / bad.name, bad.text);
    const std::string sentence = error_of(
        [&] {
          read_tokenizer_config(folder.path());
          read_generation_ends(folder.path(), 6);
        },
        bad.text.size());
    CHECK_MESSAGE(contains(sentence, bad.words), sentence);
    CHECK_MESSAGE(sentence.starts_with(folder / bad.name), sentence);
  }
}

TEST_CASE("weights of a folder that are not all there, or others, are refused by file or tensor") {
  for (const BadShards& bad : kBadShards) {
    CAPTURE(bad.what);
    const Folder folder;
    bad.spoil(folder);
    const std::string sentence = folder.refusal();
    CHECK_MESSAGE(contains(sentence, bad.words), sentence);
  }
}
