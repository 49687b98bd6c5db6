// SPDX-License-Identifier: Apache-2.0

// The parameter blocks that `prepare` fills (kernels.cpp) and the kernels of all instruction sets
// read, and the tables of those kernels. Everything here is `static`: this header is also compiled
// for instruction sets of which no function may reach the rest of the program.
#pragma once

#include <stdint.h>

#include "sdk/kernel.hpp"

namespace perdure::microrwkv {

using namespace kernels;

struct ShiftParams {
  int64_t n, n_lerps;
};

// Of what works head by head: an item is a part of a session's work.
struct HeadParams {
  int64_t n_heads, head_size;
  int64_t n_parts;  // of a session
  int64_t places;   // of window_attend
};

using Run = int (*)(const perdure_call*, int64_t begin, int64_t end, void* scratch);

struct RunTable {
  Run shift, recur, attend, attend_groups;
};

namespace scalar {
extern const RunTable kTable;
}
namespace avx2 {
extern const RunTable kTable;
}
namespace avx512 {
extern const RunTable kTable;
}

}  // namespace perdure::microrwkv
