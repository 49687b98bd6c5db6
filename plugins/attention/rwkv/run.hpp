// SPDX-License-Identifier: Apache-2.0

// The functions of the kernels: one set for every instruction set, and the table that the objects
// of an instruction set give to baseline code.
#pragma once

#include "plugins/attention/rwkv/node.hpp"

namespace perdure::rwkv {

// The norm by which a head's keys are divided is at least this.
constexpr float kLeastNorm = 1e-12f;

using Run = int (*)(const perdure_call*, int64_t begin, int64_t end, void* scratch);

struct RunTable {
  Run token_shift, lerp, wkv4, wkv5, wkv7, wkv7_keys, wkv7_bonus, row_groups;
};

namespace scalar {
int run_token_shift(const perdure_call*, int64_t, int64_t, void*);
int run_lerp(const perdure_call*, int64_t, int64_t, void*);
int run_wkv4(const perdure_call*, int64_t, int64_t, void*);
int run_wkv5(const perdure_call*, int64_t, int64_t, void*);
int run_wkv7(const perdure_call*, int64_t, int64_t, void*);  // scratch: a head's floats
int run_wkv7_keys(const perdure_call*, int64_t, int64_t, void*);
int run_wkv7_bonus(const perdure_call*, int64_t, int64_t, void*);
int run_row_groups(const perdure_call*, int64_t, int64_t, void*);  // scratch: a float per head
}  // namespace scalar

namespace avx2 {
extern const RunTable kTable;
}
namespace avx512 {
extern const RunTable kTable;
}

}  // namespace perdure::rwkv
