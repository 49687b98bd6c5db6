// SPDX-License-Identifier: Apache-2.0

#include "core/engine/snapshot_frame.hpp"

#include <utility>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"

namespace perdure::snapshot_frame {
namespace {

// As PNG's: the first byte is no text, the line ends reveal a transfer in text mode.
constexpr std::array<unsigned char, 8> kMagic = {0x89, 'P', 'D', 'M', '\r', '\n', 0x1a, '\n'};
constexpr uint64_t kHeaderBytes = 16;   // magic, version, 4 zero bytes
constexpr uint64_t kTrailerBytes = 16;  // total length, checksum of the checksums
constexpr uint64_t kChunkBytes = kChunkPayload + kChunkOverhead;

template <typename T>
T load(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return little_endian(value);
}

// Errors: Error unless the file begins and ends as a snapshot of this version and length.
void verify_ends(std::span<const std::byte> bytes) {
  const uint64_t size = bytes.size();
  if (size == 0) throw Error("this is not a perdure snapshot: the file is empty");
  if (std::memcmp(bytes.data(), kMagic.data(), std::min<uint64_t>(size, kMagic.size())) != 0) {
    throw Error("this is not a perdure snapshot: the magic bytes at byte 0 are missing");
  }
  if (size < kHeaderBytes + kChunkOverhead + kTrailerBytes) refuse("the file ends too early", size);
  const auto version = load<uint32_t>(bytes, 8);
  if (version < 1 || version > kVersion) {
    throw Error("the snapshot has format version " + std::to_string(version) +
                " (byte 8), this program reads versions 1 to " + std::to_string(kVersion) +
                ": use a newer perdure");
  }
  if (load<uint32_t>(bytes, 12) != 0) refuse("reserved bytes are not zero", 12);
  const uint64_t end = size - kTrailerBytes;
  if (load<uint64_t>(bytes, end) != size)
    refuse("the file was cut or lengthened, its length is not the stored one", end);
}

// Checks the chunk at this byte and adds its checksum. Returns its length.
uint64_t verify_chunk(std::span<const std::byte> bytes, uint64_t at, uint64_t end,
                      std::vector<uint64_t>& checksums) {
  const uint64_t expected = std::min(end - at, kChunkBytes);
  if (expected < kChunkOverhead) refuse("a chunk is too short", at);
  if (load<uint32_t>(bytes, at) != checksums.size()) refuse("a chunk has the wrong number", at);
  if (load<uint32_t>(bytes, at + 4) != expected - kChunkOverhead)
    refuse("a chunk has the wrong length", at + 4);
  const uint64_t checksum = load<uint64_t>(bytes, at + expected - 8);
  if (hash64(bytes.subspan(at, expected - 8)) != checksum) {
    refuse("the checksum of bytes " + std::to_string(at) + " to " +
               std::to_string(at + expected - 1) + " differs",
           at);
  }
  checksums.push_back(little_endian(checksum));
  return expected;
}

// Bytes of payload.
uint64_t verify_frame(std::span<const std::byte> bytes) {
  verify_ends(bytes);
  const uint64_t end = bytes.size() - kTrailerBytes;
  std::vector<uint64_t> checksums;
  uint64_t payload = 0;
  for (uint64_t at = kHeaderBytes; at < end;) {
    const uint64_t length = verify_chunk(bytes, at, end, checksums);
    payload += length - kChunkOverhead;
    at += length;
  }
  if (load<uint64_t>(bytes, end + 8) != hash64(std::as_bytes(std::span(checksums)))) {
    refuse("the chunks do not belong together", end + 8);
  }
  return payload;
}

}  // namespace

void refuse(const std::string& what, uint64_t offset) {
  throw Error("the snapshot is damaged at byte " + std::to_string(offset) + ": " + what +
              "; restore an older generation");
}

Writer::Writer(const Sink& sink) : sink_(sink) {
  chunk_.reserve(kChunkBytes);
  append(kMagic.data(), kMagic.size());
  append_number(kVersion);
  append_number(uint32_t{0});
  give();
  open_chunk();
}

void Writer::bytes(const void* data, size_t size) {
  const auto* from = static_cast<const std::byte*>(data);
  while (size > 0) {
    const size_t used = chunk_.size() - 8;
    if (used == kChunkPayload) {
      close_chunk();
      open_chunk();
      continue;
    }
    const size_t part = std::min<size_t>(size, kChunkPayload - used);
    append(from, part);
    from += part;
    size -= part;
  }
}

void Writer::text(const std::string& text) {
  number(static_cast<uint32_t>(text.size()));
  bytes(text.data(), text.size());
}

void Writer::finish() {
  close_chunk();
  append_number(given_ + kTrailerBytes);
  append_number(hash64(std::as_bytes(std::span(checksums_))));
  give();
}

void Writer::append(const void* data, size_t size) {
  const auto* from = static_cast<const std::byte*>(data);
  chunk_.insert(chunk_.end(), from, from + size);
}

void Writer::give() {
  sink_(chunk_);
  given_ += chunk_.size();
  chunk_.clear();
}

void Writer::open_chunk() {
  append_number(static_cast<uint32_t>(checksums_.size()));
  append_number(uint32_t{0});  // the length, known when the chunk is closed
}

void Writer::close_chunk() {
  const uint32_t size = little_endian(static_cast<uint32_t>(chunk_.size() - 8));
  std::memcpy(chunk_.data() + 4, &size, sizeof(size));
  const uint64_t checksum = hash64(chunk_);
  append_number(checksum);
  checksums_.push_back(little_endian(checksum));
  give();
}

Reader::Reader(std::span<const std::byte> file) : file_(file), end_(verify_frame(file)) {
  version_ = load<uint32_t>(file, 8);
}

uint64_t Reader::offset() const {
  return kHeaderBytes + at_ / kChunkPayload * kChunkBytes + 8 + at_ % kChunkPayload;
}

void Reader::bytes(void* to, uint64_t size) {
  if (size > left()) refuse("a length goes beyond the end", offset());
  auto* out = static_cast<std::byte*>(to);
  while (size > 0) {
    const uint64_t part = std::min(size, kChunkPayload - at_ % kChunkPayload);
    std::memcpy(out, file_.data() + offset(), part);
    out += part;
    at_ += part;
    size -= part;
  }
}

uint32_t Reader::count(uint32_t limit, uint64_t item_bytes, const char* what) {
  const uint64_t where = offset();
  const auto n = number<uint32_t>();
  if (n > limit || n * item_bytes > left())
    refuse(std::string("impossible number of ") + what, where);
  return n;
}

std::string Reader::text(const char* what) {
  std::string text(count(kMaxText, 1, what), '\0');
  bytes(text.data(), text.size());
  return text;
}

}  // namespace perdure::snapshot_frame
