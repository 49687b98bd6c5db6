// SPDX-License-Identifier: Apache-2.0

// Vocabularies that are spoiled by hand: one row per fault, with the words that the sentence must
// hold; and files as large as each kind may be, whose last part is wrong. That each is refused at
// once, in one line and in bounded memory is checked by error_of.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "core/model/tokenizers/gguf_tokenizer.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "core/model/tokenizers/vocabulary.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

constexpr auto kMost = static_cast<size_t>(kMostTokens);

// The sentence with which a file of that name is refused by a model of so many tokens.
std::string refusal(const std::string& name, const std::string& text, int64_t vocab_size) {
  const TemporaryFolder folder;
  write_text(folder / name, text);
  ModelInfo model;
  model.vocab_size = vocab_size;
  const std::string sentence = error_of([&] { open_tokenizer(folder / name, model); }, text.size());
  const std::string begin = (folder / name) + ":";
  return sentence.starts_with(begin) ? sentence.substr(begin.size()) : "elsewhere: " + sentence;
}

// Six tokens in a GGUF file, by score or by merges.
GgufFile vocabulary(const std::string& model) {
  GgufFile file;
  file.set_text("tokenizer.ggml.model", model);
  file.set_text("tokenizer.ggml.pre", "gpt-2");
  file.set_texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "b", "ab"});
  file.set_reals("tokenizer.ggml.scores", {0, 0, 0, -1, -2, -3});
  file.set_texts("tokenizer.ggml.merges", {"a b"});
  return file;
}

void set_kinds(GgufFile& file, int32_t third) {
  file.set("tokenizer.ggml.token_type", GgufType::kArray,
           raw_array(GgufType::kI32, 6, raw(2) + raw(3) + raw(third) + raw(1) + raw(1) + raw(1)));
}

struct Fault {
  const char* what;
  void (*spoil)(GgufFile& file);
  const char* words;
};

constexpr Fault kGgufFaults[] = {
    {"no tokens", [](GgufFile& f) { f.erase("tokenizer.ggml.tokens"); },
     "the key 'tokenizer.ggml.tokens' is missing"},
    {"tokens that are numbers", [](GgufFile& f) { f.set_reals("tokenizer.ggml.tokens", {1, 2}); },
     "the key 'tokenizer.ggml.tokens' has 2 tokens where the model has 6"},
    {"as many tokens that are numbers",
     [](GgufFile& f) { f.set_reals("tokenizer.ggml.tokens", {1, 2, 3, 4, 5, 6}); },
     "the key 'tokenizer.ggml.tokens' must hold texts"},
    {"one text in the place of tokens",
     [](GgufFile& f) { f.set_text("tokenizer.ggml.tokens", "abcdef"); },
     "the key 'tokenizer.ggml.tokens' has 1 tokens"},
    {"a kind below 0", [](GgufFile& f) { set_kinds(f, -1); },
     "the key 'tokenizer.ggml.token_type' is -1 for token 2"},
    {"a kind above all", [](GgufFile& f) { set_kinds(f, 7); },
     "the key 'tokenizer.ggml.token_type' is 7 for token 2"},
    {"kinds that are reals",
     [](GgufFile& f) { f.set_reals("tokenizer.ggml.token_type", {1, 1, 1, 1, 1, 1}); },
     "the key 'tokenizer.ggml.token_type' must hold whole numbers"},
    {"no scores", [](GgufFile& f) { f.erase("tokenizer.ggml.scores"); },
     "the key 'tokenizer.ggml.scores' has 0 elements for 6 tokens"},
    {"more scores than tokens",
     [](GgufFile& f) { f.set_reals("tokenizer.ggml.scores", {0, 0, 0, 0, 0, 0, 0}); },
     "the key 'tokenizer.ggml.scores' has 7 elements for 6 tokens"},
    {"a score that is no number",
     [](GgufFile& f) {
       f.set_reals("tokenizer.ggml.scores",
                   {0, 0, 0, 0, 0, std::numeric_limits<float>::quiet_NaN()});
     },
     "the key 'tokenizer.ggml.scores' holds a score that is not a number"},
    {"scores that are texts",
     [](GgufFile& f) { f.set_texts("tokenizer.ggml.scores", {"0", "0", "0", "0", "0", "0"}); },
     "the key 'tokenizer.ggml.scores' must hold F32 numbers"},
    {"a BOS beyond the tokens", [](GgufFile& f) { f.set_u32("tokenizer.ggml.bos_token_id", 6); },
     "the key 'tokenizer.ggml.bos_token_id' is 6, which is not a token"},
    {"a BOS that is a text", [](GgufFile& f) { f.set_text("tokenizer.ggml.bos_token_id", "1"); },
     "the key 'tokenizer.ggml.bos_token_id' must be a whole number"},
    {"an end of a turn below 0",
     [](GgufFile& f) { f.set("tokenizer.ggml.eot_token_id", GgufType::kI64, raw(int64_t{-2})); },
     "the key 'tokenizer.ggml.eot_token_id' is -2, which is not a token"},
    {"an end of a turn of 2^62",
     [](GgufFile& f) {
       f.set("tokenizer.ggml.eot_token_id", GgufType::kU64, raw(uint64_t{1} << 62));
     },
     "the key 'tokenizer.ggml.eot_token_id' is 4611686018427387904, which is not a token"},
    {"a flag that is a number", [](GgufFile& f) { f.set_u32("tokenizer.ggml.add_bos_token", 1); },
     "the key 'tokenizer.ggml.add_bos_token' must be true or false"},
    {"a kind of vocabulary that is a number",
     [](GgufFile& f) { f.set_u32("tokenizer.ggml.model", 1); },
     "the key 'tokenizer.ggml.model' must be a text"},
    {"no kind of vocabulary", [](GgufFile& f) { f.erase("tokenizer.ggml.model"); },
     "the key 'tokenizer.ggml.model' is missing"},
    {"a kind of vocabulary on two lines",
     [](GgufFile& f) { f.set_text("tokenizer.ggml.model", "bert\nperdure: all is well"); },
     "the key 'tokenizer.ggml.model' is 'bert\\x0aperdure: all is well', which is not supported"},
};

constexpr Fault kGgufMergeFaults[] = {
    {"no pattern", [](GgufFile& f) { f.erase("tokenizer.ggml.pre"); },
     "the key 'tokenizer.ggml.pre' is missing"},
    {"a pattern that is a number", [](GgufFile& f) { f.set_u32("tokenizer.ggml.pre", 1); },
     "the key 'tokenizer.ggml.pre' must be a text"},
    {"a pattern of no known name", [](GgufFile& f) { f.set_text("tokenizer.ggml.pre", "\x1b[2J"); },
     "the key 'tokenizer.ggml.pre' is '\\x1b[2J', which is not supported"},
    {"merges that are numbers", [](GgufFile& f) { f.set_reals("tokenizer.ggml.merges", {1}); },
     "the key 'tokenizer.ggml.merges' must hold texts"},
    {"a merge of what is no token",
     [](GgufFile& f) { f.set_texts("tokenizer.ggml.merges", {"a c"}); },
     "the key 'tokenizer.ggml.merges' has the merge 0, 'a c'"},
    {"a merge on two lines", [](GgufFile& f) { f.set_texts("tokenizer.ggml.merges", {"a \n"}); },
     "the key 'tokenizer.ggml.merges' has the merge 0, 'a \\x0a'"},
    {"one text in the place of merges",
     [](GgufFile& f) { f.set_text("tokenizer.ggml.merges", "a b"); },
     "the key 'tokenizer.ggml.merges' must be an array"},
};

template <size_t N>
void check_refused(const Fault (&faults)[N], const std::string& model) {
  for (const Fault& fault : faults) {
    CAPTURE(fault.what);
    GgufFile file = vocabulary(model);
    fault.spoil(file);
    const std::string sentence = refusal("m.gguf", file.text(), 6);
    CHECK_MESSAGE(contains(sentence, fault.words), sentence);
  }
}

// Five letters that no other number has.
std::string letters(size_t number) {
  std::string text;
  for (int i = 0; i < 5; ++i, number /= 16) text += static_cast<char>('a' + number % 16);
  return text;
}

}  // namespace

TEST_CASE("the vocabularies that the faults are put into are read") {
  CHECK(refusal("m.gguf", vocabulary("llama").text(), 6) == "elsewhere: ");
  CHECK(refusal("m.gguf", vocabulary("gpt2").text(), 6) == "elsewhere: ");
}

TEST_CASE("each fault of a vocabulary in a GGUF file is refused with its key") {
  check_refused(kGgufFaults, "llama");
  check_refused(kGgufMergeFaults, "gpt2");
}

TEST_CASE("the largest GGUF vocabulary whose last merge is none is refused in bounded memory") {
  GgufFile file = vocabulary("gpt2");
  std::vector<std::string> tokens(kMost), merges(kMost, "0 0");
  for (size_t i = 0; i < kMost; ++i) tokens[i] = letters(i);
  tokens[0] = "0";
  tokens[1] = "00";
  merges.back() = "0 1";
  file.set_texts("tokenizer.ggml.tokens", tokens);
  file.set_texts("tokenizer.ggml.merges", merges);
  std::string kinds(kMost, '\1');
  std::fill_n(kinds.begin() + 2, kMostUserDefined, '\4');
  const auto refusal_with = [&](const std::string& k) {
    file.set("tokenizer.ggml.token_type", GgufType::kArray, raw_array(GgufType::kU8, kMost, k));
    return refusal("m.gguf", file.text(), kMostTokens);
  };
  CHECK(contains(refusal_with(kinds), "has the merge 524287, '0 1'"));
  kinds.back() = '\4';
  CHECK(contains(refusal_with(kinds), "has more than 65536 user-defined tokens"));
}

TEST_CASE("the largest tokenizer.json whose last merge is none is refused in bounded memory") {
  std::string text = R"({"model": {"vocab": {"0": 0, "00": 1)";
  for (size_t i = 2; i < kMost; ++i) text += ",\"" + letters(i) + "\":" + std::to_string(i);
  text += "}, \"merges\": [\"0 0\"";
  for (size_t i = 2; i < kMost; ++i) text += ",\"0 0\"";
  text += ",\"0 1\"]}}";
  CHECK(contains(refusal("tokenizer.json", text, kMostTokens), "has the merge 524287, '0 1'"));
}

TEST_CASE("the largest tokenizer.model whose last field is cut is refused in bounded memory") {
  const auto tokens = [](size_t n_user_defined) {
    std::string text;
    for (size_t i = 0; i < kMost; ++i) {
      const char kind = i == 0 ? '\x02' : i <= n_user_defined ? '\x04' : '\x01';
      text += "\x0A\x09\x0A\x05" + letters(i) + '\x18' + kind;
    }
    return text;
  };
  const std::string text = tokens(kMostUserDefined);
  CHECK(contains(refusal("tokenizer.model", text + "\x1A\x05\x12\x03xyz", kMostTokens),
                 "begins a map of characters that is cut off"));
  CHECK(contains(refusal("tokenizer.model", text + "\x0A", kMostTokens), "cuts a number off"));
  CHECK(contains(refusal("tokenizer.model", tokens(kMostUserDefined + 1), kMostTokens),
                 "there are more than 65536 user-defined tokens"));
}

TEST_CASE("the largest vocabulary of World whose last line is none is refused in bounded memory") {
  std::string text;
  for (size_t i = 1; i + 1 < kMost; ++i) text += std::to_string(i) + " '" + letters(i) + "' 5\n";
  const std::string last = text + "524287 '";
  CHECK(contains(refusal("v.txt", last + "x' 2\n", kMostTokens), "its length is given as 2"));
  CHECK(contains(refusal("v.txt", last + letters(1) + "' 5\n", kMostTokens), "already"));
}

TEST_CASE("the largest tokenizer.bin with a piece too many is refused in bounded memory") {
  constexpr int64_t kMostPieces = int64_t{1} << 21;
  std::string text = raw(1);
  for (int64_t i = 0; i <= kMostPieces; ++i) text += raw(0.0f) + raw(1) + "a";
  CHECK(contains(refusal("tokenizer.bin", text, kMostPieces), "has more pieces than the model's"));
}
