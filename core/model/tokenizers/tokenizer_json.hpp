// SPDX-License-Identifier: Apache-2.0

// A tokenizer.json of Hugging Face's tokenizers as a tree whose values know where they stand, and
// its vocabulary and merges, which are too many for a tree.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json/json.hpp"

namespace perdure {

// A value of the file. Borrows the tree and the path.
class JsonPlace {
 public:
  JsonPlace(const Json& value, std::string where, const std::string& path)
      : value_(&value), where_(std::move(where)), path_(&path) {}

  // A member that is there and not null. Errors: Error if this is no object.
  std::optional<JsonPlace> find(const std::string& key) const;
  // Errors: Error that names the key if it is not there.
  JsonPlace at(const std::string& key) const;
  std::vector<JsonPlace> list() const;
  bool is_null() const;
  // Errors of the following: Error that names the key if it is of another type.
  std::string text() const;
  int64_t whole() const;
  // Of a member; `otherwise` if it is not there.
  bool flag(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  // The member "type".
  std::string type() const { return at("type").text(); }

  // "PATH: key 'WHERE' WHAT".
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const Json* value_;
  std::string where_;
  const std::string* path_;
};

class TokenizerJson {
 public:
  // `path` is for messages; nothing of the bytes is kept. Errors: Error with path and byte offset
  // or key for what is no JSON, and for tokens and merges that are none.
  TokenizerJson(std::span<const std::byte> bytes, std::string path);
  TokenizerJson(const TokenizerJson&) = delete;
  TokenizerJson& operator=(const TokenizerJson&) = delete;

  // Without model.vocab and model.merges. Valid as long as this.
  JsonPlace root() const { return {tree_, "", path_}; }
  const std::string& path() const { return path_; }
  bool has_vocabulary() const { return has_vocabulary_; }
  // In the order of the file.
  size_t n_tokens() const { return tokens_.size(); }
  std::string_view token(size_t i) const { return text_of(tokens_[i].text); }
  int64_t id(size_t i) const { return tokens_[i].id; }
  size_t n_merges() const { return merges_.size(); }
  // Both halves; the second is empty for one text that has no space.
  std::pair<std::string_view, std::string_view> merge(size_t i) const;

 private:
  struct Range {
    size_t begin = 0, size = 0;  // in texts_
  };
  struct Token {
    Range text;
    int64_t id;
  };
  // Sizes of the halves, which stand in texts_ one behind the other.
  struct Merge {
    size_t begin = 0;
    uint32_t left = 0, right = 0;
  };
  using Keys = std::vector<std::string>;

  void visit(const Keys& keys, JsonKind kind, std::string_view text);
  void add_token(const Keys& keys, JsonKind kind, std::string_view text);
  void add_merge(const Keys& keys, JsonKind kind, std::string_view text);
  void add_half(std::string_view text);
  void add_left(std::string_view text);
  void add_right(std::string_view text);
  Range keep(std::string_view text);
  std::string_view text_of(const Range& range) const {
    return std::string_view(texts_).substr(range.begin, range.size);
  }
  [[noreturn]] void fail_at_merge(const std::string& what) const;

  std::string path_;
  JsonTree grown_;
  Json tree_;
  size_t n_values_ = 0;
  std::string texts_;
  std::vector<Token> tokens_;
  std::vector<Merge> merges_;
  size_t n_halves_ = 2;  // of the merge that is being read
  bool has_vocabulary_ = false, vocabulary_is_map_ = false;
};

// Whether a file begins as JSON does.
bool is_json(std::span<const std::byte> file);

}  // namespace perdure
