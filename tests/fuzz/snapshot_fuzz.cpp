// SPDX-License-Identifier: Apache-2.0

// Any bytes handed to the snapshot reader are decoded or refused with an Error. The input is tried
// as a file, and as a payload inside a valid frame, because no fuzzer guesses checksums.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/engine/snapshot.hpp"

namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& bytes, T value) {
  std::byte raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.insert(bytes.end(), raw, raw + sizeof(T));
}

// A one-chunk file of that format version around the payload.
Bytes framed(std::span<const std::byte> payload, uint32_t version) {
  Bytes file;
  for (int byte : {0x89, 0x50, 0x44, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a})
    append(file, static_cast<uint8_t>(byte));
  append(file, version);
  append(file, uint32_t{0});
  append(file, uint32_t{0});
  append(file, static_cast<uint32_t>(payload.size()));
  file.insert(file.end(), payload.begin(), payload.end());
  const uint64_t checksum = perdure::hash64(std::span<const std::byte>(file).subspan(16));
  append(file, checksum);
  append(file, static_cast<uint64_t>(file.size() + 16));
  append(file, perdure::hash64(std::as_bytes(std::span(&checksum, 1))));
  return file;
}

// What was accepted must survive another round.
void decode(std::span<const std::byte> bytes) {
  try {
    const Bytes once = perdure::encode_snapshot(perdure::decode_snapshot(bytes));
    if (perdure::encode_snapshot(perdure::decode_snapshot(once)) != once) std::abort();
  } catch (const perdure::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  decode(bytes);
  if (size < (1u << 20) - 16)
    for (const uint32_t version : {1u, 2u}) decode(framed(bytes, version));
  return 0;
}
