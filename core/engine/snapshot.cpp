// SPDX-License-Identifier: Apache-2.0

// The payload of a snapshot (docs/formats.md): written in order, and read with every count checked
// against the bytes that are left before memory is taken for it.
#include "core/engine/snapshot.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

using snapshot_frame::kMaxText;
using snapshot_frame::Reader;
using snapshot_frame::refuse;
using snapshot_frame::Writer;

// More than any session has, little enough that containers of that many elements stay below 64 MiB.
constexpr uint32_t kMaxNotes = 1024;
constexpr uint32_t kMaxValues = 1024;
constexpr uint32_t kMaxTensors = 1u << 16;

// ---- writing

void require_within(uint64_t count, uint64_t limit, const char* what) {
  if (count > limit) {
    throw Error(std::string("a snapshot cannot hold ") + std::to_string(count) + " " + what +
                " (at most " + std::to_string(limit) + ")");
  }
}

void require_text_within(const std::string& text, const char* what) {
  require_within(text.size(), kMaxText, what);
}

// Bytes of the rows of a tensor and of its scales, if there can be such a tensor.
std::optional<int64_t> checked_bytes(const SnapshotTensor& t) {
  if (t.rows < 0 || t.columns < 1) return std::nullopt;
  const bool groups = t.type == PERDURE_Q80;
  if (groups ? t.group_size < 1 || t.columns % t.group_size != 0 : t.group_size != 0)
    return std::nullopt;
  int64_t row = 0, bytes = 0;
  const int64_t values = perdure_block_values(t.type);
  if (values == 0 || t.columns % values != 0 ||
      __builtin_mul_overflow(t.columns / values, perdure_block_bytes(t.type), &row) ||
      (groups && __builtin_add_overflow(
                     row, t.columns / t.group_size * static_cast<int64_t>(sizeof(float)), &row)) ||
      __builtin_mul_overflow(t.rows, row, &bytes))
    return std::nullopt;
  return bytes;
}

void require_encodable(const SnapshotContents& contents) {
  require_text_within(contents.identity, "bytes of identity");
  require_within(contents.notes.size(), kMaxNotes, "notes");
  require_within(contents.values.size(), kMaxValues, "session values");
  require_within(contents.tail.size(), kMaxSnapshotTail, "tokens of tail");
  require_within(contents.tensors.size(), kMaxTensors, "tensors");
  for (const auto& [name, value] : contents.notes) {
    require_text_within(name, "bytes of a note");
    require_text_within(value, "bytes of a note");
  }
  for (const auto& [name, value] : contents.values) {
    require_text_within(name, "bytes of a session value");
    if (const auto* text = std::get_if<std::string>(&value))
      require_text_within(*text, "bytes of a session value");
  }
  for (const auto& tensor : contents.tensors) {
    require_text_within(tensor.name, "bytes of a tensor's name");
    if (!checked_bytes(tensor))
      throw Error("state tensor '" + tensor.name + "' has a shape or type that it cannot have");
  }
}

void write_values(Writer& out, const SessionValues& values) {
  out.number(static_cast<uint32_t>(values.size()));
  for (const auto& [name, value] : values) {
    out.text(name);
    out.number(static_cast<uint32_t>(value.index()));
    if (const auto* number = std::get_if<int64_t>(&value))
      out.number(*number);
    else
      out.text(std::get<std::string>(value));
  }
}

// Everything before the tensors' values.
void write_head(Writer& out, const SnapshotContents& contents) {
  out.text(contents.identity);
  out.number(static_cast<uint32_t>(contents.notes.size()));
  for (const auto& [name, value] : contents.notes) {
    out.text(name);
    out.text(value);
  }
  write_values(out, contents.values);
  out.number(contents.position);
  out.number(contents.random_state);
  out.number(static_cast<uint32_t>(contents.tail.size()));
  out.numbers(std::span<const int32_t>(contents.tail));
  out.number(static_cast<uint32_t>(contents.tensors.size()));
  for (const auto& tensor : contents.tensors) {
    out.text(tensor.name);
    out.number(tensor.type);
    out.number(tensor.rows);
    out.number(tensor.columns);
    if (tensor.type == PERDURE_Q80) out.number(tensor.group_size);
  }
}

// ---- reading

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

SessionValue read_value(Reader& in) {
  const uint64_t where = in.offset();
  const auto kind = in.number<uint32_t>();
  if (kind == 0) return in.number<int64_t>();
  if (kind == 1) return in.text("bytes of a session value");
  refuse("a session value is neither a number nor a text", where);
}

SessionValues read_values(Reader& in) {
  SessionValues values;
  const uint32_t n = in.count(kMaxValues, 12, "session values");
  for (uint32_t i = 0; i < n; ++i) {
    const uint64_t where = in.offset();
    std::string name = in.text("bytes of a session value");
    if (!values.emplace(name, read_value(in)).second)
      refuse("the session value '" + name + "' occurs twice", where);
  }
  return values;
}

void read_type(Reader& in, SnapshotTensor& tensor) {
  if (in.version() == 1) return;
  const uint64_t where = in.offset();
  tensor.type = in.number<uint32_t>();
  if (perdure_block_values(tensor.type) == 0)
    refuse("tensor '" + tensor.name + "' has the element type " + std::to_string(tensor.type) +
               ", which this program does not know",
           where);
}

// Names and shapes; the sum of the sizes is what has to be left of the payload.
std::vector<SnapshotTensor> read_directory(Reader& in) {
  std::vector<SnapshotTensor> tensors(in.count(kMaxTensors, 20, "tensors"));
  std::set<std::string_view> names;
  uint64_t bytes = 0;
  for (auto& tensor : tensors) {
    const uint64_t where = in.offset();
    tensor.name = in.text("bytes of a tensor's name");
    read_type(in, tensor);
    tensor.rows = in.number<int64_t>();
    tensor.columns = in.number<int64_t>();
    if (tensor.type == PERDURE_Q80) tensor.group_size = in.number<int64_t>();
    const auto size = checked_bytes(tensor);
    if (!size || __builtin_add_overflow(bytes, static_cast<uint64_t>(*size), &bytes)) {
      refuse("tensor '" + tensor.name + "' has an impossible shape", where);
    }
    if (!names.insert(tensor.name).second)
      refuse("tensor '" + tensor.name + "' occurs twice", where);
  }
  if (in.left() != bytes) {
    refuse("the values are not as many as the shapes say", in.offset());
  }
  return tensors;
}

SnapshotContents read_head(Reader& in) {
  SnapshotContents contents;
  contents.identity = in.text("bytes of identity");
  contents.notes = read_notes(in);
  if (in.version() > 1) contents.values = read_values(in);
  const uint64_t where = in.offset();
  contents.position = in.number<int64_t>();
  if (contents.position < 0) refuse("the position is negative", where);
  if (contents.position > kMaxSnapshotPosition) refuse("the position is beyond 2^62", where);
  contents.random_state = in.number<uint64_t>();
  contents.tail =
      in.numbers<int32_t>(in.count(kMaxSnapshotTail, sizeof(int32_t), "tokens of tail"));
  contents.tensors = read_directory(in);
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

int64_t SnapshotTensor::size_bytes() const { return checked_bytes(*this).value_or(0); }

void write_snapshot(const SnapshotContents& head,
                    const std::function<void(size_t tensor, const ValueSink& sink)>& give_values,
                    const SnapshotSink& sink) {
  require_encodable(head);
  Writer out(sink);
  write_head(out, head);
  for (size_t i = 0; i < head.tensors.size(); ++i) {
    const SnapshotTensor& tensor = head.tensors[i];
    int64_t left = tensor.size_bytes();
    give_values(i, [&](std::span<const std::byte> run) {
      left -= static_cast<int64_t>(run.size());
      if (left < 0) return;
      if (tensor.type == PERDURE_F32)
        out.numbers(std::span(reinterpret_cast<const float*>(run.data()), run.size() / 4));
      else
        out.bytes(run.data(), run.size());
    });
    if (left != 0)
      throw Error("state tensor '" + tensor.name + "' has not as many values as its shape says");
  }
  out.finish();
}

std::vector<std::byte> encode_snapshot(const SnapshotContents& contents) {
  std::vector<std::byte> bytes;
  write_snapshot(
      contents,
      [&](size_t i, const ValueSink& values) {
        const SnapshotTensor& tensor = contents.tensors[i];
        values(tensor.type == PERDURE_F32 ? std::as_bytes(std::span(tensor.values))
                                          : std::span(tensor.stored));
      },
      [&](std::span<const std::byte> piece) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      });
  return bytes;
}

SnapshotReader::SnapshotReader(std::span<const std::byte> bytes)
    : in_(bytes), contents_(read_head(in_)) {}

SnapshotContents decode_snapshot(std::span<const std::byte> bytes) {
  SnapshotReader reader(bytes);
  SnapshotContents contents = reader.contents();
  for (auto& tensor : contents.tensors) {
    if (tensor.type == PERDURE_F32) {
      tensor.values.resize(static_cast<size_t>(tensor.rows * tensor.columns));
      reader.read_values(tensor.values);
    } else {
      tensor.stored.resize(static_cast<size_t>(tensor.size_bytes()));
      reader.read_stored(tensor.stored);
    }
  }
  return contents;
}

SnapshotContents decode_snapshot_header(std::span<const std::byte> bytes) {
  return SnapshotReader(bytes).contents();
}

int64_t take_number(SessionValues& values, std::string_view name, int64_t otherwise) {
  const auto found = values.find(name);
  if (found == values.end()) return otherwise;
  const auto* number = std::get_if<int64_t>(&found->second);
  if (number == nullptr)
    throw Error("the snapshot's value '" + std::string(name) + "' is a text, not a number");
  const int64_t value = *number;
  values.erase(found);
  return value;
}

void require_none_of_engine(const SessionValues& values) {
  const auto found = values.lower_bound(kEngineValues);
  if (found != values.end() && found->first.starts_with(kEngineValues))
    throw Error("the snapshot has the value '" + found->first +
                "', which this program does not know: use a newer perdure");
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
  std::vector<std::string> differences;
  for (const auto& [name, value] : wanted) {
    const std::string* other = value_in(given, name);
    if (other == nullptr) {
      differences.push_back("no " + name + " (here '" + value + "')");
    } else if (*other != value) {
      differences.push_back(name + " '" + *other + "' (here '" + value + "')");
    }
  }
  for (const auto& [name, value] : given) {
    if (value_in(wanted, name) == nullptr)
      differences.push_back(name + " '" + value + "' (here none)");
  }
  if (differences.empty()) return "its identity lists its lines in another form";
  constexpr size_t kMostShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(differences.size(), kMostShown); ++i)
    text += (i == 0 ? "" : ", ") + differences[i];
  if (differences.size() > kMostShown)
    text += " and " + std::to_string(differences.size() - kMostShown) + " more";
  return text;
}

}  // namespace perdure
