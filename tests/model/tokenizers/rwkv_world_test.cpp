// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/rwkv_world.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "core/base/json/json.hpp"
#include "core/model/tokenizers/gguf_tokenizer.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

const std::string kGolden = std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/tokenizer_world/";

RwkvWorldTokenizer read(std::string_view lines, int64_t vocab_size = 1000) {
  const Bytes bytes = as_bytes(lines);
  return RwkvWorldTokenizer::read(bytes, "v.txt", vocab_size);
}

std::string refusal(std::string_view lines, int64_t vocab_size = 1000) {
  return error_of([&] { read(lines, vocab_size); });
}

std::string decoded(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += tokenizer.decode(-1, id);
  return text;
}

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

// Every case of the golden set, by the ids of that name.
void check_golden(const Tokenizer& tokenizer, const char* ids_name) {
  const std::string path = kGolden + "cases.json";
  const Json file = Json::parse(as_text(read_bytes(path)), path);
  CHECK(file.at("cases").list().size() >= 10);
  for (const Json& one : file.at("cases").list()) {
    CAPTURE(one.at("hex").text());
    std::vector<int32_t> expected;
    for (const Json& id : one.at(ids_name).list())
      expected.push_back(static_cast<int32_t>(id.integer()));
    const std::string text = from_hex(one.at("hex").text());
    CHECK(tokenizer.encode_text(text, true) == expected);
    CHECK(decoded(tokenizer, expected) == text);
  }
}

// The vocabulary that everybody has, where the mission's data is; else nothing.
std::string full_vocabulary() {
  const std::string path = shared_data("tokenizers/rwkv_vocab_v20230424.txt");
  if (std::filesystem::exists(path)) return path;
  MESSAGE("skipped, absent: ", path);
  return {};
}

// As Python writes a literal of bytes, without its quotes.
std::string escaped(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\')
      text += "\\\\";
    else if (c == '\n')
      text += "\\n";
    else if (byte < 0x20 || byte >= 0x7f)
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    else
      text += c;
  }
  return text;
}

// The file that llama.cpp's converter makes of a vocabulary of World.
GgufFile gguf_of(const RwkvWorldTokenizer& tokenizer) {
  constexpr int32_t kNormal = 1, kControl = 3, kUnused = 5;
  std::vector<std::string> tokens{"<s>"};
  std::string kinds = raw(kControl);
  for (int32_t id = 1; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.decode(-1, id);
    tokens.push_back(bytes.empty() ? "[PAD" + std::to_string(id) + "]" : escaped(bytes));
    kinds += raw(bytes.empty() ? kUnused : kNormal);
  }
  GgufFile file;
  file.set_text("tokenizer.ggml.model", "rwkv");
  file.set_texts("tokenizer.ggml.tokens", tokens);
  file.set("tokenizer.ggml.token_type", GgufType::kArray,
           raw_array(GgufType::kI32, tokens.size(), kinds));
  file.set_u32("tokenizer.ggml.bos_token_id", 0);
  file.set_u32("tokenizer.ggml.eos_token_id", 0);
  file.set_u32("tokenizer.ggml.eot_token_id", 261);
  return file;
}

std::unique_ptr<const Tokenizer> of_gguf(const GgufFile& file) {
  const Bytes bytes = file.bytes();
  const int64_t vocab_size =
      static_cast<int64_t>(Gguf(bytes, "w.gguf").find("tokenizer.ggml.tokens")->count);
  return make_gguf_tokenizer(GgufVocabulary(bytes, "w.gguf", vocab_size));
}

}  // namespace

TEST_CASE("every golden text has the original's ids in the small vocabulary of World") {
  const Bytes bytes = read_bytes(kGolden + "mini_vocab.txt");
  check_golden(RwkvWorldTokenizer::read(bytes, "mini_vocab.txt", 746), "mini_ids");
}

TEST_CASE("every golden text has the original's ids in the vocabulary of World") {
  const std::string path = full_vocabulary();
  if (path.empty()) return;
  const Bytes bytes = read_bytes(path);
  const RwkvWorldTokenizer tokenizer = RwkvWorldTokenizer::read(bytes, path, 65536);
  check_golden(tokenizer, "full_ids");
  CHECK(tokenizer.encode_text("I'll 'd test блабла 以下は、]) -> <|endoftext|><|padding|> int",
                              false) ==
        std::vector<int32_t>{74,    5229,  274,   101,   32223, 5092, 27980, 2795, 27980, 33,
                             10399, 10258, 10139, 10079, 1682,  3463, 295,   125,  25258, 7588,
                             2318,  125,   790,   125,   49520, 125,  63,    21888});
  CHECK(tokenizer.decode(-1, 65529) == std::string(128, ' '));
  CHECK(tokenizer.decode(-1, 65535).empty());
}

TEST_CASE("at each place the longest token is taken, also where a longer one began in vain") {
  const RwkvWorldTokenizer tokenizer =
      read("1 'a' 1\n2 'b' 1\n3 'c' 1\n4 'ab' 2\n7 'abca' 4\n9 'ca' 2\n");
  CHECK(tokenizer.encode_text("abcab", false) == std::vector<int32_t>{7, 2});
  CHECK(tokenizer.encode_text("abcb", false) == std::vector<int32_t>{4, 3, 2});
  CHECK(tokenizer.encode_text("abc", true) == std::vector<int32_t>{4, 3});
  CHECK(tokenizer.encode_text("", true).empty());
  CHECK(error_of([&] { tokenizer.encode_text("abx", false); }) ==
        "the text has at byte offset 2 a byte that the tokenizer's vocabulary cannot express; take "
        "it out of the text");
}

TEST_CASE("id 0 stands before and behind a text and has no bytes, nor have ids without a line") {
  const RwkvWorldTokenizer tokenizer = read("2 'a' 1\n5 'b' 1\n", 9);
  CHECK(tokenizer.vocab_size() == 9);
  CHECK(tokenizer.encode("ab", true, true) == std::vector<int32_t>{0, 2, 5, 0});
  CHECK(tokenizer.is_special(0));
  for (const int32_t id : {0, 1, 3, 4, 6, 8}) CHECK(tokenizer.decode(2, id).empty());
  CHECK(tokenizer.decode(0, 5) == "b");
}

TEST_CASE("all forms of literals are read, and spaces in them") {
  const std::pair<const char*, std::string> cases[] = {
      {"' a b ' 5", " a b "},
      {"\"'\" 1", "'"},
      {"'\\n\\t\\r\\\\\\'\\x0b' 6\r", "\n\t\r\\'\x0b"},
      {"'\\x80' 2", "\xc2\x80"},
      {"b'\\xe4\\xb8' 2", "\xe4\xb8"},
      {"'\\u4ee5' 3", "以"},
      {"'以' 3", "以"},
      {"b\"'\\xff\" 2", "'\xff"},
      {"\"\\\"\" 1", "\""},
      {"'\\u00e9\\u0041' 3", "éA"}};
  for (const auto& [line, token] : cases) {
    CAPTURE(line);
    CHECK(read(std::string("1 ") + line + "\n").decode(-1, 1) == token);
    CHECK(read(std::string("1 ") + line).decode(-1, 1) == token);
  }
}

TEST_CASE("a malformed line is refused with its number") {
  const std::string good = "1 'a' 1\n";
  CHECK(refusal(good).empty());
  CHECK(refusal("") == "v.txt: the file has no tokens");
  for (const char* line : {"2 'b'", "2", "", "x 'b' 1", "2 'b' x", " 'b' 1", "2 'b' ", "'b' 1"})
    CHECK(refusal(good + line + "\n") ==
          "v.txt:2: a line must be an id, a token as a Python literal and its length");
  CHECK(refusal(good + "1 'b' 1\n") == "v.txt:2: the id 1 is not above 1");
  CHECK(refusal("0 'b' 1\n") == "v.txt:1: the id 0 is not above 0");
  CHECK(refusal("-1 'b' 1\n") == "v.txt:1: the id -1 is not above 0");
  CHECK(refusal(good + "7 'b' 1\n", 7) ==
        "v.txt:2: the id 7 does not fit the model's vocabulary of 7");
  CHECK(refusal(good + "2 'b' 2\n") ==
        "v.txt:2: the token has 1 bytes but its length is given as 2");
  CHECK(refusal(good + "2 '' 0\n") == "v.txt:2: the token is empty");
  CHECK(refusal(good + "2 b'' 0\n") == "v.txt:2: the token is empty");
  CHECK(refusal(good + "2 'b' 1\n3 'a' 1\n") == "v.txt:3: the token stands in line 1 already");
  CHECK(refusal(good, 0) ==
        "v.txt: the model's vocabulary of 0 tokens cannot have such a file; 1 to 524288 can");
}

TEST_CASE("a malformed literal is refused with its line") {
  const std::pair<const char*, const char*> cases[] = {
      {"b", "the token is not in quotes"},
      {"'", "the token is not in quotes"},
      {"'a\"", "the token is not in quotes"},
      {"b'", "the token is not in quotes"},
      {"r'a'", "the token is not in quotes"},
      {"'a'b'", "a quote inside the token has no backslash"},
      {"'a\\'", "the token ends inside an escape"},
      {"'\\q'", "the escape '\\q' is unknown"},
      {"b'\\u0041'", "the escape '\\u' is unknown"},
      {"'\\x4'", "an escape needs 2 hexadecimal digits"},
      {"'\\x4g'", "an escape needs 2 hexadecimal digits"},
      {"'\\x-1'", "an escape needs 2 hexadecimal digits"},
      {"'\\u12'", "an escape needs 4 hexadecimal digits"},
      {"'\\ud800'", "an escape names no character"},
      {"b'é'", "a literal of bytes has a character that is not ASCII"}};
  for (const auto& [literal, sentence] : cases)
    CHECK(refusal("1 'a' 1\n2 " + std::string(literal) + " 1\n") ==
          std::string("v.txt:2: ") + sentence);
}

TEST_CASE("the hash tells vocabularies of World apart") {
  CHECK(read("1 'a' 1\n").hash() == read("1 \"a\" 1").hash());
  CHECK(read("1 'a' 1\n").hash() != read("2 'a' 1\n").hash());
  CHECK(read("1 'a' 1\n").hash() != read("1 'b' 1\n").hash());
}

TEST_CASE("what a vocabulary file contains says that it is World's") {
  ModelInfo model;
  model.vocab_size = 746;
  const auto tokenizer = open_tokenizer(kGolden + "mini_vocab.txt", model);
  CHECK(tokenizer->bos_id() == 0);
  CHECK(tokenizer->encode_text("Hello world", true) == std::vector<int32_t>{592, 623});
  for (const char* text : {"", "1", "1 a 1", "x 'a' 1", "1 'a' b", "\x07\0\0\0", "{}"})
    CHECK_FALSE(is_rwkv_world(as_bytes(text)));
}

TEST_CASE("a GGUF file with World's tokens gives the ids and the hash of World's file") {
  const Bytes lines = read_bytes(kGolden + "mini_vocab.txt");
  const RwkvWorldTokenizer own = RwkvWorldTokenizer::read(lines, "mini_vocab.txt", 746);
  const auto tokenizer = of_gguf(gguf_of(own));
  CHECK(tokenizer->hash() == own.hash());
  CHECK(tokenizer->vocab_size() == 746);
  CHECK(tokenizer->bos_id() == 0);
  check_golden(*tokenizer, "mini_ids");
  for (int32_t id = 0; id < 746; ++id) CHECK(tokenizer->decode(-1, id) == own.decode(-1, id));
  CHECK(tokenizer->encode_text("<s>[PAD1]", true) == own.encode_text("<s>[PAD1]", true));
}

TEST_CASE("a token of World that a GGUF file escapes wrongly or has twice is named") {
  const auto refusal_of = [](const std::vector<std::string>& tokens) {
    GgufFile file;
    file.set_text("tokenizer.ggml.model", "rwkv");
    file.set_texts("tokenizer.ggml.tokens", tokens);
    return error_of([&] { of_gguf(file); });
  };
  CHECK(refusal_of({"<s>", "a", "\\'\"", "'", "\xc3\xa9"}).empty());
  CHECK(
      contains(refusal_of({"<s>", "\\q"}), "is malformed at token 1: the escape '\\q' is unknown"));
  CHECK(contains(refusal_of({"<s>", "a", "\\x4"}),
                 "at token 2: an escape needs 2 hexadecimal digits"));
  CHECK(contains(refusal_of({"<s>", "a", "b\\"}), "at token 2: the token ends inside an escape"));
  CHECK(contains(refusal_of({"<s>", "a", ""}), "at token 2: the token is empty"));
  CHECK(contains(refusal_of({"<s>", "b", "c", "\\x62"}), "at token 3: it is the same as token 1"));
  CHECK(contains(refusal_of({"<s>"}), "there are no tokens of texts"));
}

TEST_CASE("a character split over tokens of World appears when it is whole") {
  const RwkvWorldTokenizer tokenizer = read("1 b'\\xe4' 1\n2 b'\\xbb' 1\n3 b'\\xa5' 1\n4 'a' 1\n");
  TokenStream stream(tokenizer, 0);
  CHECK(stream.push(1) == "");
  CHECK(stream.push(2) == "");
  CHECK(stream.push(3) == "以");
  CHECK(stream.push(1) == "");
  CHECK(stream.push(4) ==
        "\xe4"
        "a");
  CHECK(stream.push(1) == "");
  CHECK(stream.flush() == "\xe4");
}
