// SPDX-License-Identifier: Apache-2.0

// A kernel plugin in one file: x / (1 + exp(-x)) for F32 rows. Build it from the root of the tree, load it and prefer it:
//   gcc -O3 -shared -fPIC -I. docs/examples/silu_kernel.c -o libmine.so -lm
//   perdure generate ... --set 'plugins.load=[./libmine.so]' --set 'kernels.prefer=[mine, simd]'
#include <math.h>

#include "core/api/kernel.h"
#include "core/api/plugin.h"

// Takes nodes whose input is F32 rows; the width of a row is all that `run` needs to know.
static int prepare(const perdure_node* node, void* params) {
  const perdure_value* x = &node->inputs[0];
  if (x->kind != PERDURE_VALUE_ROWS || x->tensor.dtype != PERDURE_F32) return PERDURE_DECLINED;
  *(int64_t*)params = x->tensor.shape[1];
  return PERDURE_OK;
}

// One item is one row of the step.
static void divide(const void* params, const perdure_step* step, perdure_work* work) {
  (void)params;
  work->n_items = step->n_rows;
  work->min_items = 1;
}

static void run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  (void)scratch;
  const int64_t n = *(const int64_t*)call->params;
  const float* x = (const float*)call->inputs[0].tensor.data;
  float* y = (float*)call->outputs[0].tensor.data;
  for (int64_t i = begin * n; i < end * n; ++i) y[i] = x[i] / (1.0f + expf(-x[i]));
}

static const perdure_kernel kKernels[] = {{
    .struct_size = sizeof(perdure_kernel),
    .name = "silu_f32_mine",
    .op = "silu",
    .isa = "scalar",
    .params_bytes = sizeof(int64_t),
    .prepare = prepare,
    .divide = divide,
    .run = run,
}};
static const perdure_kernel_plugin kPlugin = {
    .struct_size = sizeof(perdure_kernel_plugin),
    .abi = PERDURE_KERNEL_ABI,
    .n_kernels = 1,
    .kernels = kKernels,
};

PERDURE_PLUGIN(kernels, mine, "", 0) { return &kPlugin; }
