// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/state.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/checked.hpp"

namespace perdure {
namespace {

// Growing tensors are committed in blocks of this many bytes.
constexpr int64_t kBlockBytes = int64_t{1} << 20;

int64_t row_bytes(const StateSpec& spec) {
  return checked_mul(spec.columns, sizeof(float), spec.name.c_str());
}

int64_t physical_rows(const StateSpec& spec, int64_t max_step_rows) {
  if (spec.growth != Growth::kRing) return spec.rows;
  return checked_add(spec.sinks, checked_add(spec.rows, max_step_rows, spec.name.c_str()),
                     spec.name.c_str());
}

}  // namespace

StateLayout::StateLayout(std::vector<StateSpec> specs, int64_t max_step_rows)
    : specs_(std::move(specs)), max_step_rows_(max_step_rows) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    const StateSpec& s = specs_[i];
    if (s.columns < 1 || s.rows < 1 || s.sinks < 0)
      throw Error("the state '" + s.name + "' is declared with " + std::to_string(s.rows) +
                  " rows of " + std::to_string(s.columns) + " values; both must be positive");
    if (s.growth != Growth::kFixed && s.initial != StateSpec::Initial::kZero)
      throw Error("the state '" + s.name +
                  "' grows and is declared with an initial value; only fixed state has one");
    if (!s.stream.empty() && s.growth != Growth::kAppended)
      throw Error("the state '" + s.name + "' is declared to follow the input stream '" + s.stream +
                  "' and is not appended to; only appended state can");
    if (!numbers_.emplace(s.name, i).second)
      throw Error("two strategies declare the state '" + s.name + "'");
  }
  check_memory();
}

size_t StateLayout::number(std::string_view name) const {
  const auto it = numbers_.find(name);
  if (it == numbers_.end()) throw Error("there is no state '" + std::string(name) + "'");
  return it->second;
}

int64_t StateLayout::max_length(std::string_view stream) const {
  int64_t length = INT64_MAX;
  for (const StateSpec& s : specs_)
    if (s.growth == Growth::kAppended && s.stream == stream) length = std::min(length, s.rows);
  return length;
}

int64_t StateLayout::live_rows(const StateSpec& spec, int64_t length) {
  switch (spec.growth) {
    case Growth::kFixed:
      return spec.rows;
    case Growth::kAppended:
      return length;
    case Growth::kRing:
      break;
  }
  return std::min(length, spec.sinks) + std::clamp<int64_t>(length - spec.sinks, 0, spec.rows);
}

int64_t StateLayout::live_bytes(int64_t position) const {
  int64_t bytes = 0;
  for (const StateSpec& spec : specs_)
    if (spec.stream.empty()) bytes += live_rows(spec, position) * row_bytes(spec);
  return bytes;
}

void StateLayout::check_memory() const {
  int64_t bytes = 0;
  for (const StateSpec& spec : specs_)
    if (spec.growth != Growth::kAppended)
      bytes = checked_add(
          bytes,
          checked_mul(physical_rows(spec, max_step_rows_), row_bytes(spec), spec.name.c_str()),
          spec.name.c_str());
  // Pages are lent on trust: without this the system would end the process when they are used.
  if (bytes > physical_memory_bytes())
    throw Error("cannot allocate " + std::to_string(bytes) +
                " bytes for the state of a session: this machine has " +
                std::to_string(physical_memory_bytes()) +
                "; use a smaller window or fewer rows of memory");
}

StateSet::StateSet(const StateLayout& layout) : layout_(&layout) {
  for (const StateSpec& spec : layout.specs()) {
    const int64_t rows = physical_rows(spec, layout.max_step_rows());
    const auto bytes = static_cast<size_t>(checked_mul(rows, row_bytes(spec), spec.name.c_str()));
    perdure_state_view view{};
    view.row_bytes = row_bytes(spec);
    if (spec.growth == Growth::kAppended) {
      memory_.emplace_back(ReservedBuffer(bytes));
    } else {
      memory_.emplace_back(Buffer(bytes));
      view.n_rows = rows;
    }
    if (spec.growth == Growth::kRing) {
      view.ring_first = spec.sinks;
      view.ring_rows = rows - spec.sinks;
    }
    views_.push_back(view);
    views_.back().data = reinterpret_cast<char*>(data(views_.size() - 1));
  }
}

std::byte* StateSet::data(size_t number) {
  return std::visit([](auto& memory) { return memory.data(); }, memory_[number]);
}

void StateSet::reserve(int64_t end, std::string_view stream) {
  for (size_t i = 0; i < memory_.size(); ++i) {
    const StateSpec& spec = layout_->specs()[i];
    if (spec.growth != Growth::kAppended || spec.stream != stream || end <= views_[i].n_rows)
      continue;
    if (end > spec.rows)
      throw Error("a session can have at most " + std::to_string(spec.rows) + " tokens here, not " +
                  std::to_string(end) +
                  "; raise attention.max_length or use a strategy of constant memory");
    auto& buffer = std::get<ReservedBuffer>(memory_[i]);
    const int64_t wanted =
        (end * views_[i].row_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const int64_t bytes = std::min<int64_t>(wanted, static_cast<int64_t>(buffer.capacity()));
    buffer.commit(static_cast<size_t>(bytes));
    views_[i].n_rows = bytes / views_[i].row_bytes;
  }
}

void StateSet::set_stream_length(std::string_view stream, int64_t length) {
  for (size_t i = 0; i < views_.size(); ++i)
    if (layout_->specs()[i].stream == stream) views_[i].live_rows = length;
}

int64_t StateSet::length(size_t number, int64_t position) const {
  return layout_->specs()[number].stream.empty() ? position : views_[number].live_rows;
}

int64_t StateSet::live_bytes(int64_t position) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < views_.size(); ++i) {
    const StateSpec& spec = layout_->specs()[i];
    bytes += StateLayout::live_rows(spec, length(i, position)) * row_bytes(spec);
  }
  return bytes;
}

std::span<float> StateSet::row(size_t number, int64_t index) {
  const auto columns = static_cast<size_t>(layout_->specs()[number].columns);
  return {reinterpret_cast<float*>(perdure_state_row(&views_[number], index)), columns};
}

std::span<const float> StateSet::row(size_t number, int64_t index) const {
  return const_cast<StateSet*>(this)->row(number, index);
}

// A ring has its sinks, its window up to the end of the ring, and the rest of the window.
std::vector<std::span<float>> StateSet::live_runs(size_t number, int64_t position) {
  const StateSpec& spec = layout_->specs()[number];
  const perdure_state_view& view = views_[number];
  const int64_t length = this->length(number, position);
  std::vector<std::span<float>> runs;
  const auto add = [&](int64_t first, int64_t rows) {
    if (rows > 0)
      runs.emplace_back(reinterpret_cast<float*>(view.data + first * view.row_bytes),
                        static_cast<size_t>(rows * spec.columns));
  };
  if (spec.growth != Growth::kRing) {
    add(0, StateLayout::live_rows(spec, length));
    return runs;
  }
  const int64_t window_first = std::max(spec.sinks, length - spec.rows);
  const int64_t window = std::max<int64_t>(0, length - window_first);
  const int64_t place = (window_first - view.ring_first) % view.ring_rows;
  const int64_t before_wrap = std::min(window, view.ring_rows - place);
  add(0, std::min(length, spec.sinks));
  add(view.ring_first + place, before_wrap);
  add(view.ring_first, window - before_wrap);
  return runs;
}

std::vector<std::span<const float>> StateSet::live_runs(size_t number, int64_t position) const {
  const auto runs = const_cast<StateSet*>(this)->live_runs(number, position);
  return {runs.begin(), runs.end()};
}

void StateSet::copy_fixed(const StateSet& other) {
  for (size_t i = 0; i < memory_.size(); ++i)
    if (layout_->specs()[i].growth == Growth::kFixed)
      std::memcpy(data(i), other.views_[i].data,
                  static_cast<size_t>(views_[i].n_rows * views_[i].row_bytes));
}

}  // namespace perdure
