// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/huggingface_vocabulary.hpp"

#include <deque>

#include "core/base/hash.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/tokenizers/model_vocabulary.hpp"
#include "core/model/tokenizers/text_index.hpp"

namespace perdure {
namespace {

// What tokens point into.
struct Storage {
  Storage(std::span<const std::byte> bytes, const std::string& path) : json(bytes, path) {}

  TokenizerJson json;
  std::deque<std::string> added;
};

class Reader {
 public:
  Reader(const std::shared_ptr<Storage>& storage, int64_t vocab_size)
      : storage_(storage),
        json_(&storage->json),
        root_(storage->json.root()),
        vocab_size_(vocab_size) {
    parts_.storage = storage;
  }

  HuggingFaceVocabulary read(std::span<const std::byte> bytes) {
    check_model();
    HuggingFaceRules rules = read_huggingface_rules(root_);
    read_tokens();
    read_unknown();
    read_added_tokens();
    fit_to_model(parts_, vocab_size_, json_->path());
    set_ends(parts_, {.bos = bos_of(rules)}, json_->path());
    parts_.hash = hash(bytes);
    return {.parts = std::move(parts_),
            .added = std::move(added_),
            .rules = std::move(rules),
            .whole_words = model().flag("ignore_merges", false),
            .byte_fallback = byte_fallback_,
            .fuse_unknown = model().flag("fuse_unk", false),
            .json = {storage_, &storage_->json}};
  }

 private:
  JsonPlace model() const { return root_.at("model"); }

  void check_model() {
    // Files of the first versions do not say it.
    const std::string type = model().text("type", "BPE");
    if (type != "BPE")
      model().at("type").fail("is '" + shown_name(type) + "', which is not supported; BPE is");
    if (!json_->has_vocabulary()) model().at("vocab");
    if (json_->n_tokens() == 0) model().fail("has no tokens in vocab");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!model().text(key, "").empty()) model().at(key).fail("must be empty");
    if (model().find("dropout")) model().at("dropout").fail("is not supported");
    byte_fallback_ = model().flag("byte_fallback", false);
  }

  void set_token(int64_t id, std::string_view text, TokenKind kind) {
    const auto index = static_cast<size_t>(id);
    if (index >= parts_.tokens.size()) {
      parts_.tokens.resize(index + 1);
      parts_.kinds.resize(index + 1, TokenKind::kUnused);
    }
    parts_.tokens[index] = text;
    parts_.kinds[index] = kind;
  }

  void read_tokens() {
    ids_.reserve(json_->n_tokens());
    for (size_t i = 0; i < json_->n_tokens(); ++i) {
      const int64_t id = json_->id(i);
      const std::string_view text = json_->token(i);
      if (static_cast<size_t>(id) < parts_.kinds.size() &&
          parts_.kinds[static_cast<size_t>(id)] != TokenKind::kUnused)
        model().fail("has in vocab two tokens with the id " + std::to_string(id));
      const bool is_byte = byte_fallback_ && is_byte_token(text);
      set_token(id, text, is_byte ? TokenKind::kByte : TokenKind::kNormal);
      ids_.add(text, static_cast<int32_t>(id));
    }
  }

  void read_unknown() {
    const auto unknown = model().find("unk_token");
    if (!unknown) return;
    const std::string text = unknown->text();
    const int32_t id = ids_.find(text);
    if (id < 0) unknown->fail("is '" + shown_name(text) + "', which is not a token");
    parts_.kinds[static_cast<size_t>(id)] = TokenKind::kUnknown;
  }

  void read_added_tokens() {
    const auto list = root_.find("added_tokens");
    if (!list) return;
    for (const JsonPlace& place : list->list()) read_added_token(place);
  }

  void read_added_token(const JsonPlace& place) {
    const int64_t id = place.at("id").whole();
    const std::string text = place.at("content").text();
    if (id < 0 || id >= kMostTokens)
      place.at("id").fail("must be an id from 0 to " + std::to_string(kMostTokens - 1));
    if (text.empty()) place.at("content").fail("is empty");
    const int32_t there = ids_.find(text);
    if (there >= 0 && there != id)
      place.at("id").fail("is " + std::to_string(id) + ", and the token '" + shown_name(text) +
                          "' has the id " + std::to_string(there) + " already");
    const auto index = static_cast<size_t>(id);
    if (there < 0 && index < parts_.tokens.size() && !parts_.tokens[index].empty())
      place.at("id").fail("is " + std::to_string(id) + ", which is the id of another token");
    const bool special = place.flag("special", false);
    const bool is_unknown = there >= 0 && parts_.kinds[index] == TokenKind::kUnknown;
    if (there < 0) {
      const std::string& kept = storage_->added.emplace_back(text);
      set_token(id, kept, TokenKind::kControl);
      ids_.add(kept, static_cast<int32_t>(id));
    }
    if (!is_unknown) parts_.kinds[index] = special ? TokenKind::kControl : TokenKind::kUserDefined;
    if (special) return;
    added_.push_back({text,
                      {.id = static_cast<int32_t>(id),
                       .takes_left_space = place.flag("lstrip", false),
                       .takes_right_space = place.flag("rstrip", false),
                       .single_word = place.flag("single_word", false)},
                      place.flag("normalized", true)});
  }

  int32_t bos_of(const HuggingFaceRules& read) const {
    if (read.bos.empty()) return -1;
    const int32_t id = find_written(parts_, read.bos);
    if (id < 0)
      root_.at("post_processor")
          .fail("puts '" + shown_name(read.bos) + "' before a text, which is not a token");
    return id;
  }

  std::string hash(std::span<const std::byte> bytes) const {
    Hasher hasher;
    hasher.add(bytes);
    hasher.add(" bos " + std::to_string(parts_.bos));
    return hasher.hex();
  }

  std::shared_ptr<Storage> storage_;
  const TokenizerJson* json_;
  JsonPlace root_;
  int64_t vocab_size_;
  bool byte_fallback_ = false;
  VocabularyParts parts_;
  TextIndex ids_;
  std::vector<HuggingFaceAdded> added_;
};

}  // namespace

MergeTable HuggingFaceVocabulary::merges(const Vocabulary& vocabulary) const {
  MergeTable table;
  table.reserve(json->n_merges());
  for (size_t i = 0; i < json->n_merges(); ++i) {
    const auto [left, right] = json->merge(i);
    if (!table.add(vocabulary, left, right))
      json->root().at("model").fail("has the merge " + std::to_string(i) + ", '" +
                                    shown_name(left) + " " + shown_name(right) +
                                    "', which is not of two tokens that make a third");
  }
  return table;
}

HuggingFaceVocabulary read_huggingface_vocabulary(std::span<const std::byte> bytes,
                                                  const std::string& path, int64_t vocab_size) {
  return Reader(std::make_shared<Storage>(bytes, path), vocab_size).read(bytes);
}

}  // namespace perdure
