// SPDX-License-Identifier: Apache-2.0

// The state tensors of a session: what strategies declared, laid out, grown and copied by their
// live rows. Kernels see pointers and lengths only (perdure_state_view).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api/kernel.h"
#include "core/api/strategy.hpp"
#include "core/base/buffer.hpp"

namespace perdure {

// The declared tensors of a model and their numbers. Immutable after construction.
class StateLayout {
 public:
  // `max_step_rows`: the most rows of one session in a step; rings keep that many rows beyond their
  // window. Errors: Error if two states have the same name, a size is not positive, a
  // growing state has an initial value, or what does not grow is more than this machine's memory.
  StateLayout(std::vector<StateSpec> specs, int64_t max_step_rows);

  const std::vector<StateSpec>& specs() const { return specs_; }
  // Errors: Error for an unknown name.
  size_t number(std::string_view name) const;
  int64_t max_step_rows() const { return max_step_rows_; }
  // The most tokens of a stream ("" = the text) that a session can have; INT64_MAX if nothing
  // grows with it.
  int64_t max_length(std::string_view stream = {}) const;
  // Rows of `spec` that are live after `length` tokens of its stream.
  static int64_t live_rows(const StateSpec& spec, int64_t length);
  // Bytes that are live after `position` tokens of the text and none of other streams.
  int64_t live_bytes(int64_t position) const;

 private:
  void check_memory() const;

  std::vector<StateSpec> specs_;
  std::map<std::string, size_t, std::less<>> numbers_;
  int64_t max_step_rows_;
};

// One session's tensors. Movable. One thread at a time.
class StateSet {
 public:
  // All zero. Borrows the layout. Errors: Error if memory or address space cannot be had.
  explicit StateSet(const StateLayout& layout);
  StateSet(StateSet&&) = default;
  StateSet& operator=(StateSet&&) = default;

  // Makes room for `end` tokens of a stream ("" = the text); no allocation unless a tensor outgrows
  // a block. Errors: Error if memory is short or `end` is over the longest; nothing changes then.
  void reserve(int64_t end, std::string_view stream = {});
  // Tokens so far of an input stream, in the states that grow with it. Requires: reserved.
  void set_stream_length(std::string_view stream, int64_t length);
  // Tokens so far of the stream of a state; `position` is that of the text.
  int64_t length(size_t number, int64_t position) const;
  const perdure_state_view* views() const { return views_.data(); }

  // Live bytes after `position` tokens of the text.
  int64_t live_bytes(int64_t position) const;
  // The values of the live rows after `position` tokens of the text, in logical order, as few runs
  // that follow each other. Requires: room and stream length are set.
  std::vector<std::span<float>> live_runs(size_t number, int64_t position);
  std::vector<std::span<const float>> live_runs(size_t number, int64_t position) const;
  // One logical row, [columns]. Requires: it is live.
  std::span<float> row(size_t number, int64_t index);
  std::span<const float> row(size_t number, int64_t index) const;
  // Takes over the fixed tensors of another set of the same layout.
  void copy_fixed(const StateSet& other);

 private:
  std::byte* data(size_t number);
  const StateLayout* layout_;
  std::vector<std::variant<Buffer, ReservedBuffer>> memory_;
  std::vector<perdure_state_view> views_;
};

}  // namespace perdure
