// SPDX-License-Identifier: Apache-2.0

// States a plugin but exports no entry function.
#include "tests/runtime/plugins/one_kernel.h"

__attribute__((section(".note.perdure"), used,
               aligned(4))) static const perdure_plugin_note note = {
    sizeof(PERDURE_PLUGIN_NOTE_NAME),
    sizeof(perdure_plugin_statement),
    PERDURE_PLUGIN_NOTE_TYPE,
    PERDURE_PLUGIN_NOTE_NAME,
    {sizeof(perdure_plugin_statement), PERDURE_PLUGIN_ABI, 0, "kernels", "missing_entry",
     "perdure_entry_that_is_not_there", ""}};

static const perdure_kernel kernel = ONE_KERNEL("test_op_f32_scalar", "test_op");
const perdure_kernel* missing_entry_kernel(void) { return &kernel; }
