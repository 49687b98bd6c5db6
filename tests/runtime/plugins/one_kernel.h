// SPDX-License-Identifier: Apache-2.0

// The smallest kernel that the host lets in; it declines every node. Test plugins spoil parts of
// it.
#pragma once

#include "core/api/kernel.h"
#include "core/api/plugin.h"

static inline int decline(const perdure_node* node, void* params) {
  (void)node, (void)params;
  return PERDURE_DECLINED;
}

static inline void divide_nothing(const perdure_call* call, perdure_work* work) {
  (void)call;
  work->n_items = 0;
  work->min_items = 1;
}

static inline int run_nothing(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  (void)call, (void)begin, (void)end, (void)scratch;
  return PERDURE_OK;
}

#define ONE_KERNEL(name_, op_)                                                            \
  {sizeof(perdure_kernel), name_,      op_, "scalar", 0, 0, 0, decline, NULL, NULL, NULL, \
   divide_nothing,         run_nothing}
