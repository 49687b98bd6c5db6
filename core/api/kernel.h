// SPDX-License-Identifier: Apache-2.0

// The C ABI of kernels. A kernel computes one operation for some element types on some instruction
// set. The host asks it once, when a plan is compiled, whether it takes a node; afterwards it is
// called for ranges of the node's items, by several threads at once. A kernel starts no threads,
// allocates nothing, throws nothing and keeps no state of its own. Compiles as C11 and as C++.
//
// How it grows without a new ABI number: structures that begin with `struct_size` get new fields at
// their end. The host reads a kernel table as far as both sides know it; fields that an older
// plugin lacks count as zero. A plugin reads a field of perdure_node, perdure_call or perdure_step
// that is newer than this header's ABI number only if `struct_size` covers it. Structures that
// stand in arrays and have no `struct_size` keep their size; what is added to them later comes as
// an array of its own beside them.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/api/types.h"

#define PERDURE_KERNEL_ABI 3u

enum perdure_status {
  PERDURE_OK = 0,
  PERDURE_DECLINED = 1,  // of `prepare`: this node is somebody else's
  PERDURE_FAILED = 2     // of `pack` and `run`: what had to be computed could not be
};

// How a row came into a step: an ordinary token row, or one of the extra rows a strategy asked for
// (1, 2, ...).
enum { PERDURE_ROLE_TOKEN = 0 };

// One row of a step.
typedef struct perdure_row {
  int64_t position;  // 0-based position in its session; extra rows carry the position of the next
                     // token row; rows of an input stream and of a whole window count from 0 in
                     // their chunk or window
  int64_t index;     // source 0: the token id; otherwise the row of the named source tensor
  int32_t source;    // 0 = the token embedding, k = the k-th extra source of `row_input`
  int32_t role;      // PERDURE_ROLE_TOKEN or the role of an extra row
  int32_t session;   // index into perdure_step.sessions
  int64_t stream_index;  // 0-based number of a token among all that its session was given on the
                         // same stream: on the text its position, on an input stream earlier
                         // chunks counted
  // Its segment. A strategy without segments has one, the whole text; 0 on input streams.
  int64_t segment_index;   // its place: its position less that of the segment's first token
  int64_t segment_number;  // segments of its session before this one
  int64_t segment_tokens;  // tokens of the segment up to this row, itself included
} perdure_row;

// A session's state tensor: rows of `row_bytes`, addressed by logical index. Logical row j lies at
// the physical row
// j                                              if j < ring_first or ring_rows == 0,
// ring_first + (j - ring_first) % ring_rows      otherwise.
typedef struct perdure_state_view {
  char* data;
  int64_t row_bytes;
  int64_t n_rows;  // physical rows that may be touched in this step
  int64_t ring_first;
  int64_t ring_rows;  // 0 = no ring
  int64_t live_rows;  // of a state that grows with an input stream: rows written so far; else 0
  // How rows are stored: the same for every session, and stated by the node's input. F32 now, the
  // other fields 0; reserved for states of other types.
  uint32_t dtype;  // enum perdure_dtype
  uint32_t reserved;
  int64_t group_size;  // Q80 only
  void* scales;        // Q80 only: those of physical row 0, rows one after the other
  int64_t* count;      // of a counted state: its live rows, at most n_rows; the kernel of a
                       // per-session operation that writes the state may set it. Else NULL
} perdure_state_view;

// The rows of one session in a step, or of one chunk of its input stream. They are contiguous:
// first_row .. first_row + n_rows - 1.
typedef struct perdure_session {
  int64_t first_row;
  int64_t n_rows;
  const perdure_state_view* states;  // indexed by the state number of a node's input
} perdure_session;

// A ragged batch of rows of one or many sessions.
typedef struct perdure_step {
  uint32_t struct_size;
  int64_t n_rows;
  const perdure_row* rows;
  int64_t n_outputs;           // rows that asked for logits
  const int64_t* output_rows;  // their indices, ascending
  int64_t n_sessions;
  const perdure_session* sessions;
  // Reserved for devices: where the tables of the step lie (0 = host memory), and the queue or
  // stream that the step is computed on (NULL = none).
  int32_t device;
  void* queue;
} perdure_step;

// What a node's input or output is.
enum perdure_value_kind {
  PERDURE_VALUE_ROWS = 0,      // leading dimension: rows of the step
  PERDURE_VALUE_OUTPUTS = 1,   // leading dimension: rows that asked for logits
  PERDURE_VALUE_CONSTANT = 2,  // a weight or a constant; data is readable from `prepare` on
  PERDURE_VALUE_STATE = 3      // a state tensor of each session; see perdure_session.states
};

typedef struct perdure_value {
  uint32_t kind;   // enum perdure_value_kind
  uint32_t state;  // PERDURE_VALUE_STATE: index into perdure_session.states
  // shape[0] of rows and outputs is the plan's largest count; of states the logical row count or 0.
  perdure_tensor tensor;
} perdure_value;

enum perdure_attribute_type {
  PERDURE_ATTRIBUTE_INT = 0,
  PERDURE_ATTRIBUTE_REAL = 1,
  PERDURE_ATTRIBUTE_STRING = 2,
  PERDURE_ATTRIBUTE_INTS = 3,
  PERDURE_ATTRIBUTE_REALS = 4
};

// A named attribute. What does not belong to its type is 0 or NULL, except that integers fill `f`
// (converted) as well.
typedef struct perdure_attribute {
  const char* name;
  uint32_t type;  // enum perdure_attribute_type
  uint32_t n;     // INTS, REALS: how many
  int64_t i;
  double f;
  const char* string;
  const int64_t* ints;
  const double* reals;
} perdure_attribute;

// A node as a kernel sees it when a plan is compiled. Borrowed for the call.
typedef struct perdure_node {
  uint32_t struct_size;
  const char* op;
  uint32_t n_inputs;
  const perdure_value* inputs;
  uint32_t n_outputs;  // 0: the operation only writes state
  const perdure_value* outputs;
  uint32_t n_attributes;
  const perdure_attribute* attributes;
  int64_t max_rows;     // the most rows a step of this plan has
  const void* context;  // perdure_kernel.context of the kernel that is asked
  int32_t device;       // reserved for devices: where the node is computed; 0 = host
} perdure_node;

// How the work of a node divides in one step.
typedef struct perdure_work {
  // The kernel is called for disjoint ranges that cover 0 .. n_items - 1; none if it is 0. At least
  // 0 and at most what perdure_kernel.items allows.
  int64_t n_items;
  // The smallest range worth a call of its own, >= 1; ranges start at multiples of it.
  int64_t min_items;
} perdure_work;

// What an item is, which bounds perdure_work.n_items. The measure is the node's first output or,
// where it has none, its first input; [m, n] being its shape in the step: m the rows of the step,
// or those that asked for logits, n its columns.
enum perdure_items {
  PERDURE_ITEMS_ROWS = 0,     // at most m
  PERDURE_ITEMS_COLUMNS = 1,  // at most n
  PERDURE_ITEMS_ELEMENTS = 2  // at most m * n: parts of rows, heads, ...
};

typedef struct perdure_call {
  uint32_t struct_size;
  const void* params;  // what `prepare` wrote
  uint32_t n_inputs;
  const perdure_value* inputs;  // row values: data of this step
  const void* const* packed;    // per input: the packed weight, or NULL
  const perdure_value* outputs;
  const perdure_step* step;
  const void* context;  // perdure_kernel.context
  int32_t device;       // reserved for devices, as in perdure_step
  void* queue;
} perdure_call;

// The most ranges of keys of one `attend` node.
enum { PERDURE_MAX_KEY_RANGES = 64 };

enum perdure_kernel_flag {
  // A row's bits may depend on the rows beside it, on the cut of the items or on the run. Such a
  // kernel is used only under `kernels.reproducible: false`.
  PERDURE_KERNEL_NOT_REPRODUCIBLE = 1
};

typedef struct perdure_kernel {
  uint32_t struct_size;
  const char* name;       // <op>_<type>_<isa>, e.g. "mat_mul_q80_avx512vnni"
  const char* op;         // the operation it serves
  const char* isa;        // "scalar", "avx2", "avx512", "avx512vnni", ...
  uint64_t cpu_features;  // all of enum perdure_cpu_feature it needs
  int32_t rank;           // among kernels of one plugin that take a node the highest rank wins

  // Bytes of the parameter block that `prepare` fills.
  size_t params_bytes;
  // Looks at types, shapes and attributes; writes what `run` needs to know to `params` (zeroed,
  // 16-byte aligned). Anything but PERDURE_OK: the host tries the next kernel. Must look at
  // whatever the kernel relies on: row strides, for instance, are those of views.
  int (*prepare)(const perdure_node* node, void* params);
  // Scratch bytes that one participant needs, 64-byte aligned. NULL: none.
  size_t (*scratch_bytes)(const perdure_node* node, const void* params);
  // A weight layout of its own: bytes for input `input` (0 = not packed), and the packing itself.
  // The host owns the result, 64-byte aligned, and may share it between nodes of one kernel that
  // have the same tensor at this input and the same parameter block. NULL: none.
  size_t (*packed_bytes)(const perdure_node* node, const void* params, uint32_t input);
  // PERDURE_OK, or the plan is not compiled.
  int (*pack)(const perdure_node* node, const void* params, uint32_t input, void* packed);
  // How the work of this step divides. Must not depend on the number of threads.
  void (*divide)(const perdure_call* call, perdure_work* work);
  // Computes items begin .. end - 1. Without PERDURE_KERNEL_NOT_REPRODUCIBLE a row's result must
  // not depend on how items are cut nor on other rows. PERDURE_OK; anything else ends the step, and
  // the sessions in it are lost until they are restored.
  int (*run)(const perdure_call* call, int64_t begin, int64_t end, void* scratch);

  // From here on a kernel may leave everything 0.
  uint32_t flags;  // of enum perdure_kernel_flag
  uint32_t items;  // enum perdure_items: the most that `divide` gives
  // The attributes it understands, ended by NULL; NULL: none. A node that has another attribute is
  // never offered to it.
  const char* const* attributes;
  // Handed back to it in perdure_node and perdure_call.
  const void* context;
} perdure_kernel;

// The shortest perdure_kernel of this ABI.
#define PERDURE_KERNEL_MIN_SIZE offsetof(perdure_kernel, flags)

// What the entry function of a kernel plugin returns. All kernels have one struct_size.
typedef struct perdure_kernel_plugin {
  uint32_t struct_size;
  uint32_t abi;  // PERDURE_KERNEL_ABI
  uint32_t n_kernels;
  const perdure_kernel* kernels;
} perdure_kernel_plugin;

// The attribute called `name`, or NULL. For `prepare`; never for `run`.
static inline const perdure_attribute* perdure_find_attribute(const perdure_node* node,
                                                              const char* name) {
  for (uint32_t i = 0; i < node->n_attributes; ++i)
    if (strcmp(node->attributes[i].name, name) == 0) return &node->attributes[i];
  return NULL;
}

static inline int64_t perdure_attribute_int(const perdure_node* node, const char* name,
                                            int64_t otherwise) {
  const perdure_attribute* a = perdure_find_attribute(node, name);
  return a ? a->i : otherwise;
}

static inline double perdure_attribute_real(const perdure_node* node, const char* name,
                                            double otherwise) {
  const perdure_attribute* a = perdure_find_attribute(node, name);
  return a ? a->f : otherwise;
}

// Element `index` of a list of integers.
static inline int64_t perdure_attribute_int_at(const perdure_node* node, const char* name,
                                               uint32_t index, int64_t otherwise) {
  const perdure_attribute* a = perdure_find_attribute(node, name);
  return a && a->ints && index < a->n ? a->ints[index] : otherwise;
}

// The address of logical row `index` of a state tensor. Requires: 0 <= index and the physical row <
// view->n_rows.
static inline char* perdure_state_row(const perdure_state_view* view, int64_t index) {
  if (view->ring_rows != 0 && index >= view->ring_first)
    index = view->ring_first + (index - view->ring_first) % view->ring_rows;
  return view->data + index * view->row_bytes;
}
