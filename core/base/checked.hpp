// SPDX-License-Identifier: Apache-2.0

// Arithmetic on sizes that come from files: every sum and product is checked, so that no wrapped
// size can become a small allocation with a long read.
#pragma once

#include <cstdint>

#include "core/api/error.hpp"

namespace perdure {

// Errors: Error "`what` is too large" on overflow or a negative operand. Pure; any thread.
inline int64_t checked_mul(int64_t a, int64_t b, const char* what) {
  int64_t r = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r))
    throw Error(std::string(what) + " is too large");
  return r;
}

inline int64_t checked_add(int64_t a, int64_t b, const char* what) {
  int64_t r = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r))
    throw Error(std::string(what) + " is too large");
  return r;
}

}  // namespace perdure
