// SPDX-License-Identifier: Apache-2.0

// Writes and reads the bytes of docs/formats.md, "Snapshots". The payload is one stream; a frame
// cuts it into chunks, each with its number, length and checksum. Reading checks the whole frame
// before it looks at the payload, and every count of the payload against the bytes that are left
// before it allocates.
#include "core/engine/snapshot.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/hash.hpp"

namespace perdure {
namespace {

// As PNG's: the first byte is no text, the line ends reveal a transfer in text mode.
constexpr std::array<unsigned char, 8> kMagic = {0x89, 'P', 'D', 'M', '\r', '\n', 0x1a, '\n'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kHeaderBytes = 16;    // magic, version, 4 zero bytes
constexpr uint64_t kTrailerBytes = 16;   // total length, checksum of the checksums
constexpr uint64_t kChunkOverhead = 16;  // number, length | checksum
constexpr uint64_t kChunkPayload = (1u << 20) - kChunkOverhead;
constexpr uint64_t kChunkBytes = kChunkPayload + kChunkOverhead;

// More than any session has, little enough that containers of that many elements stay below 64 MiB.
constexpr uint32_t kMaxText = 1u << 20;
constexpr uint32_t kMaxNotes = 1024;
constexpr uint32_t kMaxTail = 1u << 20;
constexpr uint32_t kMaxTensors = 1u << 16;

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

template <typename T>
T load(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return little_endian(value);
}

[[noreturn]] void refuse(const std::string& what, uint64_t offset) {
  throw Error("the snapshot is damaged at byte " + std::to_string(offset) + ": " + what +
              "; restore an older generation");
}

// ---- writing

// Appends to the payload and closes chunks as they fill. `payload_bytes` only sizes the memory.
class Writer {
 public:
  explicit Writer(uint64_t payload_bytes) {
    const uint64_t chunks = payload_bytes / kChunkPayload + 1;
    out_.reserve(kHeaderBytes + payload_bytes + chunks * kChunkOverhead + kTrailerBytes);
    append(kMagic.data(), kMagic.size());
    append_number(kVersion);
    append_number(uint32_t{0});
    open_chunk();
  }

  void bytes(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    while (size > 0) {
      const size_t used = out_.size() - chunk_begin_ - 8;
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

  template <typename T>
  void number(T value) {
    value = little_endian(value);
    bytes(&value, sizeof(T));
  }

  void text(const std::string& text) {
    number(static_cast<uint32_t>(text.size()));
    bytes(text.data(), text.size());
  }

  template <typename T>
  void numbers(const std::vector<T>& values) {
    if constexpr (std::endian::native == std::endian::little) {
      bytes(values.data(), values.size() * sizeof(T));
    } else {
      for (T value : values) number(value);
    }
  }

  std::vector<std::byte> finish() {
    close_chunk();
    append_number(static_cast<uint64_t>(out_.size() + kTrailerBytes));
    append_number(hash64(std::as_bytes(std::span(checksums_))));
    return std::move(out_);
  }

 private:
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), from, from + size);
  }

  template <typename T>
  void append_number(T value) {
    value = little_endian(value);
    append(&value, sizeof(T));
  }

  void open_chunk() {
    chunk_begin_ = out_.size();
    append_number(static_cast<uint32_t>(checksums_.size()));
    append_number(uint32_t{0});  // the length, known when the chunk is closed
  }

  void close_chunk() {
    const uint32_t size = little_endian(static_cast<uint32_t>(out_.size() - chunk_begin_ - 8));
    std::memcpy(out_.data() + chunk_begin_ + 4, &size, sizeof(size));
    const uint64_t checksum = hash64(std::span(out_).subspan(chunk_begin_));
    append_number(checksum);
    checksums_.push_back(little_endian(checksum));
  }

  std::vector<std::byte> out_;
  std::vector<uint64_t> checksums_;  // as on disk
  size_t chunk_begin_ = 0;
};

void require_within(uint64_t count, uint64_t limit, const char* what) {
  if (count > limit) {
    throw Error(std::string("a snapshot cannot hold ") + std::to_string(count) + " " + what +
                " (at most " + std::to_string(limit) + ")");
  }
}

void require_encodable(const SnapshotContents& contents) {
  require_within(contents.identity.size(), kMaxText, "bytes of identity");
  require_within(contents.notes.size(), kMaxNotes, "notes");
  require_within(contents.tail.size(), kMaxTail, "tokens of tail");
  require_within(contents.tensors.size(), kMaxTensors, "tensors");
  for (const auto& [name, value] : contents.notes) {
    require_within(std::max(name.size(), value.size()), kMaxText, "bytes of a note");
  }
  for (const auto& tensor : contents.tensors) {
    require_within(tensor.name.size(), kMaxText, "bytes of a tensor's name");
    if (tensor.columns < 1 || checked_mul(tensor.rows, tensor.columns, "a state tensor") !=
                                  static_cast<int64_t>(tensor.values.size())) {
      throw Error("state tensor '" + tensor.name + "' has not as many values as rows x columns");
    }
  }
}

// ---- reading

// Bytes of the payload that the frame of a file of this size holds; checks all lengths and
// checksums.
uint64_t verify_frame(std::span<const std::byte> bytes) {
  const uint64_t size = bytes.size();
  if (size == 0) throw Error("this is no snapshot of perdure: the file is empty");
  if (std::memcmp(bytes.data(), kMagic.data(), std::min<uint64_t>(size, kMagic.size())) != 0) {
    throw Error("this is no snapshot of perdure: the magic bytes at byte 0 are missing");
  }
  if (size < kHeaderBytes + kChunkOverhead + kTrailerBytes) refuse("the file ends too early", size);
  const auto version = load<uint32_t>(bytes, 8);
  if (version != kVersion) {
    throw Error("the snapshot has format version " + std::to_string(version) +
                " (byte 8), this program reads version " + std::to_string(kVersion) +
                ": use a newer perdure");
  }
  if (load<uint32_t>(bytes, 12) != 0) refuse("reserved bytes are not zero", 12);
  const uint64_t end = size - kTrailerBytes;
  if (load<uint64_t>(bytes, end) != size)
    refuse("the file was cut or lengthened, its length is not the stored one", end);

  std::vector<uint64_t> checksums;
  uint64_t payload = 0;
  for (uint64_t at = kHeaderBytes; at < end;) {
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
    payload += expected - kChunkOverhead;
    at += expected;
  }
  if (load<uint64_t>(bytes, end + 8) != hash64(std::as_bytes(std::span(checksums)))) {
    refuse("the chunks do not belong together", end + 8);
  }
  return payload;
}

// Reads a verified payload front to back across its chunks.
class Reader {
 public:
  Reader(std::span<const std::byte> file, uint64_t payload_bytes)
      : file_(file), end_(payload_bytes) {}

  uint64_t left() const { return end_ - at_; }
  // Where the next byte lies in the file.
  uint64_t offset() const {
    return kHeaderBytes + at_ / kChunkPayload * kChunkBytes + 8 + at_ % kChunkPayload;
  }

  void bytes(void* to, uint64_t size) {
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

  template <typename T>
  T number() {
    T value;
    bytes(&value, sizeof(T));
    return little_endian(value);
  }

  // A count of items of at least `item_bytes` each.
  uint32_t count(uint32_t limit, uint64_t item_bytes, const char* what) {
    const uint64_t where = offset();
    const auto n = number<uint32_t>();
    if (n > limit || n * item_bytes > left())
      refuse(std::string("impossible number of ") + what, where);
    return n;
  }

  std::string text(const char* what) {
    std::string text(count(kMaxText, 1, what), '\0');
    bytes(text.data(), text.size());
    return text;
  }

  template <typename T>
  std::vector<T> numbers(uint64_t n) {
    std::vector<T> values(n);
    bytes(values.data(), n * sizeof(T));
    if constexpr (std::endian::native != std::endian::little) {
      for (T& value : values) value = little_endian(value);
    }
    return values;
  }

 private:
  std::span<const std::byte> file_;
  uint64_t end_ = 0;
  uint64_t at_ = 0;
};

std::map<std::string, std::string> read_notes(Reader& in) {
  std::map<std::string, std::string> notes;
  const uint32_t n = in.count(kMaxNotes, 8, "notes");
  for (uint32_t i = 0; i < n; ++i) {
    const uint64_t where = in.offset();
    std::string name = in.text("bytes of a note");
    std::string value = in.text("bytes of a note");
    if (!notes.emplace(std::move(name), std::move(value)).second)
      refuse("a note occurs twice", where);
  }
  return notes;
}

// Names and shapes; the sum of the sizes is what has to be left of the payload.
std::vector<SnapshotTensor> read_directory(Reader& in) {
  std::vector<SnapshotTensor> tensors(in.count(kMaxTensors, 20, "tensors"));
  std::set<std::string_view> names;
  uint64_t values = 0;
  for (auto& tensor : tensors) {
    const uint64_t where = in.offset();
    tensor.name = in.text("bytes of a tensor's name");
    tensor.rows = in.number<int64_t>();
    tensor.columns = in.number<int64_t>();
    int64_t size = 0;
    if (tensor.rows < 0 || tensor.columns < 1 ||
        __builtin_mul_overflow(tensor.rows, tensor.columns, &size) ||
        __builtin_add_overflow(values, static_cast<uint64_t>(size), &values)) {
      refuse("tensor '" + tensor.name + "' has an impossible shape", where);
    }
    if (!names.insert(tensor.name).second)
      refuse("tensor '" + tensor.name + "' occurs twice", where);
  }
  if (in.left() % sizeof(float) != 0 || in.left() / sizeof(float) != values) {
    refuse("the values are not as many as the shapes say", in.offset());
  }
  return tensors;
}

SnapshotContents decode(std::span<const std::byte> bytes, bool with_values) {
  Reader in(bytes, verify_frame(bytes));
  SnapshotContents contents;
  contents.identity = in.text("bytes of identity");
  contents.notes = read_notes(in);
  const uint64_t where = in.offset();
  contents.position = in.number<int64_t>();
  if (contents.position < 0) refuse("the position is negative", where);
  contents.random_state = in.number<uint64_t>();
  contents.tail = in.numbers<int32_t>(in.count(kMaxTail, sizeof(int32_t), "tokens of tail"));
  contents.tensors = read_directory(in);
  if (with_values) {
    for (auto& tensor : contents.tensors) {
      tensor.values = in.numbers<float>(static_cast<uint64_t>(tensor.rows) *
                                        static_cast<uint64_t>(tensor.columns));
    }
  }
  return contents;
}

// "name: value" lines in order; a line without a colon is a name with an empty value.
std::vector<std::pair<std::string, std::string>> identity_lines(const std::string& identity) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (size_t begin = 0; begin < identity.size();) {
    const size_t end = std::min(identity.find('\n', begin), identity.size());
    const std::string line = identity.substr(begin, end - begin);
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) {
      lines.emplace_back(line, "");
    } else {
      lines.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    begin = end + 1;
  }
  return lines;
}

}  // namespace

std::vector<std::byte> encode_snapshot(const SnapshotContents& contents) {
  require_encodable(contents);
  uint64_t size = 64 + contents.identity.size() + contents.tail.size() * sizeof(int32_t);
  for (const auto& [name, value] : contents.notes) size += 8 + name.size() + value.size();
  for (const auto& tensor : contents.tensors)
    size += 20 + tensor.name.size() + tensor.values.size() * sizeof(float);

  Writer out(size);
  out.text(contents.identity);
  out.number(static_cast<uint32_t>(contents.notes.size()));
  for (const auto& [name, value] : contents.notes) {
    out.text(name);
    out.text(value);
  }
  out.number(contents.position);
  out.number(contents.random_state);
  out.number(static_cast<uint32_t>(contents.tail.size()));
  out.numbers(contents.tail);
  out.number(static_cast<uint32_t>(contents.tensors.size()));
  for (const auto& tensor : contents.tensors) {
    out.text(tensor.name);
    out.number(tensor.rows);
    out.number(tensor.columns);
  }
  for (const auto& tensor : contents.tensors) out.numbers(tensor.values);
  return out.finish();
}

SnapshotContents decode_snapshot(std::span<const std::byte> bytes) { return decode(bytes, true); }

SnapshotContents decode_snapshot_header(std::span<const std::byte> bytes) {
  return decode(bytes, false);
}

std::string describe_identity_difference(const std::string& expected, const std::string& found) {
  if (expected == found) return "";
  const auto wanted = identity_lines(expected);
  const auto given = identity_lines(found);
  const auto value_in = [](const auto& lines, const std::string& name) -> const std::string* {
    for (const auto& line : lines) {
      if (line.first == name) return &line.second;
    }
    return nullptr;
  };
  std::string text;
  const auto add = [&text](const std::string& sentence) {
    text += (text.empty() ? "" : " ") + sentence;
  };
  for (const auto& [name, value] : wanted) {
    const std::string* other = value_in(given, name);
    if (other == nullptr) {
      add("The memory does not state its " + name + ", here it is '" + value + "'.");
    } else if (*other != value) {
      add("The memory's " + name + " is '" + *other + "', here it is '" + value + "'.");
    }
  }
  for (const auto& [name, value] : given) {
    if (value_in(wanted, name) == nullptr)
      add("The memory's " + name + " is '" + value + "', here there is none.");
  }
  return text.empty() ? "The memory's identity lists its lines in another form." : text;
}

}  // namespace perdure
