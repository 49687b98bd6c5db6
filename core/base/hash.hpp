// SPDX-License-Identifier: Apache-2.0

// XXH3, the one checksum of the project: chunks of snapshots, identity of weights, configurations
// and tokenizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace perdure {

// 64 bits of the bytes. Pure; any thread.
uint64_t hash64(std::span<const std::byte> bytes);
uint64_t hash64(std::string_view text);

// 128 bits as 32 lower-case hexadecimal digits: identities that people see.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace perdure
