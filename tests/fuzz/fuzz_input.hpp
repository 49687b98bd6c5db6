// SPDX-License-Identifier: Apache-2.0

// What several fuzz targets need: a snapshot's frame around any payload, and a file without a disk.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/base/descriptor.hpp"
#include "core/base/hash.hpp"

namespace perdure::fuzzing {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& bytes, T value) {
  std::byte raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.insert(bytes.end(), raw, raw + sizeof(T));
}

inline void append_text(Bytes& bytes, const std::string& text) {
  append(bytes, static_cast<uint32_t>(text.size()));
  const auto raw = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

// Payloads of one chunk are shorter than this.
inline constexpr size_t kMaxPayload = (size_t{1} << 20) - 16;

// A one-chunk snapshot of that format version around the payload: no fuzzer guesses checksums.
inline Bytes framed(std::span<const std::byte> payload, uint32_t version) {
  Bytes file;
  for (int byte : {0x89, 0x50, 0x44, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a})
    append(file, static_cast<uint8_t>(byte));
  append(file, version);
  append(file, uint32_t{0});
  append(file, uint32_t{0});
  append(file, static_cast<uint32_t>(payload.size()));
  file.insert(file.end(), payload.begin(), payload.end());
  const uint64_t checksum = hash64(std::span<const std::byte>(file).subspan(16));
  append(file, checksum);
  append(file, static_cast<uint64_t>(file.size() + 16));
  append(file, hash64(std::as_bytes(std::span(&checksum, 1))));
  return file;
}

// A file in memory that can be opened by its path while this lives.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes)
      : file_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (::write(file_.number(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      std::abort();
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_.number()); }

 private:
  Descriptor file_;
};

}  // namespace perdure::fuzzing
