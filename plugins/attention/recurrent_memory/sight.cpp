// SPDX-License-Identifier: Apache-2.0

// Shape rules and scalar kernels. State may hold anything that an application has written to it:
// counts are held within bounds as they are read.
#include "plugins/attention/recurrent_memory/sight.hpp"

#include <algorithm>

#include "core/api/operations.hpp"
#include "sdk/kernel.hpp"
#include "sdk/memory_rows.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure {
namespace {

using Mask = RecurrentSizes::Mask;

// --- What a kernel knows of a session's segment. ---

Attributes attributes_of(const RecurrentSizes& s) {
  return {{"memory", s.memory},
          {"tokens", s.tokens},
          {"kept", s.kept},
          {"turns", s.turns},
          {"always_read", int64_t{s.always_read}},
          {"mask", static_cast<int64_t>(s.mask)}};
}

constexpr const char* kAttributes[] = {"memory",      "tokens", "kept", "turns",
                                       "always_read", "mask",   nullptr};

RecurrentSizes sizes_of(const perdure_node* node) {
  const auto get = [&](const char* name) { return perdure_attribute_int(node, name, 0); };
  return {get("memory"), get("tokens"),           get("kept"),
          get("turns"),  get("always_read") != 0, static_cast<Mask>(get("mask"))};
}

// NaN counts as 0.
int64_t bounded(float value, int64_t most) {
  if (!(value > 0.0f)) return 0;
  return value >= static_cast<float>(most) ? most : static_cast<int64_t>(value);
}

// The inputs memory_use and kept_rows stand at `input` and behind it.
struct Segment {
  int64_t n_kept = 0;    // rows kept of the segment before
  bool has_read = true;  // read rows are elements of the segment
  bool sees_read = true;

  Segment(const RecurrentSizes& s, const perdure_call& call, int64_t row, uint32_t input) {
    const auto value = [&](uint32_t i) {
      return *kernels::state_row(kernels::state_at(call, row, call.inputs[i]), 0);
    };
    const float use = value(input);
    n_kept = bounded(value(input + 1), s.kept);
    has_read = s.always_read || use > kNoMemory;
    sees_read = has_read && use < kHiddenMemory;
  }
};

// --- recurrent_sight: memory_use, kept_rows (, padding). ---

struct SightParams {
  RecurrentSizes sizes;
  bool padding;
};

int prepare_sight(const perdure_node* node, void* params) {
  if (node->n_inputs < 2 || node->n_inputs > 3 || node->n_outputs != node->n_inputs + 3 ||
      !std::all_of(node->inputs, node->inputs + node->n_inputs, kernels::is_state))
    return PERDURE_DECLINED;
  *static_cast<SightParams*>(params) = {sizes_of(node), node->n_inputs == 3};
  return PERDURE_OK;
}

// How many of the four kinds a row sees, and how many tokens stand before the last kind.
struct Seen {
  int64_t kept = 0, read = 0, tokens = 0, write = 0;
  int64_t all_tokens = 0;
};

Seen seen_by_memory_mask(const RecurrentSizes& s, const perdure_row& row, int64_t kept) {
  if (row.role == kReadRole) return {kept, s.memory};
  if (row.role == PERDURE_ROLE_TOKEN) return {kept, s.memory, row.segment_index + 1};
  return {kept, s.memory, row.segment_tokens, s.memory, row.segment_tokens};
}

// All of the segment lies in the step; its last row knows the number of tokens.
Seen seen_by_all(const RecurrentSizes& s, const perdure_step& step, const perdure_row& row,
                 int64_t kept) {
  const perdure_session& session = step.sessions[row.session];
  const int64_t n = step.rows[session.first_row + session.n_rows - 1].segment_tokens;
  return {kept, s.memory, n, s.memory, n};
}

Seen seen_by_slots(const RecurrentSizes& s, const perdure_row& row, const Segment& segment) {
  const int64_t n_read = segment.has_read ? s.memory : 0;
  int64_t left = 1 + row.index;
  if (row.role == PERDURE_ROLE_TOKEN) left = 1 + n_read + row.segment_index;
  if (row.role == kWriteRole) left = 1 + n_read + row.segment_tokens + row.index;
  const auto take = [&](int64_t most) {
    const int64_t n = std::min(left, most);
    left -= n;
    return n;
  };
  Seen seen{.all_tokens = row.segment_tokens};
  seen.kept = take(segment.n_kept + 1);
  seen.read = take(n_read);
  seen.tokens = take(row.segment_tokens);
  seen.write = take(s.memory);
  return seen;
}

Seen seen_by(const RecurrentSizes& s, const perdure_step& step, const perdure_row& row,
             const Segment& segment) {
  const int64_t kept = segment.n_kept + 1;
  Seen seen = s.mask == Mask::kMemory ? seen_by_memory_mask(s, row, kept)
              : s.mask == Mask::kAll  ? seen_by_all(s, step, row, kept)
                                      : seen_by_slots(s, row, segment);
  if (!segment.sees_read) seen.read = 0;
  return seen;
}

// The keys of the first `n` tokens that are no padding; returns how many they are.
int64_t list_tokens(const RecurrentSizes& s, const float* padding, int64_t n, int64_t* list) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i)
    if (padding[i] == 0.0f) list[count++] = s.kept + 1 + s.memory + i;
  std::fill(list + count, list + s.tokens, 0);
  return count;
}

// Outputs: kept, read, tokens, write, turn (, token_list).
void sight_row(const SightParams& p, const perdure_call& call, int64_t r) {
  const RecurrentSizes& s = p.sizes;
  const perdure_row& row = call.step->rows[r];
  const Segment segment(s, call, r, 0);
  const Seen seen = seen_by(s, *call.step, row, segment);
  const auto put = [&](uint32_t output, int64_t first, int64_t count, int64_t shift) {
    int64_t* range = kernels::row_of<int64_t>(call.outputs[output], r);
    range[0] = first;
    range[1] = first + count;
    range[2] = shift;
  };
  const int64_t first = s.kept - segment.n_kept, tokens = s.kept + 1 + s.memory;
  const int64_t token_shift = 1 + segment.n_kept - tokens;
  put(0, first, seen.kept, -first);
  put(1, s.kept + 1, seen.read, 0);
  put(2, tokens, seen.tokens, token_shift);
  put(3, tokens + seen.all_tokens, seen.write, 0);
  const bool turns = row.role == PERDURE_ROLE_TOKEN;
  *kernels::row_of<int64_t>(call.outputs[4], r) =
      turns ? 1 + segment.n_kept + row.segment_index : s.turns - 1;
  if (!p.padding) return;
  const float* padding = kernels::state_row(kernels::state_at(call, r, call.inputs[2]), 0);
  put(2, 0, list_tokens(s, padding, seen.tokens, kernels::row_of<int64_t>(call.outputs[5], r)),
      token_shift);
}

// Where every row sees every row, a step has all of a segment: its first row, its last, and so all
// between.
bool is_whole(const RecurrentSizes& s, const perdure_step& step, const perdure_session& session) {
  const perdure_row& first = step.rows[session.first_row];
  const perdure_row& last = step.rows[session.first_row + session.n_rows - 1];
  return first.role == kReadRole && first.index == 0 && last.role == kWriteRole &&
         last.index == s.memory - 1;
}

int run_sight(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const SightParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const perdure_session& session = call->step->sessions[call->step->rows[r].session];
    if (p.sizes.mask == Mask::kAll && !is_whole(p.sizes, *call->step, session))
      return PERDURE_FAILED;
    sight_row(p, *call, r);
  }
  return PERDURE_OK;
}

// --- recurrent_keep: segment_tokens, memory_use, kept_rows, the rows. ---

struct KeepParams {
  RecurrentSizes sizes;
};

int prepare_end(const perdure_node* node, void* params) {
  if (node->n_inputs < 2 || node->n_outputs != 0 ||
      !kernels::is_rows(node->inputs[0], PERDURE_I64) ||
      !std::all_of(node->inputs + 1, node->inputs + node->n_inputs, kernels::is_state))
    return PERDURE_DECLINED;
  *static_cast<KeepParams*>(params) = {sizes_of(node)};
  return PERDURE_OK;
}

// The slots of a segment that has ended: the null key and its elements.
struct Slots {
  int64_t n_tokens, n_read;

  Slots(const RecurrentSizes& s, const perdure_call& call, int64_t row, const Segment& segment)
      : n_tokens(std::min(*kernels::row_of<int64_t>(call.inputs[0], row), s.tokens)),
        n_read(segment.has_read ? s.memory : 0) {}

  int64_t count(const RecurrentSizes& s) const { return 1 + n_read + n_tokens + s.memory; }
  // Rows of memory in front have their place even where they are no elements.
  int64_t state_row_of(const RecurrentSizes& s, int64_t slot) const {
    return s.kept + slot + (slot > n_read ? s.memory - n_read : 0);
  }
};

void keep_row(const KeepParams& p, const perdure_call& call, int64_t row) {
  const RecurrentSizes& s = p.sizes;
  const Slots slots(s, call, row, Segment(s, call, row, 1));
  const perdure_state_view& rows = kernels::state_at(call, row, call.inputs[3]);
  const int64_t n = std::min(s.kept, slots.count(s));
  const int64_t first = slots.count(s) - n;
  for (int64_t i = 0; i < n; ++i)
    memcpy(kernels::state_row(rows, s.kept - n + i),
           kernels::state_row(rows, slots.state_row_of(s, first + i)),
           static_cast<size_t>(rows.row_bytes));
}

// --- recurrent_close: segment_tokens, memory_use, kept_rows. ---

void close_row(const KeepParams& p, const perdure_call& call, int64_t row) {
  const RecurrentSizes& s = p.sizes;
  const Slots slots(s, call, row, Segment(s, call, row, 1));
  const auto value = [&](uint32_t input) {
    return kernels::state_row(kernels::state_at(call, row, call.inputs[input]), 0);
  };
  *value(1) = kMemory;
  *value(2) = static_cast<float>(std::min(s.kept, slots.count(s)));
}

// --- recurrent_clear: segment_tokens, padding. ---

void clear_row(const KeepParams& p, const perdure_call& call, int64_t row) {
  float* padding = kernels::state_row(kernels::state_at(call, row, call.inputs[1]), 0);
  std::fill(padding, padding + p.sizes.tokens, 0.0f);
}

// --- Lists. ---

using kernels::make_row_kernel;

constexpr perdure_kernel kKernels[] = {
    kernels::make_kernel<SightParams>("recurrent_sight_scalar", "recurrent_sight", prepare_sight,
                                      kernels::divide_step_rows, run_sight, kAttributes),
    make_row_kernel<KeepParams, keep_row>("recurrent_keep_f32_scalar", "recurrent_keep",
                                          prepare_end, kAttributes),
    make_row_kernel<KeepParams, close_row>("recurrent_close_scalar", "recurrent_close", prepare_end,
                                           kAttributes),
    make_row_kernel<KeepParams, clear_row>("recurrent_clear_scalar", "recurrent_clear", prepare_end,
                                           kAttributes),
};

using shape_rules::Types;

bool is_state(const ValueType& t, int64_t rows, int64_t columns) {
  return t.kind == ValueKind::kState && t.rows == rows && t.columns == columns;
}

Types sight_types(const Types& in, const Attributes& a) {
  const int64_t tokens = shape_rules::integer(a, "tokens");
  const bool fits = (in.size() == 2 || in.size() == 3) && is_state(in[0], 1, 1) &&
                    is_state(in[1], 1, 1) && (in.size() == 2 || is_state(in[2], 1, tokens));
  shape_rules::require(fits, "recurrent_sight",
                       "states [1, 1] and [1, 1], and perhaps [1, tokens]");
  const auto rows = [](int64_t columns) {
    return ValueType{.kind = ValueKind::kRows, .dtype = PERDURE_I64, .rows = 0, .columns = columns};
  };
  Types all{rows(3), rows(3), rows(3), rows(3), rows(1)};
  if (in.size() == 3) all.push_back(rows(tokens));
  return all;
}

Types end_types(const Types& in, const Attributes&) {
  const bool fits = !in.empty() && in[0].kind == ValueKind::kRows && in[0].dtype == PERDURE_I64;
  shape_rules::require(fits, "recurrent_keep", "segment_tokens [rows, 1] and states");
  return {};
}

}  // namespace

Sight recurrent_sight(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states) {
  std::vector<Value> in{states.memory_use, states.kept_rows};
  if (states.padding.valid()) in.push_back(states.padding);
  const auto all = g.apply_all("recurrent_sight", in, attributes_of(sizes));
  Sight sight{.kept = all[0], .read = all[1], .tokens = all[2], .write = all[3], .turn = all[4]};
  if (states.padding.valid()) sight.token_list = all[5];
  return sight;
}

void recurrent_keep(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states,
                    Value rows_state) {
  g.apply("recurrent_keep",
          {op::segment_tokens(g), states.memory_use, states.kept_rows, rows_state},
          attributes_of(sizes));
}

void recurrent_close(GraphBuilder& g, const RecurrentSizes& sizes, const RecurrentStates& states) {
  const Value tokens = op::segment_tokens(g);
  g.apply("recurrent_close", {tokens, states.memory_use, states.kept_rows}, attributes_of(sizes));
  if (states.padding.valid())
    g.apply("recurrent_clear", {tokens, states.padding}, attributes_of(sizes));
}

std::vector<Operation> recurrent_sight_operations() {
  constexpr auto kSession = OperationKind::kPerSession;
  return {{"recurrent_sight", kSession, sight_types},
          {"recurrent_keep", kSession, end_types, {3}},
          {"recurrent_close", kSession, end_types, {1, 2}},
          {"recurrent_clear", kSession, end_types, {1}}};
}

std::span<const perdure_kernel> recurrent_sight_kernels() { return kKernels; }

}  // namespace perdure
