// SPDX-License-Identifier: Apache-2.0

// Field numbers are those of sentencepiece_model.proto.
#include "core/model/tokenizers/sentencepiece_model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "core/api/error.hpp"
#include "core/model/formats/protobuf.hpp"

namespace perdure {
namespace {

class ModelReader {
 public:
  ModelReader(std::span<const std::byte> bytes, const std::string& path)
      : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path_(path) {}

  SentencepieceModel read() {
    ProtobufReader fields(bytes_, 0, path_);
    while (const auto field = fields.next()) {
      if (field->number == 1) read_token(message(*field));
      if (field->number == 2) read_trainer(message(*field));
      if (field->number == 3) read_normalizer(message(*field));
      if (field->number == 5) read_denormalizer(message(*field));
    }
    check();
    return model_;
  }

 private:
  void read_token(const ProtobufField& token) {
    std::string_view text;
    float score = 0;
    uint64_t kind = 1;
    ProtobufReader fields(token, path_);
    while (const auto field = fields.next()) {
      if (field->number == 1) text = message(*field).bytes;
      if (field->number == 2) score = real(*field);
      if (field->number == 3) kind = whole(*field);
    }
    if (text.empty()) fail(token.offset, "is a token without a text");
    if (!std::isfinite(score)) fail(token.offset, "is a token whose score is not finite");
    if (kind < 1 || kind > 6)
      fail(token.offset, "is a token of the type " + std::to_string(kind) + ", which is unknown");
    if (static_cast<int64_t>(model_.tokens.size()) == kMostTokens)
      fail(token.offset, "is one token more than " + std::to_string(kMostTokens));
    if (!seen_.insert(text).second) fail(token.offset, "is a token that is there already");
    model_.tokens.push_back(text);
    model_.scores.push_back(score);
    model_.kinds.push_back(static_cast<TokenKind>(kind));
    check_kind(token, text, static_cast<TokenKind>(kind));
  }

  void check_kind(const ProtobufField& token, std::string_view text, TokenKind kind) {
    if (kind == TokenKind::kUnknown && has_unknown_)
      fail(token.offset, "is a second unknown token");
    has_unknown_ |= kind == TokenKind::kUnknown;
    if (kind != TokenKind::kByte) return;
    if (!is_byte_token(text)) fail(token.offset, "is a byte token that names no byte");
    ++n_bytes_;
    first_byte_token_ = std::min(first_byte_token_, token.offset);
  }

  void read_trainer(const ProtobufField& trainer) {
    static constexpr std::array kKinds = {"", "unigram", "bpe", "word", "char"};
    ProtobufReader fields(trainer, path_);
    while (const auto field = fields.next()) {
      if (field->number == 3) {
        const uint64_t kind = whole(*field);
        if (kind != 1 && kind != 2)
          fail(field->offset, "says that the model_type is " +
                                  (kind == 3 || kind == 4 ? kKinds[kind] : std::to_string(kind)) +
                                  ", which is not supported; unigram and bpe are");
        model_.kind = static_cast<SentencepieceModel::Kind>(kind);
      }
      if (field->number == 24 && flag(*field))
        fail(field->offset, "says treat_whitespace_as_suffix, which is not supported");
      if (field->number == 35) model_.byte_fallback = flag(*field);
      if (field->number == 46) model_.bos = message(*field).bytes;
      if (field->number == 47) model_.eos = message(*field).bytes;
    }
  }

  void read_normalizer(const ProtobufField& normalizer) {
    ProtobufReader fields(normalizer, path_);
    while (const auto field = fields.next()) {
      if (field->number == 2) {
        model_.charsmap = message(*field).bytes;
        model_.charsmap_at = field->bytes_at;
      }
      if (field->number == 3) model_.add_dummy_prefix = flag(*field);
      if (field->number == 4) model_.remove_extra_whitespaces = flag(*field);
      if (field->number == 5) model_.escape_whitespaces = flag(*field);
    }
  }

  void read_denormalizer(const ProtobufField& denormalizer) {
    ProtobufReader fields(denormalizer, path_);
    while (const auto field = fields.next())
      if (field->number == 2 && !message(*field).bytes.empty())
        fail(field->offset, "is a map of characters for decoding, which is not supported");
  }

  void check() const {
    if (model_.tokens.empty()) throw Error(path_ + ": there are no tokens");
    if (!has_unknown_) throw Error(path_ + ": there is no unknown token");
    if (too_many_user_defined(model_.kinds))
      throw Error(path_ + ": there are more than " + std::to_string(kMostUserDefined) +
                  " user-defined tokens");
    if (n_bytes_ > 0 && !model_.byte_fallback)
      fail(first_byte_token_, "is a byte token, which a model without byte_fallback has not");
    if (model_.byte_fallback && n_bytes_ != 256)
      throw Error(path_ + ": byte_fallback needs 256 byte tokens, and there are " +
                  std::to_string(n_bytes_));
  }

  const ProtobufField& message(const ProtobufField& field) const {
    return of_wire(field, ProtobufWire::kBytes);
  }
  uint64_t whole(const ProtobufField& field) const {
    return of_wire(field, ProtobufWire::kVarint).value;
  }
  bool flag(const ProtobufField& field) const { return whole(field) != 0; }
  float real(const ProtobufField& field) const {
    return std::bit_cast<float>(
        static_cast<uint32_t>(of_wire(field, ProtobufWire::kFixed32).value));
  }
  const ProtobufField& of_wire(const ProtobufField& field, ProtobufWire wire) const {
    if (field.wire != wire)
      fail(field.offset, "is a field (number " + std::to_string(field.number) +
                             ") of another type than sentencepiece's");
    return field;
  }

  [[noreturn]] void fail(size_t offset, const std::string& what) const {
    throw Error(path_ + ": byte offset " + std::to_string(offset) + " " + what);
  }

  std::string_view bytes_;
  const std::string& path_;
  SentencepieceModel model_;
  std::unordered_set<std::string_view> seen_;
  bool has_unknown_ = false;
  int64_t n_bytes_ = 0;
  size_t first_byte_token_ = static_cast<size_t>(-1);
};

}  // namespace

SentencepieceModel read_sentencepiece_model(std::span<const std::byte> bytes,
                                            const std::string& path) {
  return ModelReader(bytes, path).read();
}

// The first field is the first token: a short message that begins with a text.
bool is_sentencepiece_model(std::span<const std::byte> file) {
  const auto byte = [&](size_t i) { return std::to_integer<unsigned>(file[i]); };
  return file.size() > 4 && byte(0) == 0x0A && byte(1) > 2 && byte(1) < 0x80 && byte(2) == 0x0A &&
         byte(3) > 0 && byte(3) + 2 <= byte(1);
}

}  // namespace perdure
