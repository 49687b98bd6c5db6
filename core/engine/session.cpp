// SPDX-License-Identifier: Apache-2.0

// Sessions: what can be read from them, and how they come back from snapshots.
#include <algorithm>
#include <sstream>

#include "core/base/buffer.hpp"
#include "core/base/dtype.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/engine/identity.hpp"
#include "core/engine/session_contents.hpp"

namespace perdure {
namespace {

// Whether logical rows first .. first + count - 1 are live, of those that have begun; for rings the
// sinks and the window count.
bool is_live(const StateSpec& spec, int64_t begun, int64_t first, int64_t count) {
  if (first < 0 || count < 0) return false;
  if (first > begun || count > begun - first) return false;
  if (spec.growth != Growth::kRing) return true;
  const int64_t window_first = std::max(spec.sinks, begun - spec.rows);
  return first >= window_first || first + count <= spec.sinks || window_first == spec.sinks;
}

void require_live(const StateSpec& spec, int64_t begun, int64_t first, int64_t count) {
  if (!is_live(spec, begun, first, count))
    throw Error(std::to_string(count) + " rows of the state '" + spec.name + "' from row " +
                std::to_string(first) + " on are not live; it has had " + std::to_string(begun));
}

// Tokens of an input stream that a snapshot holds: the rows of the states that follow it.
// Errors: Error if they disagree or are more than a session can hold.
int64_t stream_length_in(const StateLayout& layout, const SnapshotContents& contents,
                         const std::string& stream) {
  int64_t length = -1;
  for (size_t i = 0; i < layout.specs().size(); ++i) {
    if (layout.specs()[i].stream != stream) continue;
    const int64_t rows = contents.tensors[i].rows;
    if (rows < 0 || rows > layout.max_length(stream) || (length >= 0 && rows != length))
      throw Error("the snapshot's state tensor '" + contents.tensors[i].name + "' has " +
                  std::to_string(rows) + " rows of the input stream '" + stream + "', which a " +
                  "session of this configuration cannot have");
    length = rows;
  }
  return std::max<int64_t>(length, 0);
}

// Rows that tensor `i` must have: those that are live at the position, or any count that there is
// room for.
int64_t rows_at(const StateLayout& layout, const SnapshotContents& contents, size_t i) {
  const StateSpec& spec = layout.specs()[i];
  if (spec.growth == Growth::kCounted)
    return std::clamp<int64_t>(contents.tensors[i].rows, 0, spec.rows);
  const int64_t length =
      spec.stream.empty() ? contents.position : stream_length_in(layout, contents, spec.stream);
  return StateLayout::live_rows(spec, StateLayout::begun_rows(spec, length));
}

// Errors: Error if the tensors are not exactly those of the layout at that position.
void check_tensors(const StateLayout& layout, const SnapshotContents& contents) {
  const auto& specs = layout.specs();
  if (contents.tensors.size() != specs.size())
    throw Error("the snapshot holds " + std::to_string(contents.tensors.size()) +
                " state tensors, not " + std::to_string(specs.size()));
  for (size_t i = 0; i < specs.size(); ++i) {
    const SnapshotTensor& t = contents.tensors[i];
    const int64_t rows = rows_at(layout, contents, i);
    if (t.type != specs[i].type)
      throw Error("the snapshot's state tensor '" + t.name + "' has values of the type " +
                  dtype_name(t.type) + ", not " + dtype_name(specs[i].type));
    if (t.name != specs[i].name || t.rows != rows || t.columns != specs[i].columns)
      throw Error("the snapshot's state tensor '" + t.name + "' is " + std::to_string(t.rows) +
                  " x " + std::to_string(t.columns) + " where '" + specs[i].name + "' " +
                  std::to_string(rows) + " x " + std::to_string(specs[i].columns) + " belongs");
  }
}

void require_own_name(std::string_view name) {
  if (name.starts_with(kEngineValues))
    throw Error("the session value '" + std::string(name) + "' begins with '" +
                std::string(kEngineValues) + "', as only the engine's own do; choose another name");
}

// Removes a list from `values`. Errors: Error if it is none.
std::optional<std::vector<int64_t>> take_list(SessionValues& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  const auto* text = std::get_if<std::string>(&found->second);
  std::vector<int64_t> numbers;
  std::istringstream in(text ? *text : "?");
  for (int64_t n = 0; in >> n;) numbers.push_back(n);
  if (!in.eof()) throw Error("the snapshot's value '" + name + "' is not a list of numbers");
  values.erase(found);
  return numbers;
}

// Errors: Error if the snapshot's segment is none of this strategy.
Segment take_segment(const Engine::Impl& engine, SessionValues& values, int64_t position) {
  const int64_t length = engine.traits.segment_length;
  const auto found = take_list(values, kSegmentValue);
  if (!found) return Segment::of_full_ones(position, length);
  if (!engine.traits.short_segments)
    throw Error("the snapshot has segments that this strategy cannot have");
  return Segment::from_values(*found, position, length);
}

// Tokens of each chunk of every input stream; a snapshot without them has one chunk, of all tokens.
std::vector<std::vector<int64_t>> take_chunks(const Engine::Impl& engine, SessionValues& values,
                                              std::span<const int64_t> stream_lengths) {
  std::vector<std::vector<int64_t>> all;
  for (size_t i = 0; i < engine.inputs.size(); ++i) {
    const std::string& stream = engine.inputs[i].stream.name;
    auto chunks = take_list(values, chunks_value(stream));
    int64_t left = stream_lengths[i];
    if (!chunks) chunks.emplace(left > 0 ? 1 : 0, left);
    for (const int64_t n : *chunks) left = n < 1 || n > left ? -1 : left - n;
    if (left != 0)
      throw Error("the snapshot's chunks of the input stream '" + stream +
                  "' are not as many tokens as it holds");
    all.push_back(std::move(*chunks));
  }
  return all;
}

// Errors: Error if they are none of this model.
TokenCounts take_counts(const Engine::Impl& engine, SessionValues& values) {
  const auto found = take_list(values, kCountsValue);
  return found ? TokenCounts::from_values(*found, engine.model.spec().info.vocab_size)
               : TokenCounts();
}

// Errors: Error if the snapshot is another engine's, or says what no session of this one can be.
void check_head(const Engine::Impl& engine, const SnapshotContents& head) {
  if (head.identity != engine.identity() && !engine.computes_as(head.identity))
    throw Error("this session belongs to another model or configuration: " +
                describe_identity_difference(shown_identity(engine.identity(), engine.plugins),
                                             shown_identity(head.identity, engine.plugins)));
  const int64_t vocab_size = engine.model.spec().info.vocab_size;
  if (head.position < 0 || head.position > engine.longest())
    throw Error("the snapshot's position " + std::to_string(head.position) +
                " is over the longest session, " + std::to_string(engine.longest()) +
                "; raise attention.max_length");
  if (head.tail.size() > static_cast<size_t>(engine.tail_length()) ||
      std::any_of(head.tail.begin(), head.tail.end(),
                  [&](int32_t t) { return t < 0 || t >= vocab_size; }))
    throw Error("the snapshot's last tokens do not fit the vocabulary");
  check_tensors(*engine.layout, head);
}

using BytesRead = std::function<void(size_t bytes)>;

// Reads the values of all tensors. `read`: called with the bytes of the file that are read so far.
void read_rows(StateSet& state, std::span<const StateSpec> specs, SnapshotReader& reader,
               const BytesRead& read) {
  const SnapshotContents& head = reader.contents();
  const auto runs = all_live_runs<float>(state, specs.size(), head.position);
  each_run(head.tensors, [&](const SnapshotRun& run) {
    const StateSpec& spec = specs[run.tensor];
    each_piece(runs[run.tensor], run, spec.columns, [&](std::span<float> piece) {
      reader.read_values(piece);
      require_sound(spec, piece);
    });
    read(reader.bytes_read());
  });
}

// What Session::restore does; `read` as in read_rows.
void restore_from(Session::Impl& session, SnapshotReader& reader, const BytesRead& read) {
  const SnapshotContents& head = reader.contents();
  const Engine::Impl& engine = *session.engine;
  check_head(engine, head);
  SessionValues values = head.values;
  StateSet state = session.state.successor();
  state.reserve(head.position);
  std::vector<int64_t> stream_lengths;
  for (const InputGraph& input : engine.inputs) {
    const std::string& stream = input.stream.name;
    stream_lengths.push_back(stream_length_in(*engine.layout, head, stream));
    state.reserve(stream_lengths.back(), stream);
    state.set_stream_length(stream, stream_lengths.back());
  }
  const Segment segment = take_segment(engine, values, head.position);
  auto stream_chunks = take_chunks(engine, values, stream_lengths);
  TokenCounts counts = take_counts(engine, values);
  require_none_of_engine(values);
  for (size_t i = 0; i < head.tensors.size(); ++i) state.set_count(i, head.tensors[i].rows);
  read_rows(state, engine.layout->specs(), reader, read);
  session.state.become(std::move(state));
  session.stream_lengths = std::move(stream_lengths);
  session.stream_chunks = std::move(stream_chunks);
  session.segment = segment;
  session.position = head.position;
  session.tail.assign(head.tail.begin(), head.tail.end());
  session.random.state = head.random_state;
  session.counts = std::move(counts);
  session.trust_state();
  session.failed = false;
  session.values = std::move(values);
}

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

int64_t Session::position() const { return impl_->position; }
std::span<const int32_t> Session::tail() const {
  const std::span<const int32_t> kept = impl_->tail;
  return kept.last(std::min(kept.size(), static_cast<size_t>(kTailLength)));
}
int64_t Session::stream_length(const std::string& stream) const {
  return impl_->stream_lengths[impl_->engine->input_number(stream)];
}
std::span<const int64_t> Session::stream_chunks(const std::string& stream) const {
  return impl_->stream_chunks[impl_->engine->input_number(stream)];
}
int64_t Session::segment_number() const { return impl_->segment.number; }
int64_t Session::segment_tokens() const { return impl_->position - impl_->segment.start; }
RandomState& Session::random() { return impl_->random; }
TokenCounts& Session::counts() { return impl_->counts; }
int64_t Session::state_bytes() const { return impl_->state.live_bytes(impl_->position); }

std::vector<std::string> Session::state_names() const {
  std::vector<std::string> names;
  for (const StateSpec& spec : impl_->engine->layout->specs()) names.push_back(spec.name);
  return names;
}

std::vector<float> Session::read_state(const std::string& name, int64_t first,
                                       int64_t count) const {
  const StateLayout& layout = *impl_->engine->layout;
  const size_t number = layout.number(name);
  const StateSet& state = impl_->state;
  require_live(layout.specs()[number], state.begun_rows(number, impl_->position), first, count);
  std::vector<float> values;
  for (int64_t i = first; i < first + count; ++i) {
    const auto row = state.row(number, i);
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

void Session::write_state(const std::string& name, int64_t first, std::span<const float> values) {
  const StateLayout& layout = *impl_->engine->layout;
  const size_t number = layout.number(name);
  const StateSpec& spec = layout.specs()[number];
  const auto columns = static_cast<size_t>(spec.columns);
  if (spec.growth != Growth::kFixed || values.size() % columns != 0)
    throw Error("the state '" + name + "' takes whole rows of " + std::to_string(columns) +
                " values and must be of fixed size, got " + std::to_string(values.size()) +
                " values");
  const auto count = static_cast<int64_t>(values.size() / columns);
  require_live(spec, spec.rows, first, count);
  for (int64_t i = 0; i < count; ++i) {
    const auto source = values.subspan(static_cast<size_t>(i) * columns, columns);
    std::copy(source.begin(), source.end(), impl_->state.row(number, first + i).begin());
  }
}

void Session::set_position(int64_t position) {
  const auto& specs = impl_->engine->layout->specs();
  const bool grows = std::any_of(specs.begin(), specs.end(),
                                 [](const StateSpec& s) { return s.growth != Growth::kFixed; });
  if (position < 0 || position > impl_->engine->longest() || grows)
    throw Error("the position can only be set to 0 to " + std::to_string(impl_->engine->longest()) +
                ", and only where all state is of fixed size");
  impl_->position = position;
  impl_->segment = Segment::of_full_ones(position, impl_->engine->traits.segment_length);
}

std::optional<SessionValue> Session::value(std::string_view name) const {
  require_own_name(name);
  const auto found = impl_->values.find(name);
  return found == impl_->values.end() ? std::nullopt : std::optional(found->second);
}

void Session::set_value(std::string_view name, std::optional<SessionValue> value) {
  require_own_name(name);
  if (value)
    impl_->values.insert_or_assign(std::string(name), std::move(*value));
  else if (const auto found = impl_->values.find(name); found != impl_->values.end())
    impl_->values.erase(found);
}

std::vector<std::byte> Session::snapshot() const {
  std::vector<std::byte> bytes;
  // The configuration and the frame are a small part of it.
  bytes.reserve(static_cast<size_t>(state_bytes() + state_bytes() / 1024) + (size_t{1} << 16));
  snapshot([&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

void Session::restore(std::span<const std::byte> snapshot) {
  SnapshotReader reader(snapshot);
  restore_from(*impl_, reader, [](size_t) {});
}

// What is read is given back, so that the state is never there twice.
void Session::restore(std::vector<std::byte>&& snapshot) {
  constexpr size_t kPieceBytes = size_t{1} << 20;
  std::vector<std::byte> bytes = std::move(snapshot);
  SnapshotReader reader(bytes);
  size_t released = 0;
  restore_from(*impl_, reader, [&](size_t read) {
    if (read < released + kPieceBytes) return;
    release_pages(std::span(bytes).subspan(released, read - released));
    released = read;
  });
}

}  // namespace perdure
