// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/tokenizer_config.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "core/model/formats/llama_config.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// What is said about a folder whose file `name` has this text.
std::string refusal(const std::string& name, std::string_view text) {
  const TemporaryFolder folder;
  write(folder / name, text);
  const std::string sentence = error_of([&] {
    read_tokenizer_config(folder.path());
    read_generation_ends(folder.path(), 8);
  });
  const std::string begin = (folder / name) + ": ";
  return sentence.starts_with(begin) ? sentence.substr(begin.size()) : "elsewhere: " + sentence;
}

}  // namespace

TEST_CASE("a folder's special tokens are texts or objects, and the map fills in what is missing") {
  const TemporaryFolder folder;
  write(folder / "tokenizer_config.json", R"({
    "tokenizer_class": "LlamaTokenizer", "bos_token": {"content": "<s>", "lstrip": false},
    "eos_token": "</s>", "unk_token": null, "add_bos_token": true,
    "added_tokens_decoder": {"7": {"content": "x", "bos_token": "y"}},
    "chat_template": "{{ bos_token }}"})");
  write(folder / "special_tokens_map.json",
        R"({"eos_token": "<other>", "unk_token": {"content": "<unk>"}, "pad_token": "<pad>"})");
  const TokenizerConfig config = read_tokenizer_config(folder.path());
  CHECK(config.tokenizer_class == "LlamaTokenizer");
  CHECK(config.bos_token == "<s>");
  CHECK(config.eos_token == "</s>");
  CHECK(config.unk_token == "<unk>");
  CHECK(config.pad_token == "<pad>");
  CHECK(config.add_bos_token == true);
  CHECK(config.add_eos_token == std::nullopt);
  CHECK(config.chat_template == "{{ bos_token }}");
  CHECK(config.chat_templates.empty());
}

TEST_CASE("of several templates the default one is used, and a file of its own goes before all") {
  const TemporaryFolder folder;
  write(folder / "tokenizer_config.json",
        R"({"chat_template": [{"name": "rag", "template": "R"},
                              {"template": "D", "name": "default"}]})");
  CHECK(read_tokenizer_config(folder.path()).chat_template == "D");
  CHECK(read_tokenizer_config(folder.path()).chat_templates.at("rag") == "R");
  write(folder / "chat_template.jinja", "own\n");
  CHECK(read_tokenizer_config(folder.path()).chat_template == "own\n");
}

TEST_CASE("a folder without these files says nothing") {
  const TemporaryFolder folder;
  CHECK(read_tokenizer_config(folder.path()).bos_token.empty());
  CHECK(read_generation_ends(folder.path(), 8) == std::nullopt);
}

TEST_CASE("generation_config.json gives one id or several that end a text") {
  const TemporaryFolder folder;
  const auto ends = [&](std::string_view text) {
    write(folder / "generation_config.json", text);
    return read_generation_ends(folder.path(), 10);
  };
  using Ids = std::vector<int64_t>;
  CHECK(ends(R"({"eos_token_id": 7})") == Ids{7});
  CHECK(ends(R"({"bos_token_id": 1, "eos_token_id": [9, 7, 9]})") == Ids{9, 7});
  CHECK(ends(R"({"eos_token_id": null})") == std::nullopt);
  CHECK(ends(R"({})") == std::nullopt);
}

TEST_CASE("a model stops where generation_config.json says, not where config.json does") {
  const TemporaryFolder folder;
  write(folder / "config.json",
        R"({"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 8,
            "num_attention_heads": 2, "max_position_embeddings": 8, "eos_token_id": 2})");
  const auto ends = [&] {
    return llama_spec(HuggingFaceConfig(folder.path()), "LlamaForCausalLM").info.eos_ids;
  };
  CHECK(ends() == std::vector{2});
  write(folder / "generation_config.json", R"({"eos_token_id": [5, 3]})");
  CHECK(ends() == std::vector{5, 3});
  write(folder / "generation_config.json", R"({"eos_token_id": [5, 8]})");
  CHECK(error_of(ends) ==
        (folder / "generation_config.json") +
            ": key 'eos_token_id' is 8, which is not a token of a vocabulary of 8");
}

TEST_CASE("what a folder says in another form than it must is refused by key") {
  CHECK(refusal("tokenizer_config.json", R"({"bos_token": 1})") ==
        "key 'bos_token' must be a text");
  CHECK(refusal("tokenizer_config.json", R"({"eos_token": {"content": true}})") ==
        "key 'eos_token.content' must be a text");
  CHECK(refusal("special_tokens_map.json", R"({"pad_token": ["<pad>"]})") ==
        "key 'pad_token' must be a text");
  CHECK(refusal("tokenizer_config.json", R"({"add_bos_token": "yes"})") ==
        "key 'add_bos_token' must be true or false");
  CHECK(refusal("tokenizer_config.json", R"({"chat_template": {"a": "b"}})") ==
        "key 'chat_template' must be a text");
  CHECK(refusal("tokenizer_config.json", R"({"chat_template": ["a"]})") ==
        "key 'chat_template[]' must be an object with name and template");
  CHECK(refusal("tokenizer_config.json", R"({"chat_template": [{"name": 1}]})") ==
        "key 'chat_template[].name' must be a text");
  CHECK(refusal("tokenizer_config.json", "{\"a\": }").starts_with("byte offset 6: "));
  CHECK(refusal("generation_config.json", R"({"eos_token_id": -1})") ==
        "key 'eos_token_id' must be an id or a list of ids");
  CHECK(refusal("generation_config.json", R"({"eos_token_id": 2147483648})") ==
        "key 'eos_token_id' must be an id or a list of ids");
  CHECK(refusal("generation_config.json", R"({"eos_token_id": [1, "2"]})") ==
        "key 'eos_token_id[]' must be an id or a list of ids");
  CHECK(refusal("generation_config.json", R"({"eos_token_id": [[1]]})") ==
        "key 'eos_token_id[]' must be an id or a list of ids");
}
