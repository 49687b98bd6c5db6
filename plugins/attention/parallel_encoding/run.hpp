// SPDX-License-Identifier: Apache-2.0

// What `prepare` (absorb.cpp) and the kernels of all instruction sets share. Everything here is
// `static`: this header is also compiled for instruction sets of which no function may reach the
// rest of the program.
#pragma once

#include <stdint.h>

#include "sdk/kernel.hpp"

namespace perdure::absorb {

using namespace kernels;

constexpr int64_t kRowsOfItem = 8;

struct Params {
  int64_t n_heads, heads_per_kv, head_size, width;
};

using Run = int (*)(const perdure_call*, int64_t begin, int64_t end, void* scratch);

namespace scalar {
int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch);
}
namespace avx2 {
int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch);
}
namespace avx512 {
int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch);
}

}  // namespace perdure::absorb
