// SPDX-License-Identifier: Apache-2.0

// Runs one kernel on one node built by hand, through the C ABI alone: no graph, no plan, no
// executor. Every buffer is a heap block of exactly the size the contract names, so that a
// sanitizer sees any step beyond it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/api/kernel.h"

namespace perdure::test {

// Blocks that begin where a plan's would: at multiples of 64.
template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  CacheLineAllocator() = default;
  template <typename U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{64}));
  }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t{64}); }
  bool operator==(const CacheLineAllocator&) const { return true; }
};

using Bytes = std::vector<char, CacheLineAllocator<char>>;
using Floats = std::vector<float, CacheLineAllocator<float>>;

template <typename Values>
Bytes bytes_of(const Values& values) {
  const char* first = reinterpret_cast<const char*>(values.data());
  return Bytes(first, first + values.size() * sizeof(values[0]));
}

// A tensor of a node: its contents and how it is described to the kernel.
struct HarnessValue {
  uint32_t kind = PERDURE_VALUE_ROWS;
  perdure_dtype dtype = PERDURE_F32;
  int64_t rows = 0;  // 0: as many as the step has (rows, outputs)
  int64_t columns = 0;
  int64_t group_size = 0;
  Bytes data;
  Bytes scales;
  uint32_t state = 0;       // PERDURE_VALUE_STATE
  int64_t row_stride = 0;   // bytes; 0: rows lie one after the other
  size_t misalignment = 0;  // bytes by which a constant lies off its natural alignment
  int64_t row_padding = 0;  // bytes between the end of a row and the beginning of the next
};

// A state tensor: physical rows of `columns` floats for every session.
struct HarnessState {
  int64_t columns = 0;
  int64_t ring_first = 0;
  int64_t ring_rows = 0;
  std::vector<Floats> sessions;
  int64_t live_rows = 0;
};

// What a kernel leaves behind.
struct KernelResult {
  Bytes data, scales;
  std::vector<HarnessState> states;

  Floats floats() const {
    Floats values(data.size() / sizeof(float));
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }
};

// How a test cuts the items of a node into ranges.
enum class Cut { kWhole, kSmallest, kSmallestBackwards };

// A node, its inputs and a step.
struct KernelCase {
  std::string op;
  std::vector<std::pair<std::string, double>> attributes;
  std::vector<std::pair<std::string, std::vector<int64_t>>> lists;  // attributes, too
  std::vector<HarnessValue> inputs;
  std::vector<HarnessValue> outputs;
  std::vector<HarnessState> states;
  std::vector<perdure_row> rows;  // sessions in ascending order
  std::vector<int64_t> output_rows;

  // `n` rows of one session from position `first` on.
  void add_session(int64_t first, int64_t n) {
    const int32_t session = rows.empty() ? 0 : rows.back().session + 1;
    for (int64_t r = 0; r < n; ++r)
      rows.push_back({first + r, r, 0, PERDURE_ROLE_TOKEN, session, 3 * first + r, (first + r) % 7,
                      first / 7, (first + r) % 7 + 1});
  }

  void add_rows(int64_t columns, const Floats& values) {
    inputs.push_back({.columns = columns, .data = bytes_of(values)});
  }

  void add_integers(int64_t columns, const std::vector<int64_t>& values) {
    inputs.push_back({.dtype = PERDURE_I64, .columns = columns, .data = bytes_of(values)});
  }

  void add_state(uint32_t state) {
    inputs.push_back(
        {.kind = PERDURE_VALUE_STATE, .columns = states[state].columns, .state = state});
  }

  void set_output(int64_t columns, perdure_dtype dtype = PERDURE_F32, int64_t group_size = 0) {
    outputs = {{.dtype = dtype, .columns = columns, .group_size = group_size}};
  }

  // The same node in a step of row `row` alone.
  KernelCase only_row(int64_t row) const {
    KernelCase alone = *this;
    const auto cut = [&](Bytes& bytes) {
      const size_t size = bytes.size() / rows.size();
      bytes = Bytes(bytes.begin() + row * size, bytes.begin() + (row + 1) * size);
    };
    for (HarnessValue& v : alone.inputs) {
      if (v.kind != PERDURE_VALUE_ROWS) continue;
      cut(v.data);
      cut(v.scales);
    }
    for (HarnessState& s : alone.states) s.sessions = {s.sessions[rows[row].session]};
    alone.rows = {rows[row]};
    alone.rows[0].session = 0;
    return alone;
  }
};

// A kernel prepared for a case; runs it as often as asked.
class PreparedKernel {
 public:
  PreparedKernel(const perdure_kernel& kernel, const KernelCase& test)
      : kernel_(kernel), case_(test), params_(aligned(kernel.params_bytes)) {
    describe();
    std::memset(params_.get(), 0, kernel.params_bytes);
    accepted_ = knows_attributes() && kernel_.prepare(&node_, params_.get()) == PERDURE_OK;
    if (!accepted_) return;
    if (kernel_.scratch_bytes) scratch_ = aligned(kernel_.scratch_bytes(&node_, params_.get()));
    pack();
  }
  PreparedKernel(const PreparedKernel&) = delete;

  bool accepted() const { return accepted_; }
  size_t packed_bytes() const { return packed_bytes_; }

  // Computes everything, in ranges as `cut` says. Requires: accepted().
  void run(Cut cut = Cut::kWhole) {
    perdure_call call{};
    call.struct_size = sizeof call;
    call.params = params_.get();
    call.n_inputs = node_.n_inputs;
    call.inputs = inputs_.data();
    call.packed = packed_.data();
    call.outputs = outputs_.data();
    call.step = &step_;
    call.context = kernel_.context;
    perdure_work work{};
    kernel_.divide(&call, &work);
    const int64_t size = cut == Cut::kWhole ? std::max<int64_t>(work.n_items, 1) : work.min_items;
    const int64_t n_ranges = (work.n_items + size - 1) / size;
    for (int64_t i = 0; i < n_ranges; ++i) {
      const int64_t range = cut == Cut::kSmallestBackwards ? n_ranges - 1 - i : i;
      const int64_t end = std::min(work.n_items, (range + 1) * size);
      if (kernel_.run(&call, range * size, end, scratch_.get()) != PERDURE_OK) std::abort();
    }
  }

  KernelResult result() const {
    KernelResult result{{}, {}, case_.states};
    if (!case_.outputs.empty()) result.data = rows_of(case_.outputs[0]);
    if (!case_.outputs.empty()) result.scales = case_.outputs[0].scales;
    return result;
  }

  // The output of that number.
  Floats output(size_t number) const {
    return KernelResult{case_.outputs[number].data, {}, {}}.floats();
  }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  using Memory = std::unique_ptr<char, Free>;

  static Memory aligned(size_t size) {
    return Memory(
        static_cast<char*>(std::aligned_alloc(64, std::max<size_t>(1, (size + 63) / 64) * 64)));
  }

  int64_t count(const HarnessValue& v) const {
    if (v.kind == PERDURE_VALUE_OUTPUTS) return static_cast<int64_t>(case_.output_rows.size());
    return v.kind == PERDURE_VALUE_ROWS ? static_cast<int64_t>(case_.rows.size()) : v.rows;
  }

  perdure_value describe_value(HarnessValue& v) {
    perdure_value value{};
    value.kind = v.kind;
    value.state = v.state;
    perdure_tensor& t = value.tensor;
    t.struct_size = sizeof(perdure_tensor);
    t.dtype = v.dtype;
    t.rank = 2;
    t.shape[0] = count(v);
    t.shape[1] = v.columns;
    t.shape[2] = t.shape[3] = 1;
    t.row_stride_bytes = v.row_stride ? v.row_stride : row_bytes(v) + v.row_padding;
    t.group_size = v.group_size;
    t.data = v.row_padding == 0 ? place(v.data, v.misalignment) : place_rows(v);
    t.scales = v.scales.empty() ? nullptr : place(v.scales, v.misalignment);
    return value;
  }

  // Where the contents are read: in place, or a copy that lies `misalignment` bytes off.
  void* place(Bytes& bytes, size_t misalignment) {
    if (misalignment == 0) return bytes.data();
    shifted_.push_back(Bytes(misalignment));
    shifted_.back().insert(shifted_.back().end(), bytes.begin(), bytes.end());
    return shifted_.back().data() + misalignment;
  }

  static int64_t row_bytes(const HarnessValue& v) { return perdure_row_bytes(v.dtype, v.columns); }

  // A copy with something else between the rows.
  void* place_rows(const HarnessValue& v) {
    const int64_t size = row_bytes(v), stride = size + v.row_padding;
    const int64_t n = static_cast<int64_t>(v.data.size()) / size;
    shifted_.push_back(Bytes(static_cast<size_t>(n * stride), '\x77'));
    for (int64_t r = 0; r < n; ++r)
      std::copy_n(v.data.begin() + r * size, size, shifted_.back().begin() + r * stride);
    return shifted_.back().data();
  }

  // The rows of an output without what lies between them.
  Bytes rows_of(const HarnessValue& v) const {
    if (v.row_padding == 0) return v.data;
    Bytes rows;
    const char* from = static_cast<const char*>(outputs_[0].tensor.data);
    const int64_t size = row_bytes(v), n = static_cast<int64_t>(v.data.size()) / size;
    for (int64_t r = 0; r < n; ++r, from += size + v.row_padding)
      rows.insert(rows.end(), from, from + size);
    return rows;
  }

  void describe_step() {
    const int64_t n_sessions = case_.rows.empty() ? 0 : case_.rows.back().session + 1;
    views_.resize(static_cast<size_t>(n_sessions));
    sessions_.resize(static_cast<size_t>(n_sessions));
    for (int64_t s = 0; s < n_sessions; ++s) {
      for (HarnessState& state : case_.states) {
        Floats& data = state.sessions[s];
        const int64_t row_bytes = state.columns * static_cast<int64_t>(sizeof(float));
        perdure_state_view view{};
        view.data = reinterpret_cast<char*>(data.data());
        view.row_bytes = row_bytes;
        view.n_rows = static_cast<int64_t>(data.size()) / state.columns;
        view.ring_first = state.ring_first;
        view.ring_rows = state.ring_rows;
        view.live_rows = state.live_rows;
        views_[s].push_back(view);
      }
      sessions_[s].states = views_[s].data();
    }
    for (size_t r = case_.rows.size(); r-- > 0;) {
      perdure_session& session = sessions_[case_.rows[r].session];
      session.first_row = static_cast<int64_t>(r);
      ++session.n_rows;
    }
    step_.struct_size = sizeof step_;
    step_.n_rows = static_cast<int64_t>(case_.rows.size());
    step_.rows = case_.rows.data();
    step_.n_outputs = static_cast<int64_t>(case_.output_rows.size());
    step_.output_rows = case_.output_rows.data();
    step_.n_sessions = n_sessions;
    step_.sessions = sessions_.data();
  }

  void describe() {
    for (HarnessValue& v : case_.outputs) {
      v.data.assign(static_cast<size_t>(count(v) * perdure_row_bytes(v.dtype, v.columns)), '\x55');
      if (v.group_size > 0)
        v.scales.assign(static_cast<size_t>(count(v) * v.columns / v.group_size) * sizeof(float),
                        '\x55');
    }
    for (HarnessValue& v : case_.inputs) inputs_.push_back(describe_value(v));
    for (HarnessValue& v : case_.outputs) outputs_.push_back(describe_value(v));
    describe_attributes();
    describe_step();
    node_.struct_size = sizeof node_;
    node_.op = case_.op.c_str();
    node_.n_inputs = static_cast<uint32_t>(inputs_.size());
    node_.inputs = inputs_.data();
    node_.n_outputs = static_cast<uint32_t>(outputs_.size());
    node_.outputs = outputs_.data();
    node_.n_attributes = static_cast<uint32_t>(attributes_.size());
    node_.attributes = attributes_.data();
    node_.max_rows = static_cast<int64_t>(case_.rows.size());
    node_.context = kernel_.context;
  }

  void describe_attributes() {
    for (const auto& [name, value] : case_.attributes) {
      perdure_attribute a{};
      a.name = name.c_str();
      a.i = static_cast<int64_t>(value);
      a.f = value;
      attributes_.push_back(a);
    }
    for (const auto& [name, values] : case_.lists) {
      perdure_attribute a{};
      a.name = name.c_str();
      a.type = PERDURE_ATTRIBUTE_INTS;
      a.n = static_cast<uint32_t>(values.size());
      a.ints = values.data();
      attributes_.push_back(a);
    }
  }

  // As the host does before it offers a node.
  bool knows_attributes() const {
    const auto lists = [&](const std::string& name) {
      for (const char* const* known = kernel_.attributes; known && *known; ++known)
        if (name == *known) return true;
      return false;
    };
    return std::all_of(attributes_.begin(), attributes_.end(),
                       [&](const perdure_attribute& a) { return lists(a.name); });
  }

  void pack() {
    packed_.resize(inputs_.size(), nullptr);
    if (!kernel_.packed_bytes) return;
    for (uint32_t i = 0; i < inputs_.size(); ++i) {
      const size_t size = kernel_.packed_bytes(&node_, params_.get(), i);
      if (size == 0) continue;
      packed_memory_.push_back(aligned(size));
      if (kernel_.pack(&node_, params_.get(), i, packed_memory_.back().get()) != PERDURE_OK)
        std::abort();
      packed_[i] = packed_memory_.back().get();
      packed_bytes_ += size;
    }
  }

  const perdure_kernel& kernel_;
  KernelCase case_;
  Memory params_, scratch_;
  bool accepted_ = false;
  size_t packed_bytes_ = 0;
  std::vector<Bytes> shifted_;
  std::vector<perdure_value> inputs_, outputs_;
  std::vector<perdure_attribute> attributes_;
  std::vector<std::vector<perdure_state_view>> views_;
  std::vector<perdure_session> sessions_;
  std::vector<Memory> packed_memory_;
  std::vector<const void*> packed_;
  perdure_step step_{};
  perdure_node node_{};
};

}  // namespace perdure::test
