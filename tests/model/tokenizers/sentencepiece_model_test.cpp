// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include "core/model/tokenizers/sentencepiece_file.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

using Ids = std::vector<int32_t>;

// A field of a message of less than 128 bytes.
std::string field(unsigned number, const std::string& bytes) {
  std::string made(1, static_cast<char>(number << 3 | 2));
  if (number > 15)
    made = {static_cast<char>((number << 3 & 0x7F) | 2 | 0x80), static_cast<char>(number >> 4)};
  return made + static_cast<char>(bytes.size()) + bytes;
}
std::string field(unsigned number, unsigned value) {
  std::string made(1, static_cast<char>(number << 3));
  if (number > 15)
    made = {static_cast<char>((number << 3 & 0x7F) | 0x80), static_cast<char>(number >> 4)};
  return made + static_cast<char>(value);
}
std::string token(const std::string& text, float score = 0, unsigned kind = 1) {
  return field(1, field(1, text) + "\x15" + raw(score) + field(3, kind));
}

const std::string kSpecial = token("<unk>", 0, 2) + token("<s>", 0, 3) + token("</s>", 0, 3);
const std::string kPieces = token("\xE2\x96\x81", -3) + token("a", -4) + token("b", -5) +
                            token("ab", -6) + token("<t>", 0, 4);
const std::string kBpe = field(2, field(3, 2u)), kUnigram = field(2, field(3, 1u));

std::unique_ptr<const Tokenizer> make(const Bytes& bytes, int64_t vocab_size) {
  return make_sentencepiece_tokenizer(bytes, "t.model", vocab_size);
}

Ids ids(const std::string& model, std::string_view text, bool prefix = true,
        int64_t vocab_size = 8) {
  const Bytes bytes = as_bytes(model);
  return make(bytes, vocab_size)->encode_text(text, prefix);
}

std::string refusal(const std::string& model, int64_t vocab_size = 8) {
  const Bytes bytes = as_bytes(model);
  const std::string sentence = error_of([&] { make(bytes, vocab_size); });
  return sentence.starts_with("t.model: ") ? sentence.substr(9) : "elsewhere: " + sentence;
}

std::string normalizer(const std::string& fields) { return field(3, fields); }

}  // namespace

TEST_CASE("pairs merge by score; of all ways through a text unigram takes the best") {
  CHECK(ids(kSpecial + kPieces + kBpe, "ab") == Ids{3, 6});
  CHECK(ids(kSpecial + kPieces + kUnigram, "ab") == Ids{3, 6});
  const std::string costly = kSpecial + token("\xE2\x96\x81", -3) + token("a", -1) +
                             token("b", -1) + token("ab", -6) + token("<t>", 0, 4);
  CHECK(ids(costly + kBpe, "ab") == Ids{3, 6});
  CHECK(ids(costly + kUnigram, "ab") == Ids{3, 4, 5});
}

TEST_CASE("unknown characters beside each other are one token; control tokens in a text are text") {
  CHECK(ids(kSpecial + kPieces + kBpe, "axyb") == Ids{3, 4, 0, 5});
  CHECK(ids(kSpecial + kPieces + kUnigram, "axyb") == Ids{3, 4, 0, 5});
  CHECK(ids(kSpecial + kPieces + kBpe, "<s>", false) == Ids{0});
  CHECK(ids(kSpecial + kPieces + kBpe, "a<t>b") == Ids{3, 4, 7, 5});
  CHECK(ids(kSpecial + kPieces + kUnigram, "a<t>b") == Ids{3, 4, 7, 5});
}

TEST_CASE("flags of the normaliser: prefix, spaces more than one") {
  const std::string model = kSpecial + kPieces + kBpe;
  CHECK(ids(model, "  a  b ") == Ids{3, 4, 3, 5});
  CHECK(ids(model + normalizer(field(4, 0u)), " a ") == Ids{3, 3, 4, 3});
  CHECK(ids(model + normalizer(field(3, 0u)), "a") == Ids{4});
  CHECK(ids(model, "a", false) == Ids{4});
  CHECK(ids(model, " a", false) == Ids{3, 4});  // a text that goes on keeps its space
}

TEST_CASE("an unused token is taken apart again") {
  const std::string unused = kSpecial + token("\xE2\x96\x81", -3) + token("a", -4) +
                             token("b", -5) + token("ab", -6, 5) + token("<t>", 0, 4);
  CHECK(ids(unused + kBpe, "ab") == Ids{3, 4, 5});
  CHECK(ids(unused + kUnigram, "ab") == Ids{3, 4, 5});
}

TEST_CASE("what a tokenizer.model has that is malformed is refused by byte offset") {
  const std::string good = kSpecial + kPieces + kBpe;
  const std::string at = std::to_string(good.size()), inside = std::to_string(good.size() + 2);
  CHECK(refusal("\x0A") == "byte offset 1 cuts a number off");
  CHECK(refusal(good + "\x0A\x7F") ==
        "byte offset " + inside + " ends before a message of 127 bytes does");
  CHECK(refusal(good + "\x0B") == "byte offset " + std::to_string(good.size() + 1) +
                                      " is a field of the wire type 3, which cannot be read");
  CHECK(refusal(good + std::string("\0", 1)) ==
        "byte offset " + std::to_string(good.size() + 1) + " is not a field of a message");
  CHECK(refusal(good + "\x08" + std::string(10, '\xFF')) ==
        "byte offset " + std::to_string(good.size() + 11) + " ends a number of more than 64 bits");
  CHECK(refusal(good + "\x08\x01") == "byte offset " + at +
                                          " is a field (number 1) of another type than "
                                          "sentencepiece's");
  CHECK(refusal(good + field(1, "\x15\x01\x02")) ==
        "byte offset " + std::to_string(good.size() + 3) + " cuts a number off");
  CHECK(refusal(good + field(1, "")) == "byte offset " + at + " is a token without a text");
  CHECK(refusal(good + token("x", std::numeric_limits<float>::infinity())) ==
        "byte offset " + at + " is a token whose score is not finite");
  CHECK(refusal(good + token("x", 0, 7)) ==
        "byte offset " + at + " is a token of the type 7, which is unknown");
  CHECK(refusal(good + token("a")) == "byte offset " + at + " is a token that is there already");
  CHECK(refusal(good + token("<u>", 0, 2)) == "byte offset " + at + " is a second unknown token");
  CHECK(refusal(good + token("<0x0a>", 0, 6)) ==
        "byte offset " + at + " is a byte token that names no byte");
  CHECK(refusal(good + token("<0x0A>", 0, 6)) ==
        "byte offset " + at + " is a byte token, which a model without byte_fallback has not");
  CHECK(refusal(good + field(2, field(35, 1u))) ==
        "byte_fallback needs 256 byte tokens, and there are 0");
  CHECK(refusal(good + field(2, field(3, 3u))) ==
        "byte offset " + inside +
            " says that the model_type is word, which is not supported; unigram and bpe are");
  CHECK(refusal(good + field(2, field(3, 9u))) ==
        "byte offset " + inside +
            " says that the model_type is 9, which is not supported; unigram and bpe are");
  CHECK(refusal(good + field(2, field(24, 1u))) ==
        "byte offset " + inside + " says treat_whitespace_as_suffix, which is not supported");
  CHECK(refusal(good + field(5, field(2, "x"))) ==
        "byte offset " + inside + " is a map of characters for decoding, which is not supported");
  CHECK(refusal(kBpe) == "there are no tokens");
  CHECK(refusal(kPieces + kBpe) == "there is no unknown token");
  CHECK(refusal(good, 4) ==
        "the token 4, 'a', is beyond the model's vocabulary of 4; the tokenizer "
        "belongs to another model");
  CHECK(refusal(good, 32000) ==
        "there are 8 tokens where the model has 32000; the tokenizer "
        "belongs to another model");
}

TEST_CASE("a map of characters that is malformed is refused by byte offset, or maps nothing") {
  const std::string good = kSpecial + kPieces + kBpe;
  const std::string at = std::to_string(good.size() + 4);
  const auto mapped = [&](const std::string& map) { return good + normalizer(field(2, map)); };
  CHECK(refusal(mapped("abc")) ==
        "byte offset " + at + " begins a map of characters that is cut off");
  CHECK(refusal(mapped(raw(uint32_t{8}) + "abcd")) ==
        "byte offset " + at + " gives a map of characters a tree of 8 bytes, of 4 that are there");
  CHECK(refusal(mapped(raw(uint32_t{3}) + "abcd")) ==
        "byte offset " + at + " gives a map of characters a tree of 3 bytes, of 4 that are there");
  CHECK(refusal(mapped(raw(uint32_t{4}) + "abcdefg")) ==
        "byte offset " + std::to_string(good.size() + 14) +
            " ends a map of characters in the middle of a text");
  // A tree that leads outside of itself, and one that leads to a text that is not there.
  CHECK(ids(mapped(raw(uint32_t{4}) + raw(uint32_t{0xFFFFFFFF}) + std::string(1, '\0')), "a") ==
        Ids{3, 4});
}
