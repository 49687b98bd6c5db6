// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/llama2c_tokenizer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <random>

#include "core/base/json/json.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

using Pieces = std::vector<std::pair<std::string, float>>;

Bytes tokenizer_file(const Pieces& pieces) {
  std::string text(4, '\0');
  const auto put = [&](const auto& value) {
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const auto& [piece, score] : pieces) {
    put(score);
    put(static_cast<int32_t>(piece.size()));
    text += piece;
  }
  return as_bytes(text);
}

std::string refusal(const Bytes& bytes, int64_t vocab_size) {
  return error_of([&] { Llama2cTokenizer::read(bytes, "t.bin", vocab_size); });
}

std::string decoded(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string text;
  int32_t previous = 0;
  for (const int32_t id : ids) {
    text += tokenizer.decode(previous, id);
    previous = id;
  }
  return text;
}

std::string hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return digits;
}

// The rule as it is written: look for the best pair, merge it, look again.
std::vector<int32_t> merged_by_search(const Pieces& pieces, std::vector<int32_t> ids) {
  std::map<std::string, int32_t> by_text;
  for (size_t id = 0; id < pieces.size(); ++id)
    by_text.emplace(pieces[id].first, static_cast<int32_t>(id));
  for (;;) {
    float best_score = -1e10f;
    size_t best = ids.size();
    int32_t best_id = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto it = by_text.find(pieces[static_cast<size_t>(ids[i])].first +
                                   pieces[static_cast<size_t>(ids[i + 1])].first);
      if (it == by_text.end() || !(pieces[static_cast<size_t>(it->second)].second > best_score))
        continue;
      best = i;
      best_id = it->second;
      best_score = pieces[static_cast<size_t>(it->second)].second;
    }
    if (best == ids.size()) return ids;
    ids[best] = best_id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Every string of one to four letters "a".."c", scores from a few values so that ties are common.
Pieces random_vocabulary(std::mt19937& random) {
  Pieces pieces{{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}, {"a", 0}, {"b", 0}, {"c", 0}};
  const float scores[] = {-1, -2, -3, -2e10f, std::numeric_limits<float>::quiet_NaN()};
  for (int length = 2; length <= 4; ++length)
    for (int word = 0; word < (length == 2 ? 9 : length == 3 ? 27 : 81); ++word) {
      if (random() % 3 == 0) continue;
      std::string piece;
      for (int i = 0, rest = word; i < length; ++i, rest /= 3)
        piece += static_cast<char>('a' + rest % 3);
      pieces.emplace_back(piece, scores[random() % 5]);
    }
  return pieces;
}

}  // namespace

TEST_CASE("every golden text is encoded to the original's ids and decoded to its bytes") {
  for (const auto& [name, vocab_size] : {std::pair{"96", 96}, {"300", 300}, {"320", 320}}) {
    CAPTURE(name);
    const Llama2cTokenizer tokenizer =
        Llama2cTokenizer::open(golden(std::string("models/tok_") + name + ".bin"), vocab_size);
    const std::string path = golden(std::string("cases/tok_") + name + "/encode.json");
    const Json cases = Json::parse(as_text(read_bytes(path)), path);
    CHECK(cases.list().size() >= 14);
    for (const Json& one : cases.list()) {
      CAPTURE(one.at("text").text());
      std::vector<int32_t> expected;
      for (const Json& id : one.at("ids").list())
        expected.push_back(static_cast<int32_t>(id.integer()));
      const std::vector<int32_t> ids = tokenizer.encode(
          one.at("text").text(), one.at("bos").integer() != 0, one.at("eos").integer() != 0);
      CHECK(ids == expected);
      CHECK(hex(decoded(tokenizer, ids)) == one.at("decoded_hex").text());
    }
  }
}

TEST_CASE("merging by a queue gives the ids of searching for the best pair again and again") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const Pieces pieces = random_vocabulary(random);
    const Bytes bytes = tokenizer_file(pieces);
    const Llama2cTokenizer tokenizer =
        Llama2cTokenizer::read(bytes, "t", static_cast<int64_t>(pieces.size()));
    std::string text;
    std::vector<int32_t> letters;
    for (size_t i = 0; i < 1 + random() % 60; ++i) {
      letters.push_back(3 + static_cast<int32_t>(random() % 3));
      text += pieces[static_cast<size_t>(letters.back())].first;
    }
    REQUIRE(tokenizer.encode(text, false, false) == merged_by_search(pieces, letters));
  }
}

TEST_CASE("a text of a million bytes is encoded in seconds, not hours") {
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::open(golden("models/tok_320.bin"), 320);
  std::string text;
  while (text.size() < 1'000'000) text += "the hen and the other one ";
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int32_t> ids = tokenizer.encode(text, true, false);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(decoded(tokenizer, ids).substr(5) == text);
}

TEST_CASE("invalid UTF-8 becomes byte pieces and comes back unchanged") {
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::open(golden("models/tok_300.bin"), 300);
  for (const std::string text :
       {"\xff\xfe", "a\x80\x80\x80\x80\x80z", "\xe4\xbd", "\xf0\x9f\x98\x80\x80"}) {
    const std::vector<int32_t> ids = tokenizer.encode(text, true, false);
    CHECK(decoded(tokenizer, ids).substr(5) == text);
  }
  CHECK(tokenizer.encode("\xff", false, false) == std::vector<int32_t>{259, 258});
}

TEST_CASE("without byte pieces, what cannot be expressed is an error with its offset") {
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::open(golden("models/tok_96.bin"), 96);
  CHECK(contains(error_of([&] { tokenizer.encode("the hen Q", false, false); }),
                 "at byte offset 8 a character"));
  CHECK(contains(error_of([&] { tokenizer.encode("th\xff", false, false); }),
                 "at byte offset 2 a character"));
}

TEST_CASE("a vocabulary without a space has no dummy prefix") {
  const Bytes bytes = tokenizer_file({{"u", 0}, {"s", 0}, {"e", 0}, {"a", 0}});
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::read(bytes, "t", 4);
  CHECK(tokenizer.encode("aa", true, true) == std::vector<int32_t>{1, 3, 3, 2});
  CHECK(tokenizer.encode("", true, true) == std::vector<int32_t>{1, 2});
}

TEST_CASE("one leading space is dropped after BOS, and byte pieces become their byte") {
  const Bytes bytes = tokenizer_file(
      {{"u", 0}, {"s", 0}, {"e", 0}, {"  a", 0}, {"<0x0a>", 0}, {"<0x", 0}, {" <0xFF", 0}});
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::read(bytes, "t", 7);
  CHECK(tokenizer.decode(1, 3) == " a");
  CHECK(tokenizer.decode(2, 3) == "  a");
  CHECK(tokenizer.decode(0, 4) == "\n");
  CHECK(tokenizer.decode(0, 5) == "<0x");
  CHECK(tokenizer.decode(1, 6) == "\xff");
  CHECK(tokenizer.decode(0, 6) == " <0xFF");
}

TEST_CASE(
    "a tokenizer of another vocabulary, cut, or with impossible lengths is refused with a byte "
    "offset") {
  const Pieces pieces{{"u", 0}, {"s", 0}, {"e", 0}, {"abc", 0}};
  const Bytes bytes = tokenizer_file(pieces);
  CHECK(refusal(bytes, 4).empty());
  CHECK(refusal(bytes, 5) ==
        "t.bin: byte offset 42: the file ends after 4 pieces and does not fit the model's "
        "vocabulary of 5 pieces");
  CHECK(refusal(bytes, 3) ==
        "t.bin: byte offset 31: the file has more pieces than the model's vocabulary of 3 pieces");
  CHECK(contains(refusal(bytes, 2),
                 "the model's vocabulary of 2 pieces cannot have a tokenizer.bin"));
  CHECK(contains(refusal(bytes, int64_t{1} << 40), "cannot have a tokenizer.bin"));
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK(contains(
        refusal(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)), 4),
        "byte offset"));
  for (const int32_t length : {0, -1, 1'000'000, std::numeric_limits<int32_t>::max()}) {
    Bytes changed = bytes;
    std::memcpy(changed.data() + 35, &length, sizeof length);
    CHECK(contains(refusal(changed, 4),
                   "byte offset 35: piece 3 has the length " + std::to_string(length)));
  }
}

TEST_CASE("the hash tells tokenizers apart") {
  const auto hash = [](const Pieces& pieces) {
    const Bytes bytes = tokenizer_file(pieces);
    return Llama2cTokenizer::read(bytes, "t", 3).hash();
  };
  CHECK(hash({{"a", 0}, {"b", 0}, {"c", 0}}) == hash({{"a", 0}, {"b", 0}, {"c", 0}}));
  CHECK(hash({{"a", 0}, {"b", 0}, {"c", 0}}) != hash({{"a", 0}, {"b", 0}, {"c", 1}}));
  CHECK(hash({{"a", 0}, {"b", 0}, {"c", 0}}) != hash({{"a", 0}, {"b", 0}, {"d", 0}}));
}

TEST_CASE("the tokenizers of real models open, and a sentence survives them") {
  const std::string sentence = "Once upon a time, there was a little girl named Lily.";
  for (const auto& [name, vocab_size] : {std::pair{"models/stories260K/tok512.bin", 512},
                                         {"models/babyllama/tok105.bin", 105},
                                         {"tokenizers/llama2.tokenizer.bin", 32000}}) {
    const std::string path = shared_data(name);
    if (!std::filesystem::exists(path)) {
      MESSAGE("skipped, absent: ", path);
      continue;
    }
    const Llama2cTokenizer tokenizer = Llama2cTokenizer::open(path, vocab_size);
    const std::vector<int32_t> ids = tokenizer.encode(sentence, true, false);
    CHECK(decoded(tokenizer, ids).substr(5) == sentence);
    CHECK(static_cast<int64_t>(ids.size()) <= static_cast<int64_t>(sentence.size()) + 2);
  }
}

TEST_CASE("a character split over tokens is held back until it is whole") {
  Utf8Stream stream;
  CHECK(stream.push("a\xc3") == "a");
  CHECK(stream.push("\xa9z") == "\xc3\xa9z");
  CHECK(stream.push("\xf0") == "");
  CHECK(stream.push("\x9f\x98") == "");
  CHECK(stream.push("\x80") == "\xf0\x9f\x98\x80");
  CHECK(stream.flush() == "");
}

TEST_CASE(
    "bytes that can never become a character pass through at once, the rest comes at the end") {
  Utf8Stream stream;
  for (const std::string bytes :
       {"\xff", "\x80", "\xc0", "\xe0\x80", "\xed\xa0", "\xf4\x90", "\xf5", "\x80\x80\x80\x80"})
    CHECK(stream.push(bytes) == bytes);
  CHECK(stream.push("\xe4\xbd") == "");
  CHECK(stream.push("x") == "\xe4\xbdx");
  CHECK(stream.push("\xe4") == "");
  CHECK(stream.flush() == "\xe4");
  CHECK(stream.flush() == "");
}
