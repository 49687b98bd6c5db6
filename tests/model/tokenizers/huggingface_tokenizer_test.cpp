// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/huggingface_tokenizer.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

using Ids = std::vector<int32_t>;

const std::string kAdded = R"([{"id": 7, "content": "<end>", "special": true},
    {"id": 6, "content": "<tool>", "special": false, "normalized": false}])";
const std::string kModel =
    R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "\u0120": 4, "\u0120ab": 5},
        "merges": ["a b", "\u0120 ab"]})";
const std::string kByteLevel =
    R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";

// A tokenizer.json of these members; "" leaves one out.
std::string file_of(const std::string& model = kModel, const std::string& added = kAdded,
                    const std::string& more = "\"pre_tokenizer\": " + kByteLevel) {
  return "{\"added_tokens\": " + (added.empty() ? "[]" : added) +
         (more.empty() ? "" : ", " + more) + (model.empty() ? "" : ", \"model\": " + model) + "}";
}

std::unique_ptr<const Tokenizer> make(const std::string& text, int64_t vocab_size = 8,
                                      const std::string& path = "t.json") {
  const Bytes bytes = as_bytes(text);
  return make_huggingface_tokenizer(bytes, path, vocab_size);
}

// What is said about a file, without its path.
std::string refusal(const std::string& text, int64_t vocab_size = 8) {
  const std::string sentence = error_of([&] { make(text, vocab_size); });
  return sentence.starts_with("t.json: ") ? sentence.substr(8) : "elsewhere: " + sentence;
}

std::string with(const std::string& key, const std::string& value) {
  return file_of(kModel, kAdded, "\"" + key + "\": " + value);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("a control token in a text is text, another added token is one") {
  const auto tokenizer = make(file_of());
  CHECK(tokenizer->encode_text("ab ab<tool>c", true) == Ids{3, 5, 6, 2});
  CHECK(error_of([&] { tokenizer->encode_text("ab<end>", true); }) ==
        "the text has at byte offset 2 a byte that the tokenizer's vocabulary cannot express; "
        "take it out of the text");
  REQUIRE(tokenizer->control_tokens().size() == 1);
  CHECK(tokenizer->control_tokens()[0].text == "<end>");
}

TEST_CASE("merges are texts or pairs") {
  const std::string pairs =
      replaced(kModel, R"("a b", "\u0120 ab")", R"(["a", "b"], ["\u0120", "ab"])");
  CHECK(make(file_of(pairs))->encode_text("ab ab", true) == Ids{3, 5});
}

TEST_CASE("with ignore_merges a word that is a token is not merged") {
  const std::string unmerged = replaced(kModel, R"("a b", )", R"()");
  const std::string model = replaced(unmerged, R"("\u0120 ab")", "");
  CHECK(make(file_of(model))->encode_text("ab", true) == Ids{0, 1});
  CHECK(
      make(file_of(replaced(model, "{", R"({"ignore_merges": true, )")))->encode_text("ab", true) ==
      Ids{3});
}

TEST_CASE(
    "a prefix of the byte level stands before a text that begins, not before one that goes on") {
  const std::string prefixed = replaced(kByteLevel, "false", "true");
  const auto tokenizer = make(with("pre_tokenizer", prefixed));
  CHECK(tokenizer->encode_text("ab", true) == Ids{5});
  CHECK(tokenizer->encode_text(" ab", true) == Ids{5});
  CHECK(tokenizer->encode_text("ab", false) == Ids{3});
}

TEST_CASE("bos is what the post-processor puts before a text, or what the configuration says") {
  const TemporaryFolder folder;
  const std::string path = folder / "tokenizer.json";
  const std::string text =
      with("post_processor",
           R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<end>"}},
          {"Sequence": {"id": "A"}}], "special_tokens": {"<end>": {"tokens": ["<end>"]}}})");
  CHECK(make(text, 8, path)->bos_id() == 7);
  write(folder / "tokenizer_config.json", R"({"add_bos_token": false, "bos_token": "<end>"})");
  CHECK(make(text, 8, path)->bos_id() == -1);
  write(folder / "tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "<end>"})");
  CHECK(make(file_of(), 8, path)->bos_id() == 7);
  write(folder / "tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "<no>"})");
  CHECK(
      contains(error_of([&] { make(file_of(), 8, path); }), "is '<no>', which is not a token of"));
}

TEST_CASE("generation_config.json says what ends a text; eos_token is the one that is written") {
  const TemporaryFolder folder;
  const std::string path = folder / "tokenizer.json";
  const auto ends = [&] {
    const auto tokenizer = make(file_of(), 8, path);
    return Ids(tokenizer->eos_ids().begin(), tokenizer->eos_ids().end());
  };
  write(folder / "tokenizer_config.json", R"({"eos_token": "<end>"})");
  CHECK(ends() == Ids{7});
  write(folder / "generation_config.json", R"({"eos_token_id": [2, 7]})");
  CHECK(ends() == Ids{7, 2});
  write(folder / "generation_config.json", R"({"eos_token_id": [2]})");
  CHECK(ends() == Ids{2});
  write(folder / "generation_config.json", R"({"eos_token_id": [8]})");
  CHECK(contains(error_of(ends), "generation_config.json: key 'eos_token_id' is 8, which is no"));
}

TEST_CASE(
    "ids of the model that the tokenizer has not: padding is shown, more is an error at load") {
  const auto padded = make(file_of(), 12);
  CHECK(padded->vocab_size() == 12);
  CHECK(padded->decode(-1, 11) == "[PAD11]");
  CHECK(refusal(file_of(), 40) ==
        "there are 8 tokens where the model has 40; the tokenizer belongs to another model");
  CHECK(refusal(file_of(), 5) ==
        "the token 5, '\xC4\xA0"
        "ab', is beyond the model's vocabulary of "
        "5; the tokenizer belongs to another model");
  CHECK(make(file_of(), 7)->control_tokens().empty());  // <end> is left out: no text gives it
}

TEST_CASE("byte fallback and unknown characters") {
  const std::string model =
      R"({"type": "BPE", "unk_token": "?", "byte_fallback": true, "fuse_unk": FUSE,
          "vocab": {"?": 0, "a": 1, "<0x62>": 2}, "merges": []})";
  const auto ids = [&](const char* fuse, const char* text) {
    return make(file_of(replaced(model, "FUSE", fuse), "", ""), 3)->encode_text(text, true);
  };
  CHECK(ids("true", "abxya") == Ids{1, 2, 0, 1});
  CHECK(ids("false", "abxya") == Ids{1, 2, 0, 0, 1});
}

TEST_CASE("what a tokenizer.json has that is malformed or not supported is refused by its key") {
  CHECK(refusal("{").starts_with("byte offset 1: "));
  CHECK(refusal("{\"a\": 1, \"a\": 2}") == "the key 'a' occurs twice");
  CHECK(refusal("[]") == "byte offset 0: a tokenizer.json is an object");
  CHECK(refusal(file_of("")) == "key 'model' is missing");
  CHECK(refusal(file_of("[]")) == "key 'model' must be an object");
  CHECK(refusal(file_of(R"({"type": "BPE"})")) == "key 'model.vocab' is missing");
  CHECK(refusal(file_of(R"({"type": "BPE", "vocab": {}})")) ==
        "key 'model' has no tokens in vocab");
  CHECK(refusal(file_of(R"({"type": "BPE", "vocab": []})")) ==
        "key 'model' has no tokens in vocab");
  CHECK(refusal(file_of(R"({"type": "Unigram", "vocab": [["a", -1.5]]})")) ==
        "key 'model.type' is 'Unigram', which is not supported; BPE is");
  CHECK(refusal(file_of(replaced(kModel, "\"b\": 1", "\"b\": \"1\""))) ==
        "key 'model.vocab.b' must be an id from 0 to 524287");
  CHECK(refusal(file_of(replaced(kModel, "\"b\": 1", "\"b\": -1"))) ==
        "key 'model.vocab.b' must be an id from 0 to 524287");
  CHECK(refusal(file_of(replaced(kModel, "\"b\": 1", "\"b\": 99999999999"))) ==
        "key 'model.vocab.b' must be an id from 0 to 524287");
  CHECK(refusal(file_of(replaced(kModel, "\"b\": 1", "\"b\": 0"))) ==
        "key 'model' has in vocab two tokens with the id 0");
  CHECK(refusal(file_of(replaced(kModel, "a b", "a x"))) ==
        "key 'model' has the merge 0, 'a x', which is not of two tokens that make a third");
  CHECK(refusal(file_of(replaced(kModel, "\"a b\"", "\"ab\"")))
            .starts_with("key 'model' has the merge 0, 'ab "));
  CHECK(refusal(file_of(replaced(kModel, "\"a b\"", "7"))) ==
        "key 'model.merges[0]' must be a text or two");
  CHECK(refusal(file_of(replaced(kModel, "\"a b\"", "[\"a\"]"))) ==
        "key 'model.merges[0]' must be of two tokens");
  CHECK(refusal(file_of(replaced(kModel, "\"a b\"", "[\"a\", \"b\", \"c\"]"))) ==
        "key 'model.merges[0]' must be of two tokens");
  CHECK(refusal(file_of(replaced(kModel, "{", "{\"dropout\": 0.1, "))) ==
        "key 'model.dropout' is not supported");
  CHECK(refusal(file_of(replaced(kModel, "{", "{\"end_of_word_suffix\": \"</w>\", "))) ==
        "key 'model.end_of_word_suffix' must be empty");
  CHECK(refusal(file_of(replaced(kModel, "{", "{\"unk_token\": \"x\", "))) ==
        "key 'model.unk_token' is 'x', which is not a token");
  CHECK(refusal(file_of(replaced(kModel, "{", "{\"byte_fallback\": 1, "))) ==
        "key 'model.byte_fallback' must be true or false");
}

TEST_CASE("added tokens, rules for texts and decoders that cannot be followed are refused by key") {
  CHECK(refusal(file_of(kModel, R"([{"content": "x"}])")) == "key 'added_tokens[0].id' is missing");
  CHECK(refusal(file_of(kModel, R"([{"id": 7, "content": ""}])")) ==
        "key 'added_tokens[0].content' is empty");
  CHECK(refusal(file_of(kModel, R"([{"id": 524288, "content": "x"}])")) ==
        "key 'added_tokens[0].id' must be an id from 0 to 524287");
  CHECK(refusal(file_of(kModel, R"([{"id": 1, "content": "x"}])")) ==
        "key 'added_tokens[0].id' is 1, which is the id of another token");
  CHECK(refusal(file_of(kModel, R"([{"id": 7, "content": "a"}])")) ==
        "key 'added_tokens[0].id' is 7, and the token 'a' has the id 0 already");
  CHECK(refusal(with("normalizer", R"({"type": "Lowercase"})")) ==
        "key 'normalizer.type' is 'Lowercase', which is not supported; NFC, Prepend, Replace and "
        "Sequence are");
  CHECK(refusal(with("normalizer", R"({"type": "Sequence", "normalizers": [{"type": 1}]})")) ==
        "key 'normalizer.normalizers[0].type' must be a text");
  CHECK(refusal(with("normalizer",
                     R"({"type": "Replace", "pattern": {"String": ""}, "content": "x"})")) ==
        "key 'normalizer.pattern.String' is empty");
  CHECK(refusal(with("pre_tokenizer", R"({"type": "BertPreTokenizer"})")) ==
        "key 'pre_tokenizer.type' is 'BertPreTokenizer', which is not supported; ByteLevel, Split, "
        "Digits, Metaspace and Sequence are");
  const auto split = [](const std::string& regex, const std::string& behavior = "Isolated") {
    return with("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": ")" + regex +
                                     R"("}, "behavior": ")" + behavior + "\"}");
  };
  CHECK(refusal(split("a", "Removed")) ==
        "key 'pre_tokenizer.behavior' is 'Removed', which is not supported; Isolated is");
  CHECK(refusal(split("a("))
            .starts_with(
                "key 'pre_tokenizer.pattern.Regex' the pattern of a vocabulary cannot be used: "));
  CHECK(refusal(split("a\\\\wb")) ==
        "key 'pre_tokenizer.pattern.Regex' has at byte offset 1 the escape \\w, which is not "
        "supported in a pattern");
  CHECK(contains(refusal(split("[^\\\\S]")), "has at byte offset 2 \\S in a set"));
  CHECK(contains(refusal(split("[a[b]]")), "a set inside a set"));
  CHECK(contains(refusal(split("^a")), "the anchor ^"));
  CHECK(contains(refusal(split("[a")), "a set without an end"));
  CHECK(contains(refusal(split("(*COMMIT)a")), "a verb"));
  CHECK(refusal(with("pre_tokenizer", R"({"type": "Metaspace", "replacement": "_"})")) ==
        "key 'pre_tokenizer.replacement' is another character than U+2581, which is not supported");
  CHECK(refusal(with("pre_tokenizer", R"({"type": "Metaspace", "prepend_scheme": "last"})")) ==
        "key 'pre_tokenizer.prepend_scheme' must be always, first or never");
  CHECK(refusal(with("decoder", R"({"type": "WordPiece"})")) ==
        "key 'decoder.type' is 'WordPiece', which is not supported; ByteLevel, ByteFallback, Fuse, "
        "Metaspace, Replace, Strip and Sequence are");
  CHECK(refusal(with("decoder", R"({"type": "Strip", "start": 2})")) ==
        "key 'decoder' takes more away than one space at the begin, which is not supported");
  CHECK(refusal(with("post_processor", R"({"type": "RobertaProcessing"})")) ==
        "key 'post_processor.type' is 'RobertaProcessing', which is not supported; ByteLevel, "
        "TemplateProcessing and Sequence are");
  CHECK(refusal(with("post_processor",
                     R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}],
                         "special_tokens": {"x": {"tokens": ["x"]}}})")) ==
        "key 'post_processor' puts 'x' before a text, which is not a token");
}
