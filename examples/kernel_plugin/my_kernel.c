// SPDX-License-Identifier: Apache-2.0

// A kernel plugin in one file, meant to be copied: the operation rms_norm for F32 rows. It needs
// the headers of core/api and nothing else; docs/plugins.md walks through it.
#include <math.h>

#include "core/api/kernel.h"
#include "core/api/plugin.h"

// What `run` has to know of a node. The host keeps one for every node that this kernel takes.
typedef struct {
  int64_t n;      // columns of a row
  int64_t group;  // the mean is over so many of them at a time
  float eps;
  int of_outputs;  // the rows are those that asked for logits
} Params;

// Called once per node, when a plan is compiled. Whatever is declined goes to the next kernel.
static int prepare(const perdure_node* node, void* params) {
  Params* p = params;
  const perdure_value* x = &node->inputs[0];
  if (x->tensor.dtype != PERDURE_F32) return PERDURE_DECLINED;
  if (node->n_inputs == 2 && node->inputs[1].tensor.dtype != PERDURE_F32) return PERDURE_DECLINED;
  p->n = x->tensor.shape[1];
  p->group = perdure_attribute_int(node, "group", 0);
  if (p->group == 0) p->group = p->n;
  p->eps = (float)perdure_attribute_real(node, "eps", 1e-5);
  p->of_outputs = x->kind == PERDURE_VALUE_OUTPUTS;
  return PERDURE_OK;
}

// One item is one row. Several threads call `run` at once, each for a range of items of its own.
static void divide(const perdure_call* call, perdure_work* work) {
  const Params* p = call->params;
  work->n_items = p->of_outputs ? call->step->n_outputs : call->step->n_rows;
  work->min_items = 1;
}

// y = w * x / sqrt(mean(x^2) + eps) for `n` values. Weights of a mapped file may be unaligned.
static void norm(const float* x, const char* weight, int64_t n, float eps, float* y) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / sqrtf(sum / (float)n + eps);
  for (int64_t i = 0; i < n; ++i) {
    float w = 1.0f;
    if (weight) memcpy(&w, weight + (size_t)i * sizeof w, sizeof w);
    y[i] = w * (scale * x[i]);
  }
}

static int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  (void)scratch;
  const Params* p = call->params;
  const perdure_tensor* x = &call->inputs[0].tensor;
  const perdure_tensor* y = &call->outputs[0].tensor;
  const char* weight = call->n_inputs == 2 ? call->inputs[1].tensor.data : NULL;
  for (int64_t row = begin; row < end; ++row) {
    const float* from = (const float*)((const char*)x->data + row * x->row_stride_bytes);
    float* to = (float*)((char*)y->data + row * y->row_stride_bytes);
    for (int64_t i = 0; i < p->n; i += p->group)
      norm(from + i, weight ? weight + (size_t)i * sizeof(float) : NULL, p->group, p->eps, to + i);
  }
  return PERDURE_OK;
}

// A node with an attribute that is not in this list is not offered: a later version of the
// operation may mean something else by it.
static const char* const attributes[] = {"group", "eps", NULL};

static const perdure_kernel kernels[] = {{
    .struct_size = sizeof(perdure_kernel),
    .name = "rms_norm_f32_mine",
    .op = "rms_norm",
    .isa = "mine",
    .params_bytes = sizeof(Params),
    .prepare = prepare,
    .divide = divide,
    .run = run,
    .items = PERDURE_ITEMS_ROWS,
    .attributes = attributes,
}};

static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, kernels};

PERDURE_PLUGIN(kernels, mine, 0) { return &plugin; }
