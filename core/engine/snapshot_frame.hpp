// SPDX-License-Identifier: Apache-2.0

// The frame of a snapshot (docs/formats.md): one stream of payload, cut into chunks with number,
// length and checksum, between a header and a trailer. What the payload says is snapshot.cpp's.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace perdure::snapshot_frame {

// What is written; every version from 1 on is read.
inline constexpr uint32_t kVersion = 3;
inline constexpr uint64_t kChunkOverhead = 16;  // number, length | checksum
inline constexpr uint64_t kChunkPayload = (1u << 20) - kChunkOverhead;
// A configuration is at most 1 MiB as written, and its dump may take four bytes for one of them.
inline constexpr uint32_t kMaxText = 1u << 24;

// Little-endian form of a number; its own inverse.
template <typename T>
T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::little) return value;
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  std::reverse(bytes.begin(), bytes.end());
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Throws Error: the snapshot is damaged at this byte.
[[noreturn]] void refuse(const std::string& what, uint64_t offset);

// Receives the bytes of a snapshot in order, at most 1 MiB at a time; valid during the call.
using Sink = std::function<void(std::span<const std::byte> piece)>;

// Takes the payload and gives chunks to the sink as they fill; holds one chunk.
class Writer {
 public:
  // Borrows the sink.
  explicit Writer(const Sink& sink);

  void bytes(const void* data, size_t size);
  void text(const std::string& text);

  template <typename T>
  void number(T value) {
    value = little_endian(value);
    bytes(&value, sizeof(T));
  }

  template <typename T>
  void numbers(std::span<const T> values) {
    if constexpr (std::endian::native == std::endian::little) {
      bytes(values.data(), values.size_bytes());
    } else {
      for (T value : values) number(value);
    }
  }

  // Gives what is left and the trailer; the writer is spent.
  void finish();

 private:
  template <typename T>
  void append_number(T value) {
    value = little_endian(value);
    append(&value, sizeof(T));
  }
  void append(const void* data, size_t size);
  void give();
  void open_chunk();
  void close_chunk();

  const Sink& sink_;
  std::vector<std::byte> chunk_;
  std::vector<uint64_t> checksums_;  // as on disk
  uint64_t given_ = 0;               // bytes
};

// Reads the payload, or a part of it, front to back across its chunks. Errors of all methods: Error
// with the byte offset.
class Reader {
 public:
  // Checks the whole frame, every length and checksum. Borrows the file.
  explicit Reader(std::span<const std::byte> file);

  uint32_t version() const { return version_; }
  uint64_t left() const { return end_ - at_; }
  // Goes on at byte `begin` of the payload; byte `end` counts as its end. Requires: begin <= end,
  // and the payload has so many.
  void turn_to(uint64_t begin, uint64_t end) {
    at_ = begin;
    end_ = end;
  }
  // Where the next byte lies in the file.
  uint64_t offset() const;

  void bytes(void* to, uint64_t size);
  // A count of items of at least `item_bytes` each, which must be left.
  uint32_t count(uint32_t limit, uint64_t item_bytes, const char* what);
  std::string text(const char* what);

  template <typename T>
  T number() {
    T value;
    bytes(&value, sizeof(T));
    return little_endian(value);
  }

  template <typename T>
  void numbers(std::span<T> values) {
    bytes(values.data(), values.size_bytes());
    if constexpr (std::endian::native != std::endian::little) {
      for (T& value : values) value = little_endian(value);
    }
  }

  // Requires: n was checked against left().
  template <typename T>
  std::vector<T> numbers(uint64_t n) {
    std::vector<T> values(n);
    numbers(std::span<T>(values));
    return values;
  }

 private:
  std::span<const std::byte> file_;
  uint32_t version_ = 0;
  uint64_t end_ = 0;  // bytes of payload
  uint64_t at_ = 0;
};

}  // namespace perdure::snapshot_frame
