// SPDX-License-Identifier: Apache-2.0

// The table of one instruction set.
#include "plugins/attention/rwkv/isa/runs.hpp"

namespace perdure::rwkv::PERDURE_ISA {

const RunTable kTable = {run_token_shift, run_lerp,      run_wkv4,       run_wkv5,
                         run_wkv7,        run_wkv7_keys, run_wkv7_bonus, run_row_groups};

}  // namespace perdure::rwkv::PERDURE_ISA
