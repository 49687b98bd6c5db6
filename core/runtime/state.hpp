// SPDX-License-Identifier: Apache-2.0

// The state tensors of a session: what strategies declared, laid out, grown and copied by their
// live rows. What does not grow lies in one allocation, what grows in one mapping, so that sessions
// are many. The mapping has room for a few times of what is used, whatever the longest session may
// be; beyond that the tensors move to a larger one, between steps. Kernels see pointers and lengths
// only (perdure_state_view).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/error.hpp"
#include "core/api/kernel.h"
#include "core/api/strategy.hpp"
#include "core/base/buffer.hpp"

namespace perdure {

// The budget of states is used up; sessions that end give theirs back.
class StateBudgetError : public Error {
 public:
  using Error::Error;
};

// Bytes that the states of all sessions of an engine may take together. Any thread.
class StateBudget {
 public:
  explicit StateBudget(int64_t limit_bytes) : limit_(limit_bytes) {}

  // Errors: StateBudgetError if that is over the limit; nothing is taken then.
  void take(int64_t bytes);
  void give_back(int64_t bytes) noexcept { used_ -= bytes; }
  int64_t used() const { return used_; }
  int64_t limit() const { return limit_; }

 private:
  int64_t limit_;
  std::atomic<int64_t> used_ = 0;
};

// What one session took of a budget; given back when it ends. Movable.
class BudgetShare {
 public:
  explicit BudgetShare(std::shared_ptr<StateBudget> budget) : budget_(std::move(budget)) {}
  ~BudgetShare() {
    if (budget_) budget_->give_back(bytes_);
  }
  BudgetShare(BudgetShare&& other) noexcept { swap(other); }
  BudgetShare& operator=(BudgetShare&& other) noexcept {
    swap(other);
    return *this;
  }

  // Errors: as StateBudget::take.
  void take(int64_t bytes) {
    const int64_t lent = std::min(bytes, credit_);
    budget_->take(bytes - lent);
    credit_ -= lent;
    bytes_ += bytes - lent;
  }
  void give_back(int64_t bytes) noexcept {
    budget_->give_back(bytes);
    bytes_ -= bytes;
  }
  // What `other` took need not be taken again by this one, which will replace it.
  void replace(const BudgetShare& other) { credit_ = other.bytes_; }
  // It has: what was lent is this one's, the rest is given back. Requires: replace(other).
  void replaced(BudgetShare& other) noexcept {
    other.give_back(credit_);
    bytes_ += std::exchange(other.bytes_, 0);
    credit_ = 0;
  }

 private:
  void swap(BudgetShare& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    std::swap(credit_, other.credit_);
  }

  std::shared_ptr<StateBudget> budget_;
  int64_t bytes_ = 0;
  int64_t credit_ = 0;  // of another's bytes, not yet used
};

// The declared tensors of a model, their numbers and their places. Immutable after construction.
class StateLayout {
 public:
  // `max_step_rows`: the most rows of one session in a step; rings keep that many rows beyond their
  // window. `budget_bytes`: what all sessions of this layout may take together; 0 = three quarters
  // of this machine's memory. Errors: Error if two states have the same name, a size is not
  // positive, a type is none that kernels compute with, what grows or is counted has an initial
  // value, or what does not grow is more than this machine's memory.
  StateLayout(std::vector<StateSpec> specs, int64_t max_step_rows, int64_t budget_bytes = 0);

  const std::vector<StateSpec>& specs() const { return specs_; }
  // Errors: Error for an unknown name.
  size_t number(std::string_view name) const;
  int64_t max_step_rows() const { return max_step_rows_; }
  // The most tokens of a stream ("" = the text) that a session can have; INT64_MAX if nothing
  // grows with it.
  int64_t max_length(std::string_view stream = {}) const;
  // Rows of `spec` that have begun after `length` tokens of its stream, whether or not they are
  // still there; of counted state the most there can be.
  static int64_t begun_rows(const StateSpec& spec, int64_t length);
  // Those of them that are live.
  static int64_t live_rows(const StateSpec& spec, int64_t begun);
  // Bytes that are live after `position` tokens of the text and none of other streams.
  int64_t live_bytes(int64_t position) const;
  const std::shared_ptr<StateBudget>& budget() const { return budget_; }

 private:
  friend class StateSet;
  void check(const StateSpec& spec) const;
  void place(const StateSpec& spec);
  void check_memory() const;

  std::vector<StateSpec> specs_;
  std::map<std::string, size_t, std::less<>> numbers_;
  int64_t max_step_rows_;
  std::vector<int64_t> offsets_;  // in the slab; of growing tensors 0
  int64_t slab_bytes_ = 0;
  std::shared_ptr<StateBudget> budget_;
};

// Those who read rows of a state while its owner goes on. Movable.
class RowReaders {
 public:
  RowReaders() : count_(std::make_shared<std::atomic<int>>(0)) {}
  RowReaders(RowReaders&&) noexcept = default;
  // What is replaced has no reader any more.
  RowReaders& operator=(RowReaders&& other) noexcept {
    wait();
    count_ = std::move(other.count_);
    return *this;
  }

  // A reader until it is dropped, by any thread.
  std::shared_ptr<const void> add() const;
  // Until there is none. Requires: nobody adds one meanwhile.
  void wait() const noexcept;

 private:
  std::shared_ptr<std::atomic<int>> count_;  // null once moved from
};

// One session's tensors. Movable; a copy holds the same rows. One thread at a time, but for who
// reads rows under hold_rows().
class StateSet {
 public:
  // All zero. Borrows the layout. Errors: Error if memory or address space cannot be had, or the
  // budget does not allow it.
  explicit StateSet(const StateLayout& layout);
  StateSet(const StateSet& other);
  StateSet(StateSet&&) = default;
  // This and the destructor wait for readers of the rows that go.
  StateSet& operator=(StateSet&&) = default;
  ~StateSet() { wait_for_readers(); }

  // One that will replace `*this`: it needs budget only for what it takes beyond. All zero.
  // Errors: as the first constructor.
  StateSet successor() const;
  // `*this` becomes its successor.
  void become(StateSet&& successor) noexcept;

  // Makes room for `end` tokens of a stream ("" = the text); no allocation unless a tensor outgrows
  // a block. Rows may move, once nobody reads them (hold_rows): views are those of after the call.
  // Errors: Error if memory or budget is short or `end` is over the longest; nothing changes then.
  void reserve(int64_t end, std::string_view stream = {});
  // Tokens so far of an input stream, in the states that grow with it. Requires: reserved.
  void set_stream_length(std::string_view stream, int64_t length);
  // The live rows of a counted state. Requires: 0 <= rows <= its capacity.
  void set_count(size_t number, int64_t rows) { counts_[number] = rows; }
  // Rows of a state that have begun; `position` is that of the text.
  int64_t begun_rows(size_t number, int64_t position) const;
  // Those of them that are live.
  int64_t live_rows(size_t number, int64_t position) const;
  const perdure_state_view* views() const { return views_.data(); }

  // Live bytes after `position` tokens of the text.
  int64_t live_bytes(int64_t position) const;
  // The values of the live rows after `position` tokens of the text, in logical order, as few runs
  // that follow each other. Requires: room, stream length and count are set.
  std::vector<std::span<float>> live_runs(size_t number, int64_t position);
  std::vector<std::span<const float>> live_runs(size_t number, int64_t position) const;
  // One logical row, [columns]. Requires: it is live.
  std::span<float> row(size_t number, int64_t index);
  std::span<const float> row(size_t number, int64_t index) const;
  // As long as the result lives, rows of live_runs() that nobody writes keep their values and their
  // place, for any thread that reads them: what would move or free them waits. Dropping it is what
  // ends that wait, so the owner's thread may not hold it while it waits.
  std::shared_ptr<const void> hold_rows() const { return readers_.add(); }
  // For the owner, before rows are written again that somebody may read.
  void wait_for_readers() const noexcept { readers_.wait(); }
  // Takes over the fixed tensors of another set of the same layout.
  void copy_fixed(const StateSet& other);

 private:
  // What a growing tensor has of the mapping.
  struct Room {
    int64_t rows = 0;      // that were asked for
    int64_t capacity = 0;  // rows until it has to move
    int64_t offset = 0;
    int64_t committed = 0;  // bytes
  };

  explicit StateSet(const StateLayout& layout, const BudgetShare* replaced);
  void plan_rows(size_t number, int64_t rows);
  int64_t place_planned();
  void take_planned();
  void use_planned();

  RowReaders readers_;  // first: it waits before the others are replaced
  const StateLayout* layout_;
  BudgetShare share_;
  Buffer slab_;           // what does not grow
  ReservedBuffer range_;  // what grows
  std::vector<perdure_state_view> views_;
  std::vector<int64_t> counts_;  // live rows of counted states; where kernels set them
  std::vector<Room> rooms_, planned_;
};

}  // namespace perdure
