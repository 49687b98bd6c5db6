// SPDX-License-Identifier: Apache-2.0

// Lines -> tokens -> a trie.
#include "core/model/tokenizers/rwkv_world.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/model/tokenizers/python_literal.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {
namespace {

std::optional<int64_t> number_of(std::string_view digits) {
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [parsed, status] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || status != std::errc() || parsed != end) return std::nullopt;
  return value;
}

// ID SP LITERAL SP LENGTH; the literal may have spaces of its own.
struct Line {
  std::optional<int64_t> id;
  std::string_view literal;
  std::optional<int64_t> length;
};

Line split(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == last) return {};  // one space or none
  return {number_of(line.substr(0, first)), line.substr(first + 1, last - first - 1),
          number_of(line.substr(last + 1))};
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Takes a line and its end from the front of the text.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

[[noreturn]] void fail(const std::string& path, size_t line, const std::string& what) {
  throw Error(path + ":" + std::to_string(line) + ": " + what);
}

}  // namespace

template <class Append>
void RwkvWorldTokenizer::add(int32_t id, const Append& append) {
  Token token{.begin = text_.size(), .id = id};
  append(text_);
  token.size = text_.size() - token.begin;
  if (token.size == 0) throw Error("the token is empty");
  tokens_.push_back(token);
}

void RwkvWorldTokenizer::read_lines(std::string_view lines, const std::string& path) {
  while (!lines.empty()) {
    const size_t number = tokens_.size() + 1;
    const Line line = split(take_line(lines));
    if (!line.id || !line.length)
      fail(path, number, "a line must be an id, a token as a Python literal and its length");
    const int64_t before = tokens_.empty() ? kEndOfText : tokens_.back().id;
    if (*line.id <= before)
      fail(path, number,
           "the id " + std::to_string(*line.id) + " is not above " + std::to_string(before));
    if (*line.id >= vocab_size_)
      fail(path, number,
           "the id " + std::to_string(*line.id) + " does not fit the model's vocabulary of " +
               std::to_string(vocab_size_));
    try {
      add(static_cast<int32_t>(*line.id),
          [&](std::string& text) { append_python_literal(line.literal, text); });
    } catch (const Error& error) {
      fail(path, number, error.what());
    }
    if (static_cast<int64_t>(tokens_.back().size) != *line.length)
      fail(path, number,
           "the token has " + std::to_string(tokens_.back().size) +
               " bytes but its length is given as " + std::to_string(*line.length));
  }
  if (tokens_.empty()) throw Error(path + ": the file has no tokens");
}

void RwkvWorldTokenizer::index_ids() {
  token_of_id_.assign(static_cast<size_t>(tokens_.back().id) + 1, -1);
  for (size_t i = 0; i < tokens_.size(); ++i)
    token_of_id_[static_cast<size_t>(tokens_[i].id)] = static_cast<int32_t>(i);
}

void RwkvWorldTokenizer::build_trie(const Twice& twice) {
  std::vector<uint32_t> order(tokens_.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](uint32_t i) { return std::pair(bytes_of(tokens_[i]), i); });
  std::vector<std::pair<std::string_view, int32_t>> strings;
  for (const uint32_t i : order) {
    const std::string_view bytes = bytes_of(tokens_[i]);
    if (!strings.empty() && strings.back().first == bytes) twice(order[strings.size() - 1], i);
    strings.emplace_back(bytes, tokens_[i].id);
  }
  trie_ = ByteTrie(strings);
}

void RwkvWorldTokenizer::hash_tokens() {
  Hasher hasher;
  hasher.add("rwkv_world");
  for (const Token& token : tokens_) {
    hasher.add(std::to_string(token.id) + " " + std::to_string(token.size) + " ");
    hasher.add(bytes_of(token));
  }
  hash_ = hasher.hex();
}

void RwkvWorldTokenizer::complete(const Twice& twice) {
  index_ids();
  build_trie(twice);
  hash_tokens();
}

RwkvWorldTokenizer RwkvWorldTokenizer::read(std::span<const std::byte> bytes,
                                            const std::string& path, int64_t vocab_size) {
  if (vocab_size < 1 || vocab_size > kMostTokens)
    throw Error(path + ": the model's vocabulary of " + std::to_string(vocab_size) +
                " tokens cannot have such a file; 1 to 524288 can");
  RwkvWorldTokenizer tokenizer;
  tokenizer.vocab_size_ = vocab_size;
  tokenizer.read_lines(as_text(bytes), path);
  tokenizer.complete([&](size_t first, size_t second) {
    fail(path, second + 1, "the token stands in line " + std::to_string(first + 1) + " already");
  });
  return tokenizer;
}

// Only normal tokens are of texts: others are the end of text and padding. Ids below 1 have no
// bytes, whatever is said of them.
RwkvWorldTokenizer RwkvWorldTokenizer::read_gguf(const GgufVocabulary& read) {
  const auto fail = [&](int32_t id, const std::string& what) {
    read.file().fail("tokenizer.ggml.tokens",
                     "is malformed at token " + std::to_string(id) + ": " + what);
  };
  const Vocabulary& vocabulary = read.vocabulary();
  RwkvWorldTokenizer tokenizer;
  tokenizer.vocab_size_ = vocabulary.size();
  for (int32_t id = kEndOfText + 1; id < vocabulary.size(); ++id) {
    if (vocabulary.kind(id) != TokenKind::kNormal) continue;
    try {
      tokenizer.add(id,
                    [&](std::string& text) { append_escaped_bytes(vocabulary.token(id), text); });
    } catch (const Error& error) {
      fail(id, error.what());
    }
  }
  if (tokenizer.tokens_.empty()) fail(0, "there are no tokens of texts");
  tokenizer.complete([&](size_t first, size_t second) {
    fail(tokenizer.tokens_[second].id,
         "it is the same as token " + std::to_string(tokenizer.tokens_[first].id));
  });
  return tokenizer;
}

std::vector<int32_t> RwkvWorldTokenizer::encode_text(std::string_view text, bool) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 4);
  for (size_t at = 0; at < text.size();) {
    const auto [id, size] = trie_.longest(text.substr(at));
    if (size == 0)
      throw Error("the text has at byte offset " + std::to_string(at) +
                  " a byte that the tokenizer's vocabulary cannot express; take it out of the "
                  "text");
    ids.push_back(id);
    at += size;
  }
  return ids;
}

std::string_view RwkvWorldTokenizer::decode(int32_t, int32_t id) const {
  const auto index = static_cast<size_t>(id);
  if (index >= token_of_id_.size() || token_of_id_[index] < 0) return {};
  return bytes_of(tokens_[static_cast<size_t>(token_of_id_[index])]);
}

std::span<const int32_t> RwkvWorldTokenizer::eos_ids() const {
  static constexpr int32_t kIds[] = {kEndOfText};
  return kIds;
}

bool is_rwkv_world(std::span<const std::byte> file) {
  std::string_view text = as_text(file.first(std::min<size_t>(file.size(), 4096)));
  const Line line = split(take_line(text));
  const std::string_view literal = line.literal.substr(line.literal.starts_with('b') ? 1 : 0, 1);
  return line.id && line.length && (literal == "'" || literal == "\"");
}

std::unique_ptr<const Tokenizer> read_rwkv_world_tokenizer(MappedFile file,
                                                           const ModelInfo& model) {
  return std::make_unique<RwkvWorldTokenizer>(
      RwkvWorldTokenizer::read(file.bytes(), file.path(), model.vocab_size));
}

}  // namespace perdure
