// SPDX-License-Identifier: Apache-2.0

// tokenizer.json in GGUF: byte-level vocabularies are `gpt2`'s kind, those of characters with byte
// tokens are `llama`'s.
#include <algorithm>
#include <optional>

#include "core/base/shown_name.hpp"
#include "core/model/conversion/merge_scores.hpp"
#include "core/model/conversion/vocabulary_keys.hpp"
#include "core/model/tokenizers/gguf_own_keys.hpp"
#include "core/model/tokenizers/huggingface_vocabulary.hpp"
#include "core/model/tokenizers/pre_patterns.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {
namespace {

constexpr int64_t kBytes = 256;

class KeysOfHuggingFace {
 public:
  KeysOfHuggingFace(const MappedFile& file, int64_t vocab_size)
      : read_(read_huggingface_vocabulary(file.bytes(), file.path(), vocab_size)) {}

  VocabularyKeys run() {
    check_added_tokens();
    read_.rules.is_byte_level ? write_bytes() : write_characters();
    return std::move(written_);
  }

 private:
  static std::string key(const char* name) { return std::string(kGgufTokenizer) + name; }

  // GGUF's user-defined tokens are looked for in the text as it is, and nothing beside them counts.
  void check_added_tokens() const {
    for (const HuggingFaceAdded& added : read_.added)
      if (added.token.takes_left_space || added.token.takes_right_space || added.token.single_word)
        throw GgufLacks("its added token '" + shown_name(added.text) +
                        "' depends on what stands beside it");
    const auto n_normalized =
        std::ranges::count(read_.added, true, &HuggingFaceAdded::is_normalized);
    const bool all = n_normalized == std::ssize(read_.added);
    if (n_normalized > 0 && !(all && read_.rules.normalizer.empty()))
      throw GgufLacks("it looks for added tokens in the normalised text");
  }

  void write_bytes() {
    if (read_.rules.spaces.has_prefix()) throw GgufLacks("it puts a space before a text");
    write_normalizer();
    const std::string_view pre = pre_name_of(read_.rules.words, read_.whole_words);
    if (pre.empty())
      throw GgufLacks("it takes a text apart in a way that has no name in GGUF files");
    set_tokens(written_.keys, "gpt2", read_.parts, read_.json->path());
    written_.keys.set_text(key("pre"), pre);
    written_.keys.set_texts(key("merges"), merges());
  }

  void write_normalizer() {
    if (read_.rules.normalizer.empty()) return;
    TextSteps composing;
    composing.compose();
    if (!(read_.rules.normalizer == composing)) throw GgufLacks("of its normalizer");
    written_.keys.set_text(std::string(kGgufNormalizer), kGgufComposes);
    written_.notes.emplace_back(
        "the tokenizer composes characters (NFC), as perdure does with the file too; llama.cpp "
        "does not, and gives other ids where a text is not composed");
  }

  std::vector<std::string> merges() const {
    std::vector<std::string> merges;
    for (size_t i = 0; i < read_.json->n_merges(); ++i) {
      const auto [left, right] = read_.json->merge(i);
      if (left.find(' ') != left.npos || right.find(' ') != right.npos)
        throw GgufLacks("it has merges of tokens with spaces");
      merges.push_back(std::string(left).append(" ").append(right));
    }
    return merges;
  }

  void write_characters() {
    const auto n_bytes = std::ranges::count(read_.parts.kinds, TokenKind::kByte);
    if (n_bytes != kBytes)
      throw GgufLacks("it has no byte tokens for characters that it does not know");
    if (!read_.rules.words.empty()) throw GgufLacks("it takes a text apart before it merges");
    if (read_.whole_words) throw GgufLacks("it takes whole words that are tokens unmerged");
    const bool prefix = write_spaces();
    if (prefix != read_.rules.drops_prefix)
      throw GgufLacks("its decoder treats the space before a text in another way");
    const std::vector<float> scores = merge_scores(read_);
    set_tokens(written_.keys, "llama", read_.parts, read_.json->path());
    written_.keys.set_text(key("pre"), "default");
    written_.keys.set_reals(key("scores"), scores);
  }

  // Whether a space is put before a text.
  bool write_spaces() {
    const TextSteps& steps =
        read_.rules.normalizer.empty() ? read_.rules.spaces : read_.rules.normalizer;
    const bool both = !read_.rules.normalizer.empty() && !read_.rules.spaces.empty();
    TextSteps none;
    none.replace(" ", std::string(kSentencepieceSpace));
    const auto* prefix = std::ranges::find_if(kGgufSpacePrefixes, [&](const GgufSpacePrefix& p) {
      return marked_spaces(p.rule) == steps;
    });
    const bool has_prefix = prefix != kGgufSpacePrefixes.end();
    if (both || (!has_prefix && !(steps == none))) throw GgufLacks("of its normalizer");
    written_.keys.set_flag(key("add_space_prefix"), has_prefix);
    if (has_prefix && prefix->rule != PrefixRule::kAlways) write_prefix(*prefix);
    return has_prefix;
  }

  void write_prefix(const GgufSpacePrefix& prefix) {
    written_.keys.set_text(std::string(kGgufSpacePrefix), prefix.name);
    written_.notes.emplace_back(
        "the tokenizer puts no space before a text that begins with one, as perdure does with the "
        "file too; llama.cpp puts one there, and gives another id at the begin of such a text");
  }

  HuggingFaceVocabulary read_;
  VocabularyKeys written_;
};

}  // namespace

VocabularyKeys huggingface_keys(const MappedFile& file, int64_t vocab_size) {
  return KeysOfHuggingFace(file, vocab_size).run();
}

}  // namespace perdure
