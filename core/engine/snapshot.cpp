// SPDX-License-Identifier: Apache-2.0

// The payload of a snapshot (docs/formats.md): written in order, and read with every count checked
// against the bytes that are left before memory is taken for it.
#include "core/engine/snapshot.hpp"

#include <algorithm>
#include <map>
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
  int64_t row = 0, scales = 0, bytes = 0;
  const int64_t values = perdure_block_values(t.type);
  if (values == 0 || t.columns % values != 0 ||
      __builtin_mul_overflow(t.columns / values, perdure_block_bytes(t.type), &row) ||
      (groups && (__builtin_mul_overflow(t.columns / t.group_size, sizeof(float), &scales) ||
                  __builtin_add_overflow(row, scales, &row))) ||
      __builtin_mul_overflow(t.rows, row, &bytes))
    return std::nullopt;
  return bytes;
}

// Whether a snapshot can hold its rows in bands, or as a whole.
bool has_possible_bands(const SnapshotTensor& t) {
  if (t.series == 0) return t.band_rows == 0;
  return t.band_rows > 0 && t.type != PERDURE_Q80;
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
    if (!checked_bytes(tensor) || !has_possible_bands(tensor))
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

// Everything but the tensors' values.
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
    out.number(tensor.series);
    if (tensor.series != 0) out.number(tensor.band_rows);
  }
}

using RunVisitor = std::function<void(const SnapshotRun& run)>;

// The rows of one series.
void each_band(std::span<const SnapshotTensor> tensors, std::vector<size_t> series,
               const RunVisitor& visit) {
  for (int64_t band = 0; !series.empty(); ++band) {
    std::vector<size_t> longer;
    for (const size_t i : series) {
      const SnapshotTensor& tensor = tensors[i];
      const int64_t first = band * tensor.band_rows, left = tensor.rows - first;
      if (left > 0) visit({i, first, std::min(left, tensor.band_rows)});
      if (left > tensor.band_rows) longer.push_back(i);
    }
    series = std::move(longer);
  }
}

// Gives the values of one run to the writer.
void write_run(Writer& out, const SnapshotTensor& tensor, const SnapshotRun& run,
               const ValueSource& give_values) {
  int64_t left = tensor.bytes_of_rows(run.rows);
  give_values(run, [&](std::span<const std::byte> piece) {
    left -= static_cast<int64_t>(piece.size());
    if (left < 0) return;
    if (tensor.type == PERDURE_F32)
      out.numbers(std::span(reinterpret_cast<const float*>(piece.data()), piece.size() / 4));
    else
      out.bytes(piece.data(), piece.size());
  });
  if (left != 0)
    throw Error("state tensor '" + tensor.name + "' has not as many values as its shape says");
}

// What the tensor holds of its values.
std::span<const std::byte> held_values(const SnapshotTensor& tensor) {
  return tensor.type == PERDURE_F32 ? std::as_bytes(std::span(tensor.values))
                                    : std::span(tensor.stored);
}

// The part of a tensor's bytes that is the run's.
template <typename Byte>
std::span<Byte> part_of(const SnapshotTensor& tensor, const SnapshotRun& run,
                        std::span<Byte> bytes) {
  return bytes.subspan(static_cast<size_t>(tensor.bytes_of_rows(run.first)),
                       static_cast<size_t>(tensor.bytes_of_rows(run.rows)));
}

void require_held(const SnapshotTensor& tensor) {
  if (std::cmp_not_equal(held_values(tensor).size(), tensor.size_bytes()))
    throw Error("state tensor '" + tensor.name + "' has not as many values as its shape says");
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

void read_bands(Reader& in, SnapshotTensor& tensor) {
  if (in.version() < 3) return;
  tensor.series = in.number<uint32_t>();
  if (tensor.series != 0) tensor.band_rows = in.number<int64_t>();
}

// Names and shapes. `value_bytes`: the sum of the sizes.
std::vector<SnapshotTensor> read_directory(Reader& in, uint64_t& value_bytes) {
  std::vector<SnapshotTensor> tensors(in.count(kMaxTensors, 20, "tensors"));
  std::set<std::string_view> names;
  for (auto& tensor : tensors) {
    const uint64_t where = in.offset();
    tensor.name = in.text("bytes of a tensor's name");
    read_type(in, tensor);
    tensor.rows = in.number<int64_t>();
    tensor.columns = in.number<int64_t>();
    if (tensor.type == PERDURE_Q80) tensor.group_size = in.number<int64_t>();
    read_bands(in, tensor);
    const auto size = checked_bytes(tensor);
    if (!size || !has_possible_bands(tensor) ||
        __builtin_add_overflow(value_bytes, static_cast<uint64_t>(*size), &value_bytes)) {
      refuse("tensor '" + tensor.name + "' has an impossible shape", where);
    }
    if (!names.insert(tensor.name).second)
      refuse("tensor '" + tensor.name + "' occurs twice", where);
  }
  return tensors;
}

SnapshotContents read_head(Reader& in, uint64_t& value_bytes) {
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
  contents.tensors = read_directory(in, value_bytes);
  return contents;
}

void require_values(const Reader& in, bool as_many_as_said) {
  if (!as_many_as_said) refuse("the values are not as many as the shapes say", in.offset());
}

// Before version 3 the values follow the head.
SnapshotContents read_head_before_values(Reader& in) {
  uint64_t value_bytes = 0;
  SnapshotContents contents = read_head(in, value_bytes);
  require_values(in, in.left() == value_bytes);
  return contents;
}

// The values, the head, and where it begins.
SnapshotContents read_head_behind_values(Reader& in) {
  if (in.left() < sizeof(uint64_t)) refuse("the head is missing", in.offset());
  const uint64_t end = in.left() - sizeof(uint64_t);
  in.turn_to(end, end + sizeof(uint64_t));
  const uint64_t where = in.offset();
  const auto begin = in.number<uint64_t>();
  if (begin > end) refuse("the head begins beyond its end", where);
  in.turn_to(begin, end);
  uint64_t value_bytes = 0;
  SnapshotContents contents = read_head(in, value_bytes);
  require_values(in, in.left() == 0 && begin == value_bytes);
  in.turn_to(0, begin);
  return contents;
}

SnapshotContents read_contents(Reader& in) {
  return in.version() < 3 ? read_head_before_values(in) : read_head_behind_values(in);
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

void each_run(std::span<const SnapshotTensor> tensors, const RunVisitor& visit) {
  std::map<uint32_t, std::vector<size_t>> series;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].series != 0) series[tensors[i].series].push_back(i);
  for (const auto& [number, members] : series) each_band(tensors, members, visit);
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].series == 0 && tensors[i].rows > 0) visit({i, 0, tensors[i].rows});
}

void write_snapshot(const SnapshotContents& head, const ValueSource& give_values,
                    const SnapshotSink& sink) {
  require_encodable(head);
  Writer out(sink);
  uint64_t value_bytes = 0;
  each_run(head.tensors, [&](const SnapshotRun& run) {
    const SnapshotTensor& tensor = head.tensors[run.tensor];
    write_run(out, tensor, run, give_values);
    value_bytes += static_cast<uint64_t>(tensor.bytes_of_rows(run.rows));
  });
  write_head(out, head);
  out.number(value_bytes);
  out.finish();
}

std::vector<std::byte> encode_snapshot(const SnapshotContents& contents) {
  require_encodable(contents);
  std::ranges::for_each(contents.tensors, require_held);
  std::vector<std::byte> bytes;
  write_snapshot(
      contents,
      [&](const SnapshotRun& run, const ValueSink& values) {
        const SnapshotTensor& tensor = contents.tensors[run.tensor];
        values(part_of(tensor, run, held_values(tensor)));
      },
      [&](std::span<const std::byte> piece) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      });
  return bytes;
}

SnapshotReader::SnapshotReader(std::span<const std::byte> bytes)
    : in_(bytes), contents_(read_contents(in_)) {}

SnapshotContents decode_snapshot(std::span<const std::byte> bytes) {
  SnapshotReader reader(bytes);
  SnapshotContents contents = reader.contents();
  for (auto& tensor : contents.tensors) {
    if (tensor.type == PERDURE_F32)
      tensor.values.resize(static_cast<size_t>(tensor.rows * tensor.columns));
    else
      tensor.stored.resize(static_cast<size_t>(tensor.size_bytes()));
  }
  each_run(contents.tensors, [&](const SnapshotRun& run) {
    SnapshotTensor& tensor = contents.tensors[run.tensor];
    if (tensor.type == PERDURE_F32)
      reader.read_values(std::span(tensor.values)
                             .subspan(static_cast<size_t>(run.first * tensor.columns),
                                      static_cast<size_t>(run.rows * tensor.columns)));
    else
      reader.read_stored(part_of(tensor, run, std::span(tensor.stored)));
  });
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
