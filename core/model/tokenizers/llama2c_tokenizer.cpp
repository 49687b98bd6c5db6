// SPDX-License-Identifier: Apache-2.0

// The vocabulary as views into the file and a hash table of ids.
#include "core/model/tokenizers/llama2c_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/mapped_file.hpp"
#include "core/base/utf8.hpp"
#include "core/model/tokenizers/pair_merger.hpp"

namespace perdure {
namespace {

constexpr int64_t kMostPieces = int64_t{1} << 21;
constexpr size_t kHeaderBytes = 4;  // the longest piece's length, which nothing needs
constexpr size_t kRecordBytes = 8;  // score and length before each piece
constexpr int32_t kFirstByteId = 3;
constexpr int32_t kNone = -1;
constexpr float kLowestScore = -1e10f;  // pairs are merged only above it

constexpr std::array<char, 256> kBytes = [] {
  std::array<char, 256> bytes{};
  for (int b = 0; b < 256; ++b) bytes[static_cast<size_t>(b)] = static_cast<char>(b);
  return bytes;
}();

template <class T>
T value_at(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The byte that a piece like "<0x0A>" stands for, or -1. The original does not ask for the closing
// bracket.
int byte_of(std::string_view piece) {
  if (!piece.starts_with("<0x")) return -1;
  const std::string_view digits = piece.substr(3, 2);
  unsigned value = 0;
  const auto [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return status == std::errc() ? static_cast<int>(value) : -1;
}

std::string byte_piece(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace

struct Llama2cTokenizer::Impl {
  std::optional<MappedFile> file;
  std::span<const std::byte> bytes;
  std::vector<size_t> records;  // byte offset of each piece's record
  std::vector<int32_t> slots;   // open addressing by the hash of the piece; kNone = free
  size_t longest_piece = 0;
  bool has_byte_pieces = false;
  std::string hash;

  // As long as up to the next record: the length in the file may be another by now.
  std::string_view piece(int32_t id) const {
    const auto index = static_cast<size_t>(id);
    const size_t at = records[index] + kRecordBytes;
    const size_t end = index + 1 < records.size() ? records[index + 1] : bytes.size();
    return {reinterpret_cast<const char*>(bytes.data()) + at, end - at};
  }
  float score(int32_t id) const { return value_at<float>(bytes, records[static_cast<size_t>(id)]); }

  int32_t find(std::string_view text) const {
    if (text.size() > longest_piece) return kNone;
    for (size_t slot = hash64(text) & (slots.size() - 1);; slot = (slot + 1) & (slots.size() - 1)) {
      const int32_t id = slots[slot];
      if (id == kNone || piece(id) == text) return id;
    }
  }

  void read_records(const std::string& path, int64_t vocab_size);
  void index_pieces();
  void append_characters(std::string_view text, std::vector<int32_t>& ids) const;
  void merge(std::vector<int32_t>& ids) const;
};

void Llama2cTokenizer::Impl::read_records(const std::string& path, int64_t vocab_size) {
  const std::string wanted = "the model's vocabulary of " + std::to_string(vocab_size) + " pieces";
  const auto fail = [&](size_t offset, const std::string& what) {
    throw Error(path + ": byte offset " + std::to_string(offset) + ": " + what);
  };
  if (vocab_size < kFirstByteId || vocab_size > kMostPieces)
    throw Error(path + ": " + wanted + " cannot have a tokenizer.bin; 3 to 2097152 pieces can");
  if (bytes.size() < kHeaderBytes) fail(bytes.size(), "the file ends inside its header");
  size_t at = kHeaderBytes;
  for (int64_t id = 0; id < vocab_size; ++id) {
    const std::string which = "piece " + std::to_string(id);
    if (at == bytes.size())
      fail(at, "the file ends after " + std::to_string(id) + " pieces and does not fit " + wanted);
    if (bytes.size() - at < kRecordBytes) fail(at, "the file ends inside " + which);
    const int64_t length = value_at<int32_t>(bytes, at + 4);
    if (length < 1) fail(at + 4, which + " has the length " + std::to_string(length));
    if (static_cast<size_t>(length) > bytes.size() - at - kRecordBytes)
      fail(at + 4,
           which + " has the length " + std::to_string(length) + ", more than the file holds");
    records.push_back(at);
    longest_piece = std::max(longest_piece, static_cast<size_t>(length));
    at += kRecordBytes + static_cast<size_t>(length);
  }
  if (at != bytes.size()) fail(at, "the file has more pieces than " + wanted);
}

// Of equal pieces the first is found. The table is at most half full.
void Llama2cTokenizer::Impl::index_pieces() {
  slots.assign(std::bit_ceil(2 * records.size()), kNone);
  for (int32_t id = 0; id < static_cast<int32_t>(records.size()); ++id) {
    size_t slot = hash64(piece(id)) & (slots.size() - 1);
    while (slots[slot] != kNone && piece(slots[slot]) != piece(id))
      slot = (slot + 1) & (slots.size() - 1);
    if (slots[slot] == kNone) slots[slot] = id;
  }
  has_byte_pieces = records.size() >= kFirstByteId + 256;
  for (int b = 0; b < 256 && has_byte_pieces; ++b)
    has_byte_pieces = piece(kFirstByteId + b) == byte_piece(b);
}

// One id per character: a first byte and the continuation bytes after it, four bytes at most; byte
// pieces for characters that the vocabulary lacks.
void Llama2cTokenizer::Impl::append_characters(std::string_view text,
                                               std::vector<int32_t>& ids) const {
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    end = begin + 1;
    while (end < text.size() && end - begin < 4 && is_utf8_continuation(text[end])) ++end;
    const std::string_view character = text.substr(begin, end - begin);
    if (const int32_t id = find(character); id != kNone) {
      ids.push_back(id);
      continue;
    }
    if (!has_byte_pieces)
      throw Error(
          "the text has at byte offset " + std::to_string(begin) +
          " a character that the tokenizer's vocabulary cannot express; take it out of the text");
    for (const char c : character) ids.push_back(kFirstByteId + static_cast<unsigned char>(c));
  }
}

void Llama2cTokenizer::Impl::merge(std::vector<int32_t>& ids) const {
  std::vector<TextPiece> pieces;
  for (size_t i = 0; i < ids.size(); ++i) pieces.push_back({i, i + 1, ids[i]});
  std::string both;
  const auto merged = [&](const TextPiece& left, const TextPiece& right) {
    both.assign(piece(left.id)).append(piece(right.id));
    const int32_t id = find(both);
    return id != kNone && score(id) > kLowestScore ? std::optional(MergedPair{score(id), id})
                                                   : std::nullopt;
  };
  ids.clear();
  for (const TextPiece& p : merge_pairs(std::move(pieces), merged)) ids.push_back(p.id);
}

Llama2cTokenizer::Llama2cTokenizer() : impl_(std::make_unique<Impl>()) {}
Llama2cTokenizer::Llama2cTokenizer(Llama2cTokenizer&&) noexcept = default;
Llama2cTokenizer& Llama2cTokenizer::operator=(Llama2cTokenizer&&) noexcept = default;
Llama2cTokenizer::~Llama2cTokenizer() = default;

Llama2cTokenizer Llama2cTokenizer::read(std::span<const std::byte> bytes, const std::string& path,
                                        int64_t vocab_size) {
  Llama2cTokenizer tokenizer;
  Impl& impl = *tokenizer.impl_;
  impl.bytes = bytes;
  impl.read_records(path, vocab_size);
  impl.index_pieces();
  Hasher hasher;
  hasher.add(bytes);
  impl.hash = hasher.hex();
  return tokenizer;
}

Llama2cTokenizer Llama2cTokenizer::keep(MappedFile file, int64_t vocab_size) {
  Llama2cTokenizer tokenizer = read(file.bytes(), file.path(), vocab_size);
  tokenizer.impl_->file.emplace(std::move(file));
  return tokenizer;
}

Llama2cTokenizer Llama2cTokenizer::open(const std::string& path, int64_t vocab_size) {
  return keep(MappedFile(path), vocab_size);
}

std::unique_ptr<const Tokenizer> read_llama2c_tokenizer(MappedFile file, const ModelInfo& model) {
  return std::make_unique<Llama2cTokenizer>(
      Llama2cTokenizer::keep(std::move(file), model.vocab_size));
}

std::vector<int32_t> Llama2cTokenizer::encode_text(std::string_view text, bool prefix) const {
  std::vector<int32_t> ids;
  if (text.empty()) return ids;
  if (const int32_t space = impl_->find(" "); prefix && space != kNone) ids.push_back(space);
  impl_->append_characters(text, ids);
  impl_->merge(ids);
  return ids;
}

std::string_view Llama2cTokenizer::decode(int32_t previous, int32_t id) const {
  std::string_view piece = impl_->piece(id);
  if (previous == kBos && piece.starts_with(' ')) piece.remove_prefix(1);
  const int byte = byte_of(piece);
  return byte < 0 ? piece : std::string_view(&kBytes[static_cast<size_t>(byte)], 1);
}

std::span<const int32_t> Llama2cTokenizer::eos_ids() const {
  static constexpr int32_t kIds[] = {kEos};
  return kIds;
}

int64_t Llama2cTokenizer::vocab_size() const { return static_cast<int64_t>(impl_->records.size()); }

const std::string& Llama2cTokenizer::hash() const { return impl_->hash; }

}  // namespace perdure
