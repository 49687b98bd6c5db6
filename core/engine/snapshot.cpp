// SPDX-License-Identifier: Apache-2.0

// The payload of a snapshot (docs/formats.md): written in order, and read with every count checked
// against the bytes that are left before memory is taken for it.
#include "core/engine/snapshot.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/engine/snapshot_frame.hpp"

namespace perdure {
namespace {

using snapshot_frame::kMaxText;
using snapshot_frame::Reader;
using snapshot_frame::refuse;
using snapshot_frame::Writer;

// More than any session has, little enough that containers of that many elements stay below 64 MiB.
constexpr uint32_t kMaxNotes = 1024;
constexpr uint32_t kMaxTensors = 1u << 16;

// ---- writing

void require_within(uint64_t count, uint64_t limit, const char* what) {
  if (count > limit) {
    throw Error(std::string("a snapshot cannot hold ") + std::to_string(count) + " " + what +
                " (at most " + std::to_string(limit) + ")");
  }
}

void require_encodable(const SnapshotContents& contents) {
  require_within(contents.identity.size(), kMaxText, "bytes of identity");
  require_within(contents.notes.size(), kMaxNotes, "notes");
  require_within(contents.tail.size(), kMaxSnapshotTail, "tokens of tail");
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
  Reader in(bytes);
  SnapshotContents contents;
  contents.identity = in.text("bytes of identity");
  contents.notes = read_notes(in);
  const uint64_t where = in.offset();
  contents.position = in.number<int64_t>();
  if (contents.position < 0) refuse("the position is negative", where);
  contents.random_state = in.number<uint64_t>();
  contents.tail =
      in.numbers<int32_t>(in.count(kMaxSnapshotTail, sizeof(int32_t), "tokens of tail"));
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
