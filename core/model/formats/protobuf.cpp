// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/protobuf.hpp"

#include "core/api/error.hpp"

namespace perdure {

std::optional<ProtobufField> ProtobufReader::next() {
  if (at_ == message_.size()) return std::nullopt;
  ProtobufField field{.offset = offset_ + at_};
  const uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 32 != 0) fail("is not a field of a message");
  field.number = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      field.value = varint();
      break;
    case 1:
      field.value = fixed(8);
      break;
    case 2: {
      const uint64_t size = varint();
      if (size > message_.size() - at_)
        fail("ends before a message of " + std::to_string(size) + " bytes does");
      field.bytes_at = offset_ + at_;
      field.bytes = message_.substr(at_, size);
      at_ += size;
      break;
    }
    case 5:
      field.value = fixed(4);
      break;
    default:
      fail("is a field of the wire type " + std::to_string(tag & 7) + ", which cannot be read");
  }
  field.wire = static_cast<ProtobufWire>(tag & 7);
  return field;
}

uint64_t ProtobufReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ == message_.size()) fail("cuts a number off");
    const auto byte = static_cast<unsigned char>(message_[at_++]);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail("ends a number of more than 64 bits");
}

uint64_t ProtobufReader::fixed(size_t n_bytes) {
  if (message_.size() - at_ < n_bytes) fail("cuts a number off");
  uint64_t value = 0;
  for (size_t i = 0; i < n_bytes; ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(message_[at_ + i])) << (8 * i);
  at_ += n_bytes;
  return value;
}

void ProtobufReader::fail(const std::string& what) const {
  throw Error(path_ + ": byte offset " + std::to_string(offset_ + at_) + " " + what);
}

}  // namespace perdure
