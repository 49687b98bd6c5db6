// SPDX-License-Identifier: Apache-2.0

// The functions of one instruction set, as its files define them and its table collects them.
#pragma once

#include "plugins/attention/rwkv/run.hpp"

namespace perdure::rwkv::PERDURE_ISA {

int run_token_shift(const perdure_call*, int64_t, int64_t, void*);
int run_lerp(const perdure_call*, int64_t, int64_t, void*);
int run_wkv4(const perdure_call*, int64_t, int64_t, void*);
int run_wkv5(const perdure_call*, int64_t, int64_t, void*);
int run_wkv7(const perdure_call*, int64_t, int64_t, void*);
int run_wkv7_keys(const perdure_call*, int64_t, int64_t, void*);
int run_wkv7_bonus(const perdure_call*, int64_t, int64_t, void*);
int run_row_groups(const perdure_call*, int64_t, int64_t, void*);

}  // namespace perdure::rwkv::PERDURE_ISA
