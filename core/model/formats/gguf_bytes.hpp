// SPDX-License-Identifier: Apache-2.0

// Values as they lie in a GGUF file's bytes: what its reader and its values share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/formats/gguf.hpp"

namespace perdure {

// The bytes of a value; 0 for texts and arrays, whose sizes stand in the file, and for unknown
// types.
constexpr int64_t gguf_value_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kText:
    case GgufType::kArray:
      break;
  }
  return 0;
}

// Requires: as many bytes. They may be unaligned.
template <class T>
T number_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A name for a message.
inline std::string quoted(std::string_view name) { return "'" + shown_name(name) + "'"; }

// Errors: Error, always.
[[noreturn]] inline void fail_at(const std::string& path, int64_t offset, const std::string& what) {
  throw Error(path + ": byte offset " + std::to_string(offset) + ": " + what);
}

}  // namespace perdure
