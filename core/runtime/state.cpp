// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/state.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/checked.hpp"

namespace perdure {
namespace {

// Growing tensors take memory in blocks: small ones while they are small, as sessions are many.
constexpr int64_t kSmallBlockBytes = int64_t{1} << 16, kBlockBytes = int64_t{1} << 20;
constexpr int64_t kAlignment = 64;
// Growing tensors begin on pages of their own, whatever the machine's size of pages.
constexpr int64_t kPageBytes = int64_t{1} << 16;
// Rows that a growing tensor has addresses for at first, and how many times as many when it moves.
// What moves is copied: at most a third of a copy per row, all in all.
constexpr int64_t kFirstRows = 1024, kGrowth = 4;

int64_t round_up(int64_t bytes, int64_t unit) {
  return checked_add(bytes, unit - 1, "the state of a session") / unit * unit;
}

int64_t row_bytes(const StateSpec& spec) {
  return checked_mul(spec.columns, sizeof(float), spec.name.c_str());
}

int64_t physical_rows(const StateSpec& spec, int64_t max_step_rows) {
  if (spec.growth != Growth::kRing) return spec.rows;
  return checked_add(spec.sinks, checked_add(spec.rows, max_step_rows, spec.name.c_str()),
                     spec.name.c_str());
}

int64_t physical_bytes(const StateSpec& spec, int64_t max_step_rows) {
  return checked_mul(physical_rows(spec, max_step_rows), row_bytes(spec), spec.name.c_str());
}

int64_t tokens_per_row(const StateSpec& spec) { return std::max<int64_t>(spec.tokens_per_row, 1); }

bool grows(const StateSpec& spec) { return spec.growth == Growth::kAppended; }

}  // namespace

void StateBudget::take(int64_t bytes) {
  const int64_t before = used_.fetch_add(bytes);
  if (bytes <= limit_ - before) return;
  used_ -= bytes;
  throw StateBudgetError(
      "the states of all sessions would take " + std::to_string(before + bytes) +
      " bytes, more than their budget of " + std::to_string(limit_) +
      "; end sessions, keep texts shorter, use a strategy with constant state or raise " +
      "state.max_bytes");
}

StateLayout::StateLayout(std::vector<StateSpec> specs, int64_t max_step_rows, int64_t budget_bytes)
    : specs_(std::move(specs)),
      max_step_rows_(max_step_rows),
      budget_(std::make_shared<StateBudget>(budget_bytes > 0 ? budget_bytes
                                                             : physical_memory_bytes() / 4 * 3)) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    check(specs_[i]);
    if (!numbers_.emplace(specs_[i].name, i).second)
      throw Error("two strategies declare the state '" + specs_[i].name + "'");
    place(specs_[i]);
  }
  check_memory();
}

void StateLayout::check(const StateSpec& s) const {
  if (s.columns < 1 || s.rows < 1 || s.sinks < 0)
    throw Error("the state '" + s.name + "' is declared with " + std::to_string(s.rows) +
                " rows of " + std::to_string(s.columns) + " values; both must be positive");
  if (s.type != PERDURE_F32)
    throw Error("the state '" + s.name + "' is declared with the element type " +
                std::to_string(s.type) + "; kernels compute with F32 (0) only so far");
  if (s.growth != Growth::kFixed && s.initial != StateSpec::Initial::kZero)
    throw Error("the state '" + s.name +
                "' grows and is declared with an initial value; only fixed state has one");
  if (!s.stream.empty() && s.growth != Growth::kAppended)
    throw Error("the state '" + s.name + "' is declared to follow the input stream '" + s.stream +
                "' and is not appended to; only appended state can");
  const bool follows_text =
      s.stream.empty() && (s.growth == Growth::kAppended || s.growth == Growth::kRing);
  if (s.tokens_per_row < 0 || (s.tokens_per_row > 1 && !follows_text))
    throw Error("the state '" + s.name + "' is declared with " + std::to_string(s.tokens_per_row) +
                " tokens per row; only a ring or an appended state of the text has several");
}

void StateLayout::place(const StateSpec& spec) {
  const int64_t bytes = physical_bytes(spec, max_step_rows_);
  offsets_.push_back(grows(spec) ? 0 : slab_bytes_);
  if (grows(spec)) return;
  slab_bytes_ = round_up(checked_add(slab_bytes_, bytes, spec.name.c_str()), kAlignment);
}

size_t StateLayout::number(std::string_view name) const {
  const auto it = numbers_.find(name);
  if (it == numbers_.end()) throw Error("there is no state '" + std::string(name) + "'");
  return it->second;
}

int64_t StateLayout::max_length(std::string_view stream) const {
  int64_t length = INT64_MAX;
  for (const StateSpec& s : specs_)
    if (grows(s) && s.stream == stream)
      length = std::min(length, checked_mul(s.rows, tokens_per_row(s), s.name.c_str()));
  return length;
}

int64_t StateLayout::begun_rows(const StateSpec& spec, int64_t length) {
  if (spec.growth == Growth::kFixed || spec.growth == Growth::kCounted) return spec.rows;
  return length / tokens_per_row(spec) + (length % tokens_per_row(spec) != 0 ? 1 : 0);
}

int64_t StateLayout::live_rows(const StateSpec& spec, int64_t begun) {
  if (spec.growth != Growth::kRing) return begun;
  return std::min(begun, spec.sinks) + std::clamp<int64_t>(begun - spec.sinks, 0, spec.rows);
}

int64_t StateLayout::live_bytes(int64_t position) const {
  int64_t bytes = 0;
  for (const StateSpec& spec : specs_)
    if (spec.stream.empty()) bytes += live_rows(spec, begun_rows(spec, position)) * row_bytes(spec);
  return bytes;
}

void StateLayout::check_memory() const {
  // Pages are lent on trust: without this the system would end the process when they are used.
  if (slab_bytes_ > physical_memory_bytes())
    throw Error("cannot allocate " + std::to_string(slab_bytes_) +
                " bytes for the state of a session: this machine has " +
                std::to_string(physical_memory_bytes()) +
                "; use a smaller window or fewer rows of memory");
}

std::shared_ptr<const void> RowReaders::add() const {
  count_->fetch_add(1);
  return {count_.get(), [count = count_](const void*) {
            if (count->fetch_sub(1) == 1) count->notify_all();
          }};
}

void RowReaders::wait() const noexcept {
  if (!count_) return;
  while (const int n = count_->load()) count_->wait(n);
}

StateSet::StateSet(const StateLayout& layout) : StateSet(layout, nullptr) {}

StateSet::StateSet(const StateLayout& layout, const BudgetShare* replaced)
    : layout_(&layout),
      share_(layout.budget()),
      counts_(layout.specs().size(), 0),
      rooms_(layout.specs().size()),
      planned_(layout.specs().size()) {
  if (replaced != nullptr) share_.replace(*replaced);
  share_.take(layout.slab_bytes_);
  slab_ = Buffer(static_cast<size_t>(layout.slab_bytes_));
  for (size_t i = 0; i < layout.specs().size(); ++i) {
    const StateSpec& spec = layout.specs()[i];
    perdure_state_view view{};
    view.row_bytes = row_bytes(spec);
    view.dtype = spec.type;
    if (!grows(spec)) {
      view.data = reinterpret_cast<char*>(slab_.data() + layout.offsets_[i]);
      view.n_rows = physical_rows(spec, layout.max_step_rows());
    }
    if (spec.growth == Growth::kCounted) view.count = &counts_[i];
    if (spec.growth == Growth::kRing) {
      view.ring_first = spec.sinks;
      view.ring_rows = view.n_rows - spec.sinks;
    }
    views_.push_back(view);
  }
}

StateSet::StateSet(const StateSet& other) : StateSet(*other.layout_) {
  if (slab_.size() > 0) std::memcpy(slab_.data(), other.slab_.data(), slab_.size());
  for (size_t i = 0; i < views_.size(); ++i)
    if (other.rooms_[i].rows > 0) plan_rows(i, other.rooms_[i].rows);
  take_planned();
  for (size_t i = 0; i < views_.size(); ++i) {
    views_[i].live_rows = other.views_[i].live_rows;
    const int64_t bytes = other.rooms_[i].rows * views_[i].row_bytes;
    if (bytes > 0) std::memcpy(views_[i].data, other.views_[i].data, static_cast<size_t>(bytes));
  }
  std::ranges::copy(other.counts_, counts_.begin());
}

StateSet StateSet::successor() const { return StateSet(*layout_, &share_); }

void StateSet::become(StateSet&& successor) noexcept {
  successor.share_.replaced(share_);
  *this = std::move(successor);
}

// Plans room for so many rows of a growing tensor: whole blocks, but not beyond the capacity.
void StateSet::plan_rows(size_t number, int64_t rows) {
  const StateSpec& spec = layout_->specs()[number];
  const int64_t bytes = rows * views_[number].row_bytes;
  Room& room = planned_[number];
  room.rows = rows;
  if (rows > room.capacity)
    room.capacity = std::min(spec.rows, std::max({rows, kGrowth * room.capacity, kFirstRows}));
  room.committed =
      std::max(room.committed,
               std::min(round_up(bytes, bytes < kBlockBytes ? kSmallBlockBytes : kBlockBytes),
                        round_up(room.capacity * views_[number].row_bytes, kSmallBlockBytes)));
}

// Places of the planned rooms, one behind the other; the bytes of all.
int64_t StateSet::place_planned() {
  int64_t end = 0;
  for (size_t i = 0; i < planned_.size(); ++i) {
    planned_[i].offset = end;
    end = round_up(
        checked_add(end, planned_[i].capacity * views_[i].row_bytes, "the state of a session"),
        kPageBytes);
  }
  return end;
}

// Makes the planned rooms what there is. Errors: as reserve; nothing changes then.
void StateSet::take_planned() {
  int64_t growth = 0;
  for (size_t i = 0; i < rooms_.size(); ++i) growth += planned_[i].committed - rooms_[i].committed;
  share_.take(growth);
  try {
    use_planned();
  } catch (...) {
    share_.give_back(growth);
    throw;
  }
}

void StateSet::use_planned() {
  const auto bytes = static_cast<size_t>(place_planned());
  const bool moves = bytes > range_.capacity();
  if (moves) wait_for_readers();
  ReservedBuffer larger(moves ? bytes : 0);
  ReservedBuffer& range = moves ? larger : range_;
  for (size_t i = 0; i < rooms_.size(); ++i)
    if (planned_[i].committed > (moves ? 0 : rooms_[i].committed))
      range.commit(static_cast<size_t>(planned_[i].offset),
                   static_cast<size_t>(planned_[i].committed));
  for (size_t i = 0; i < rooms_.size(); ++i) {
    if (!grows(layout_->specs()[i])) continue;
    char* data = reinterpret_cast<char*>(range.data() + planned_[i].offset);
    if (moves && rooms_[i].rows > 0) {
      std::memcpy(data, views_[i].data, static_cast<size_t>(rooms_[i].rows * views_[i].row_bytes));
      // Tensor by tensor, so that the state is never there twice.
      range_.release(static_cast<size_t>(rooms_[i].offset),
                     static_cast<size_t>(rooms_[i].committed));
    }
    views_[i].data = data;
    views_[i].n_rows = std::min(planned_[i].committed / views_[i].row_bytes, planned_[i].capacity);
  }
  if (moves) range_ = std::move(larger);
  rooms_ = planned_;
}

void StateSet::reserve(int64_t end, std::string_view stream) {
  planned_ = rooms_;
  bool grown = false;
  for (size_t i = 0; i < views_.size(); ++i) {
    const StateSpec& spec = layout_->specs()[i];
    if (!grows(spec) || spec.stream != stream) continue;
    const int64_t rows = StateLayout::begun_rows(spec, end);
    if (rows > spec.rows)
      throw Error("a session can have at most " + std::to_string(layout_->max_length(stream)) +
                  " tokens here, not " + std::to_string(end) +
                  "; raise attention.max_length or use a strategy with constant state");
    if (rows <= rooms_[i].rows) continue;
    plan_rows(i, rows);
    grown = true;
  }
  if (grown) take_planned();
}

void StateSet::set_stream_length(std::string_view stream, int64_t length) {
  for (size_t i = 0; i < views_.size(); ++i)
    if (layout_->specs()[i].stream == stream) views_[i].live_rows = length;
}

int64_t StateSet::begun_rows(size_t number, int64_t position) const {
  const StateSpec& spec = layout_->specs()[number];
  // A kernel may have left any number; a session of whom it did is not used any more, but counted.
  if (spec.growth == Growth::kCounted) return std::clamp<int64_t>(counts_[number], 0, spec.rows);
  if (!spec.stream.empty()) return views_[number].live_rows;
  return StateLayout::begun_rows(spec, position);
}

int64_t StateSet::live_rows(size_t number, int64_t position) const {
  return StateLayout::live_rows(layout_->specs()[number], begun_rows(number, position));
}

int64_t StateSet::live_bytes(int64_t position) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < views_.size(); ++i) bytes += live_rows(i, position) * views_[i].row_bytes;
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
  const int64_t begun = begun_rows(number, position);
  std::vector<std::span<float>> runs;
  const auto add = [&](int64_t first, int64_t rows) {
    if (rows > 0)
      runs.emplace_back(reinterpret_cast<float*>(view.data + first * view.row_bytes),
                        static_cast<size_t>(rows * spec.columns));
  };
  if (spec.growth != Growth::kRing) {
    add(0, begun);
    return runs;
  }
  const int64_t window_first = std::max(spec.sinks, begun - spec.rows);
  const int64_t window = std::max<int64_t>(0, begun - window_first);
  const int64_t place = (window_first - view.ring_first) % view.ring_rows;
  const int64_t before_wrap = std::min(window, view.ring_rows - place);
  add(0, std::min(begun, spec.sinks));
  add(view.ring_first + place, before_wrap);
  add(view.ring_first, window - before_wrap);
  return runs;
}

std::vector<std::span<const float>> StateSet::live_runs(size_t number, int64_t position) const {
  const auto runs = const_cast<StateSet*>(this)->live_runs(number, position);
  return {runs.begin(), runs.end()};
}

void StateSet::copy_fixed(const StateSet& other) {
  for (size_t i = 0; i < views_.size(); ++i)
    if (layout_->specs()[i].growth == Growth::kFixed)
      std::memcpy(views_[i].data, other.views_[i].data,
                  static_cast<size_t>(views_[i].n_rows * views_[i].row_bytes));
}

}  // namespace perdure
