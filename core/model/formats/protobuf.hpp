// SPDX-License-Identifier: Apache-2.0

// Fields of a message in protobuf's wire format, in the order of the bytes. Knows no schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace perdure {

enum class ProtobufWire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct ProtobufField {
  uint32_t number = 0;
  ProtobufWire wire = ProtobufWire::kVarint;
  uint64_t value = 0;      // of numbers
  std::string_view bytes;  // of texts and messages
  size_t offset = 0;       // of the field in the file
  size_t bytes_at = 0;     // of `bytes` in the file
};

class ProtobufReader {
 public:
  // `offset` is where the message begins in the file `path`, which stands in messages.
  ProtobufReader(std::string_view message, size_t offset, const std::string& path)
      : message_(message), offset_(offset), path_(path) {}
  // Of a message within a message.
  ProtobufReader(const ProtobufField& field, const std::string& path)
      : ProtobufReader(field.bytes, field.bytes_at, path) {}

  // Errors: Error with path and byte offset if the message is cut off or has groups, which nobody
  // writes any more.
  std::optional<ProtobufField> next();

 private:
  uint64_t varint();
  uint64_t fixed(size_t n_bytes);
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view message_;
  size_t offset_;
  const std::string& path_;
  size_t at_ = 0;
};

}  // namespace perdure
