// SPDX-License-Identifier: Apache-2.0

// Kernel tables as plugins hand them over, read as far as both sides know their structures, and
// checked before anything is called. For the plugin host and for the kernels that strategies bring.
#pragma once

#include <vector>

#include "core/api/kernel.h"

namespace perdure {

// The kernels of a plugin, each in this program's form: fields that the plugin's are too short for
// are zero. `plugin`: what the entry function returned, may be null.
// Errors: Error that says what is wrong and how to put it right; the caller names the plugin.
std::vector<perdure_kernel> read_kernel_table(const perdure_kernel_plugin* plugin);

// The same for `n` kernels that lie one after the other. Requires: kernels is not null or n is 0.
std::vector<perdure_kernel> read_kernels(const perdure_kernel* kernels, size_t n);

}  // namespace perdure
