// SPDX-License-Identifier: Apache-2.0

// How Q80 weights are packed for products with Q80 rows. Sixteen columns of the result (rows of the
// weight) make a panel; a panel holds its groups one after the other, a group its values four by
// four of k, sixteen columns side by side, and then the sixteen scales. Groups are filled up with
// zeros to a multiple of four, the last panel to sixteen.
#pragma once

#include "plugins/kernels/common/node.hpp"

namespace perdure::simd {

constexpr int64_t kPanelColumns = 16;
constexpr int64_t kStagedRows =
    96;  // rows that a kernel takes through its range of weights together

struct Q80Layout {
  int64_t n_groups;     // per row
  int64_t quads;        // per group: four values of k of every column
  int64_t group_bytes;  // quads * 64 + 64
  int64_t panel_bytes;
};

static inline Q80Layout q80_layout(int64_t k, int64_t group) {
  const int64_t n_groups = k / group;
  const int64_t quads = (group + 3) / 4;
  const int64_t group_bytes = (quads + 1) * 4 * kPanelColumns;
  return {n_groups, quads, group_bytes, n_groups * group_bytes};
}

static inline int64_t q80_panels(int64_t n) { return (n + kPanelColumns - 1) / kPanelColumns; }

// Bytes of a row of activations after its groups were filled up.
static inline int64_t q80_staged_bytes(const Q80Layout& layout) {
  return layout.n_groups * layout.quads * 4;
}

// Scratch: the staged rows, and for each of their groups 128 times its sum.
static inline int64_t q80_scratch_bytes(const Q80Layout& layout) {
  return kStagedRows * (q80_staged_bytes(layout) + layout.n_groups * 4);
}

}  // namespace perdure::simd
