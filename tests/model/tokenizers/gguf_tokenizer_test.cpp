// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_tokenizer.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/model/gguf_file.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

using Ids = std::vector<int32_t>;

// A tokenizer and the bytes that it borrows.
struct Made {
  Bytes bytes;
  std::unique_ptr<const Tokenizer> tokenizer;

  Made(const GgufFile& file, size_t vocab_size) : bytes(file.bytes()) {
    tokenizer =
        make_gguf_tokenizer(GgufVocabulary(bytes, "m.gguf", static_cast<int64_t>(vocab_size)));
  }
  Ids ids(std::string_view text, bool prefix = true) const {
    return tokenizer->encode_text(text, prefix);
  }
  std::string text(const Ids& ids) const {
    std::string text;
    int32_t previous = tokenizer->bos_id();
    for (const int32_t id : ids) {
      text += tokenizer->decode(previous, id);
      previous = id;
    }
    return text;
  }
};

struct Token {
  std::string text;
  float score = 0;
  int32_t kind = 1;
};

void set_tokens(GgufFile& file, const std::vector<Token>& tokens) {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::string kinds;
  for (const Token& token : tokens) {
    texts.push_back(token.text);
    scores.push_back(token.score);
    kinds += raw(token.kind);
  }
  file.set_texts("tokenizer.ggml.tokens", texts);
  file.set_reals("tokenizer.ggml.scores", scores);
  file.set("tokenizer.ggml.token_type", GgufType::kArray,
           raw_array(GgufType::kI32, tokens.size(), kinds));
}

const std::string kSpace = "\xE2\x96\x81";

// 0 to 2: special; 3 to 258: bytes; then pieces.
std::vector<Token> sentencepiece_tokens() {
  std::vector<Token> tokens{{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (size_t b = 0; b < 256; ++b)
    tokens.push_back({std::string("<0x") + kDigits[b >> 4] + kDigits[b & 15] + ">", 0, 6});
  for (const char* text : {"a", "b", "c", "<", "s", ">", "0", "x", "A"})
    tokens.push_back({text, -10});
  tokens.push_back({kSpace, -10});        // 268
  tokens.push_back({"ab", -1});           // 269
  tokens.push_back({"bc", -2});           // 270
  tokens.push_back({kSpace + "ab", -3});  // 271
  tokens.push_back({"abc", -4});          // 272
  tokens.push_back({"[tool]", 0, 4});     // 273
  tokens.push_back({"<s", -5});           // 274
  return tokens;
}

GgufFile sentencepiece_file() {
  GgufFile file;
  file.set_text("tokenizer.ggml.model", "llama");
  set_tokens(file, sentencepiece_tokens());
  return file;
}

constexpr int32_t kA = 259, kC = 261, kGreater = 264;

// The byte level's characters for bytes that can be seen are themselves.
GgufFile byte_level_file(const std::string& pre, std::vector<std::string> more = {}) {
  GgufFile file;
  std::vector<std::string> tokens;
  for (char c = '!'; c <= '~'; ++c) tokens.push_back({c});
  tokens.push_back("\xC4\xA0");  // U+0120: the space
  tokens.push_back("\xC4\x8A");  // U+010A: the line feed
  tokens.insert(tokens.end(), more.begin(), more.end());
  file.set_text("tokenizer.ggml.model", "gpt2");
  file.set_text("tokenizer.ggml.pre", pre);
  file.set_texts("tokenizer.ggml.tokens", tokens);
  file.set_texts("tokenizer.ggml.merges", {});
  return file;
}

// What words a text is taken apart into: every word of the test is a token of its own.
std::vector<std::string> words(const std::string& pre, const std::string& text,
                               const std::vector<std::string>& merged) {
  GgufFile file = byte_level_file(pre, merged);
  std::vector<std::string> merges;
  for (const std::string& token : merged) {
    const size_t last = token.size() - 1;
    merges.push_back(token.substr(0, last) + " " + token.substr(last));
  }
  file.set_texts("tokenizer.ggml.merges", merges);
  const Made made(file, 96 + merged.size());
  std::vector<std::string> words;
  for (const int32_t id : made.ids(text)) words.emplace_back(made.tokenizer->decode(-1, id));
  return words;
}

}  // namespace

TEST_CASE("control tokens have the text that templates write, and a text has none of them") {
  GgufFile file = small_gguf();
  std::vector<Token> tokens = sentencepiece_tokens();
  tokens.push_back({"[turn]", 0, 3});
  set_tokens(file, tokens);
  file.set_text("tokenizer.ggml.model", "llama");
  const Made made(file, tokens.size());
  const std::vector<ControlToken> control = made.tokenizer->control_tokens();
  REQUIRE(control.size() == 3);
  CHECK(control[0].text == "<s>");
  CHECK(control[0].id == 1);
  CHECK(control[2].text == "[turn]");
  CHECK(control[2].id == 275);
  for (const int32_t id : made.ids("[turn]</s>")) CHECK(id > 2);
}

TEST_CASE("sentencepiece merges by score and puts a space before a text") {
  const Made made(sentencepiece_file(), 275);
  CHECK(made.ids("ab") == Ids{271});
  CHECK(made.ids("ab", false) == Ids{269});
  CHECK(made.ids("abc", false) == Ids{272});
  CHECK(made.ids("c ab c") == Ids{268, kC, 271, 268, kC});
  CHECK(made.ids("") == Ids{});
  CHECK(made.text(made.ids("c ab c")) == "c ab c");
}

TEST_CASE("characters that a vocabulary lacks, and bytes that are none, are byte tokens") {
  const Made made(sentencepiece_file(), 275);
  CHECK(made.ids("\xC3\xA9", false) == Ids{3 + 0xC3, 3 + 0xA9});
  CHECK(made.ids("\xC3"
                 "a",
                 false) == Ids{3 + 0xC3, kA});
  CHECK(made.ids(std::string("\0\xFF", 2), false) == Ids{3, 3 + 0xFF});
  CHECK(made.text(made.ids("a\xC3\xA9\n")) == "a\xC3\xA9\n");
}

TEST_CASE("text that looks like a control or byte token is text; a user-defined token is one") {
  const Made made(sentencepiece_file(), 275);
  CHECK(made.ids("<s>", false) == Ids{274, kGreater});
  for (const int32_t id : made.ids("<0x0A></s>", false)) CHECK(id > 13);
  CHECK(made.ids("a[tool]ab", false) == Ids{kA, 273, 271});
}

TEST_CASE("of user-defined tokens the longest comes first, and of equal ones the first") {
  GgufFile file;
  file.set_text("tokenizer.ggml.model", "llama");
  std::vector<Token> tokens = sentencepiece_tokens();
  for (const char* text : {"[a", "[abc", "[ab", "[a", "]", "[ab"}) tokens.push_back({text, 0, 4});
  set_tokens(file, tokens);
  const Made made(file, 281);
  CHECK(made.ids("[abcc", false) == Ids{276, 268, kC});
  CHECK(made.ids("[ab[a]", false) == Ids{277, 275, 279});
  CHECK(made.ids("[abx[", false) == Ids{277, 268, 266, 3 + '['});
}

TEST_CASE("a file may want no space before a text") {
  GgufFile file = sentencepiece_file();
  file.set("tokenizer.ggml.add_space_prefix", GgufType::kBool, std::string(1, '\0'));
  const Made made(file, 275);
  CHECK(made.ids("ab") == Ids{269});
}

TEST_CASE("special tokens are those of the file, or llama.cpp's where it names none") {
  GgufFile file = sentencepiece_file();
  CHECK(Made(file, 275).tokenizer->bos_id() == 1);
  CHECK(Made(file, 275).tokenizer->eos_ids().front() == 2);
  file.set_u32("tokenizer.ggml.eos_token_id", 7);
  file.set_u32("tokenizer.ggml.eot_token_id", 8);
  file.set("tokenizer.ggml.add_bos_token", GgufType::kBool, std::string(1, '\0'));
  const Made made(file, 275);
  CHECK(made.tokenizer->bos_id() == -1);
  REQUIRE(made.tokenizer->eos_ids().size() == 2);
  CHECK(made.tokenizer->eos_ids()[1] == 8);
}

TEST_CASE("the hash of a vocabulary follows all that changes ids") {
  GgufFile file = sentencepiece_file();
  const std::string hash = Made(file, 275).tokenizer->hash();
  CHECK(Made(file, 275).tokenizer->hash() == hash);
  std::vector<float> scores(275, 0.5f);
  file.set_reals("tokenizer.ggml.scores", scores);
  CHECK(Made(file, 275).tokenizer->hash() != hash);
}

TEST_CASE("byte-level merging goes by rank, within words") {
  GgufFile file = byte_level_file("gpt-2", {"bc", "ab", "abc",
                                            "\xC4\xA0"
                                            "a"});
  file.set_texts("tokenizer.ggml.merges", {"b c", "a b", "a bc", "\xC4\xA0 a"});
  const Made made(file, 100);
  CHECK(made.ids("abc") == Ids{98});
  CHECK(made.ids("ab") == Ids{97});
  CHECK(made.ids("b c") == Ids{'b' - '!', 94, 'c' - '!'});
  CHECK(made.text(made.ids("abc ab\nbc")) == "abc ab\nbc");
  CHECK(contains(error_of([&] { made.ids("ab\xC3\xA9"); }), "byte offset 2"));
}

TEST_CASE("Llama 3's words that are tokens are not merged from their bytes") {
  GgufFile file = byte_level_file("llama-bpe", {"ab", "abc"});
  file.set_texts("tokenizer.ggml.merges", {"a b"});
  CHECK(Made(file, 98).ids("abc") == Ids{97});
  file.set_text("tokenizer.ggml.pre", "qwen2");
  CHECK(Made(file, 98).ids("abc") == Ids{96, 'c' - '!'});
}

TEST_CASE("each pattern has its own words") {
  using Words = std::vector<std::string>;
  const Words digits{"12", "123", "1234"};
  CHECK(words("gpt-2", "1234", digits) == Words{"1234"});
  CHECK(words("llama-bpe", "1234", digits) == Words{"123", "4"});
  CHECK(words("qwen2", "12", digits) == Words{"1", "2"});
  CHECK(words("smollm", "12", digits) == Words{"1", "2"});
  const Words quote{"'S"};
  CHECK(words("llama-bpe", "x'S", quote) == Words{"x", "'S"});
  CHECK(words("gpt-2", "x'S", quote) == Words{"x", "'", "S"});
}

TEST_CASE("vocabularies that do not hold together are refused by their key") {
  const auto refusal = [](const GgufFile& file, size_t vocab_size) {
    return error_of([&] { Made(file, vocab_size); });
  };
  GgufFile file = sentencepiece_file();
  CHECK(contains(refusal(file, 274),
                 "'tokenizer.ggml.tokens' has 275 tokens where the model has 274"));
  file.set_reals("tokenizer.ggml.scores", {1.0f});
  CHECK(contains(refusal(file, 275), "'tokenizer.ggml.scores' has 1 elements"));
  file = sentencepiece_file();
  file.set("tokenizer.ggml.token_type", GgufType::kArray,
           raw_array(GgufType::kI32, 1, raw<int32_t>(1)));
  CHECK(contains(refusal(file, 275), "'tokenizer.ggml.token_type' has 1 elements"));
  file = sentencepiece_file();
  file.set_text("tokenizer.ggml.model", "t5");
  CHECK(contains(refusal(file, 275), "'tokenizer.ggml.model' is 't5', which is not supported"));
  file = byte_level_file("gpt-4o");
  CHECK(contains(refusal(file, 96), "'tokenizer.ggml.pre' is 'gpt-4o', which is not supported"));
  file = byte_level_file("gpt-2");
  for (const char* merge : {"a b", "ab", "", " ", "a  b"}) {
    CAPTURE(merge);
    file.set_texts("tokenizer.ggml.merges", {merge});
    CHECK(contains(refusal(file, 96), "'tokenizer.ggml.merges' has the merge 0"));
  }
  file.erase("tokenizer.ggml.merges");
  CHECK(contains(refusal(file, 96), "'tokenizer.ggml.merges' is missing"));
}

TEST_CASE("what no version writes under this program's own keys is refused by name") {
  GgufFile bytes = byte_level_file("gpt-2");
  bytes.set_text("tokenizer.perdure.normalizer", "nfkc");
  CHECK(contains(error_of([&] { Made(bytes, 96); }), "is 'nfkc', which is not supported; nfc is"));
  GgufFile pieces = sentencepiece_file();
  pieces.set_text("tokenizer.perdure.space_prefix", "often");
  CHECK(contains(error_of([&] { Made(pieces, 275); }), "is 'often', which is not supported"));
}

TEST_CASE("Tekken's words change where a small letter becomes a capital") {
  const std::vector<std::string> merged = {"ab", "Cd"};
  CHECK(words("tekken", "abCd1", merged) == std::vector<std::string>{"ab", "Cd", "1"});
}
