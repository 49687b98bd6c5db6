// SPDX-License-Identifier: Apache-2.0

// Vocabularies of Hugging Face's and sentencepiece's files in GGUF files: the same ids and texts.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/base/json/json.hpp"
#include "core/model/conversion/gguf_document.hpp"
#include "core/model/conversion/gguf_vocabulary_keys.hpp"
#include "core/model/conversion/llama_folder_writer.hpp"
#include "core/model/templates/chat_template.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "tests/model/decoded.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

std::string golden_tokenizer(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/tokenizers/" + name;
}

std::string golden_text(const std::string& name) {
  return std::string(as_text(read_bytes(golden_tokenizer(name))));
}

std::vector<std::string> texts() {
  const Json cases = Json::parse(golden_text("cases.json"), "cases.json");
  std::vector<std::string> texts = {"line \xFF\xC3\n\xE2\x96", "....", "-----", "a\n\n\n   b"};
  for (const Json& text : cases.at("texts").list()) texts.push_back(text.text());
  return texts;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

// The member from its key to what follows it.
std::string with_member(std::string text, const std::string& key, const std::string& value,
                        const std::string& next) {
  const size_t begin = text.find("\"" + key + "\""), end = text.find(", \"" + next + "\"");
  REQUIRE(begin < end);
  return text.replace(begin, end - begin, "\"" + key + "\": " + value);
}

// bytes.json with one user-defined token that nothing beside it changes, and a control token.
std::string plain_bytes() {
  return with_member(golden_text("bytes.json"), "added_tokens",
                     R"([{"id": 506, "content": "<tool>", "normalized": false, "special": false},
                         {"id": 507, "content": "<|end|>", "special": true}])",
                     "normalizer");
}

std::string with_split(const std::string& pattern) {
  return with_member(
      plain_bytes(), "pre_tokenizer",
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "behavior": "Isolated", "pattern": {"Regex": ")" +
          pattern +
          R"("}}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})",
      "post_processor");
}

std::string taking_whole_words(const std::string& text) {
  return replaced(text, R"("ignore_merges": false)", R"("ignore_merges": true)");
}

std::string later_pattern(const std::string& digits) {
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|)" + digits +
         R"(| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";
}

constexpr const char* kTekken =
    R"([^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|)"
    R"([^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|)"
    R"(\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";

// A list of merges of the golden file, which lacks one that the vocabulary has tokens for.
std::string complete(const std::string& text) {
  return replaced(text, R"("merges": [)", R"("merges": ["\u2581 t", )");
}

ModelInfo info_of(int64_t vocab_size) {
  ModelInfo info;
  info.vocab_size = vocab_size;
  info.bos_id = -1;
  info.eos_ids = {};
  return info;
}

// A tokenizer and what is written of it.
class Written {
 public:
  Written(const std::string& name, std::string_view text, int64_t vocab_size,
          const std::string& config = "{}")
      : info_(info_of(vocab_size)), original_(scratch_ / name), gguf_(scratch_ / "v.gguf") {
    write_text(original_, text);
    write_text(scratch_ / "tokenizer_config.json", config);
    write();
  }

  const std::vector<std::string>& notes() const { return document_.notes; }
  std::string text(const std::string& key) const {
    const Bytes bytes = read_bytes(gguf_);
    return std::string(Gguf(bytes, "v").text(key).value_or("(none)"));
  }
  std::optional<int64_t> whole(const std::string& key) const {
    const Bytes bytes = read_bytes(gguf_);
    return Gguf(bytes, "v").whole("tokenizer.ggml." + key);
  }

  void check_same() const {
    const auto before = open_tokenizer(original_, info_), after = open_tokenizer(gguf_, info_);
    for (const std::string& text : texts())
      for (const bool prefix : {true, false}) {
        CAPTURE(text);
        const auto ids = before->encode_text(text, prefix);
        CHECK(after->encode_text(text, prefix) == ids);
        CHECK(decoded(*after, ids) == decoded(*before, ids));
      }
    CHECK(after->bos_id() == before->bos_id());
    CHECK(std::ranges::equal(after->eos_ids(), before->eos_ids()));
    CHECK(after->control_tokens().size() == before->control_tokens().size());
  }

 private:
  void write() {
    document_.keys.set_text("general.architecture", "llama");
    add_vocabulary_keys(info_, original_, document_);
    GgufWriter writer(gguf_, document_.keys, {}, {});
    writer.commit();
  }

  TemporaryFolder scratch_;
  ModelInfo info_;
  std::string original_, gguf_;
  GgufDocument document_;
};

void check_left_out(const std::string& name, std::string_view text, int64_t vocab_size,
                    const char* reason) {
  CAPTURE(reason);
  const Written written(name, text, vocab_size);
  CHECK(written.text("tokenizer.ggml.model") == "no_vocab");
  REQUIRE(written.notes().size() == 1);
  CAPTURE(written.notes().front());
  CHECK(contains(written.notes().front(), "GGUF cannot hold the tokenizer of "));
  CHECK(contains(written.notes().front(), reason));
}

}  // namespace

TEST_CASE("a byte-level tokenizer.json in GGUF gives the same ids, whatever GGUF calls it") {
  const std::string gpt2 = R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";
  const std::string smollm =
      R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, )" +
      gpt2 + "]}";
  const auto with_pre = [](const std::string& pre) {
    return with_member(plain_bytes(), "pre_tokenizer", pre, "post_processor");
  };
  const std::pair<const char*, std::string> kinds[] = {
      {"gpt-2", with_pre(gpt2)},
      {"smollm", with_pre(smollm)},
      {"qwen2", with_split(later_pattern(R"(\\p{N})"))},
      {"llama-bpe", taking_whole_words(with_split(later_pattern(R"(\\p{N}{1,3})")))},
      {"tekken", taking_whole_words(with_split(kTekken))}};
  for (const auto& [pre, json] : kinds) {
    CAPTURE(pre);
    const Written written("tokenizer.json", json, 508);
    CHECK(written.text("tokenizer.ggml.model") == "gpt2");
    CHECK(written.text("tokenizer.ggml.pre") == pre);
    written.check_same();
  }
}

TEST_CASE("texts that a tokenizer composes are composed with its GGUF file, and a note says so") {
  const std::string qwen = with_split(later_pattern(R"(\\p{N})"));
  const Written composing("tokenizer.json", qwen, 508);
  CHECK(composing.text("tokenizer.perdure.normalizer") == "nfc");
  REQUIRE(composing.notes().size() == 1);
  CHECK(contains(composing.notes().front(), "llama.cpp does not"));
  const Written plain("tokenizer.json", with_member(qwen, "normalizer", "null", "pre_tokenizer"),
                      508);
  CHECK(plain.text("tokenizer.perdure.normalizer") == "(none)");
  CHECK(plain.notes().empty());
  plain.check_same();
}

TEST_CASE("merges of characters become scores that give the same ids") {
  const Written llama2("tokenizer.json", complete(golden_text("characters.json")), 601);
  CHECK(llama2.text("tokenizer.ggml.model") == "llama");
  CHECK(llama2.notes().empty());
  CHECK(llama2.whole("unknown_token_id") == 0);
  CHECK(llama2.whole("bos_token_id") == 1);
  llama2.check_same();
}

TEST_CASE("a space that stands before some texts only is said in a key of its own") {
  const std::string first = complete(golden_text("metaspace.json"));
  const Written written("tokenizer.json", first, 601);
  CHECK(written.text("tokenizer.perdure.space_prefix") == "text_unless_there");
  REQUIRE(written.notes().size() == 1);
  CHECK(contains(written.notes().front(), "no space before a text that begins with one"));
  written.check_same();
  const Written always(
      "tokenizer.json",
      replaced(first, R"("prepend_scheme": "first")", R"("prepend_scheme": "always")"), 601);
  CHECK(always.text("tokenizer.perdure.space_prefix") == "unless_there");
  always.check_same();
}

TEST_CASE("a sentencepiece model of pairs and bytes is GGUF's llama with its own scores") {
  const Written written("tokenizer.model", golden_text("bpe_bytes.model"), 600);
  CHECK(written.text("tokenizer.ggml.model") == "llama");
  CHECK(written.notes().empty());
  written.check_same();
}

TEST_CASE("what GGUF cannot hold of a tokenizer is named, and the model is written without it") {
  check_left_out("tokenizer.model", golden_text("unigram_bytes.model"), 600, "unigram");
  check_left_out("tokenizer.model", golden_text("bpe.model"), 400, "no byte tokens");
  check_left_out("tokenizer.json", golden_text("gpt2.json"), 506, "puts a space before a text");
  check_left_out("tokenizer.json", golden_text("bytes.json"), 510,
                 "'<tool>' depends on what stands beside it");
  check_left_out("tokenizer.json", with_split(R"(\\p{L}+|\\p{N}+)"), 508,
                 "has no name in GGUF files");
  check_left_out("tokenizer.json", golden_text("metaspace_split.json"), 601,
                 "takes a text apart before it merges");
  check_left_out("tokenizer.json",
                 replaced(plain_bytes(), R"("normalized": false)", R"("normalized": true)"), 508,
                 "added tokens in the normalised text");
  const std::string characters = complete(golden_text("characters.json"));
  check_left_out("tokenizer.json", golden_text("characters.json"), 601,
                 "its list of merges has no '\xE2\x96\x81 t', though both");
  check_left_out("tokenizer.json", replaced(characters, R"("h e", )", ""), 601,
                 "its list of merges has no 'h e'");
  check_left_out("tokenizer.json",
                 replaced(characters, R"("merges": [)", R"("merges": ["\u2581t he", )"), 601,
                 "stand apart in the list");
  check_left_out("tokenizer.json", replaced(characters, R"("start": 1)", R"("start": 0)"), 601,
                 "its decoder");
}

TEST_CASE("padding, a final end and a beginning that is not put go into GGUF as the folder says") {
  const Written written("tokenizer.json", complete(golden_text("characters.json")), 601,
                        R"({"add_bos_token": false, "bos_token": "<s>", "eos_token": "</s>",
                            "pad_token": "<unk>", "add_eos_token": true})");
  CHECK(written.whole("padding_token_id") == 0);
  written.check_same();
}

TEST_CASE("the chat template of a GGUF file is the folder's that is made of it, and comes back") {
  const TemporaryFolder scratch;
  const std::string chat = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}";
  const auto always = [](int64_t) { return true; };
  const Model model = Model::open(golden_gguf("F32"));
  GgufDocument document = gguf_document(model, golden_gguf("F32"));
  document.keys.set_text("tokenizer.chat_template", chat);
  REQUIRE(write_gguf(document, model, scratch / "m.gguf", {}, always));
  std::vector<std::string> notes;
  REQUIRE(write_llama_folder(Model::open(scratch / "m.gguf"), scratch / "f",
                             {.tokenizer = scratch / "m.gguf"}, always, notes));
  CHECK(model_chat_template(scratch / "f").source == chat);
  const Model folder = Model::open(scratch / "f");
  REQUIRE(write_gguf(gguf_document(folder, scratch / "f/tokenizer.gguf"), folder,
                     scratch / "again.gguf", {}, always));
  CHECK(model_chat_template(scratch / "again.gguf").source == chat);
}

TEST_CASE("several end tokens of a folder go into GGUF beside a GGUF vocabulary that has one") {
  const TemporaryFolder scratch;
  std::vector<std::string> notes;
  const auto always = [](int64_t) { return true; };
  REQUIRE(write_llama_folder(Model::open(golden_gguf("F32")), scratch / "f",
                             {.tokenizer = golden_gguf("F32")}, always, notes));
  write_text(scratch / "f/generation_config.json", R"({"eos_token_id": [5, 7]})");
  const Model model = Model::open(scratch / "f");
  REQUIRE(write_gguf(gguf_document(model, scratch / "f/tokenizer.gguf"), model, scratch / "m.gguf",
                     {}, always));
  const auto own = open_tokenizer(scratch / "f/tokenizer.gguf", model.spec().info);
  std::vector<int32_t> expected(own->eos_ids().begin(), own->eos_ids().end());
  expected.insert(expected.end(), {5, 7});
  CHECK(Model::open(scratch / "m.gguf").spec().info.eos_ids == expected);
  write_text(scratch / "f/generation_config.json", R"({"eos_token_id": [5, 7, 8, 9]})");
  const Model more = Model::open(scratch / "f");
  CHECK(contains(error_of([&] { gguf_document(more, scratch / "f/tokenizer.gguf"); }),
                 "has no place for 5 tokens that end a text; it has three"));
}
