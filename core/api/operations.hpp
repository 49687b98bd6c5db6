// SPDX-License-Identifier: Apache-2.0

// The built-in operations, one inline function each: what it computes, its shapes, its attributes.
// Strategies and architectures call these; `core/graph` holds the shape rules, `plugins/kernels`
// the kernels. In the comments `rows` is the symbolic row dimension, `*` rows or outputs, p a row's
// position, and all arithmetic is F32 unless said otherwise.
#pragma once

#include "core/api/operations/attention.hpp"
#include "core/api/operations/elementwise.hpp"
#include "core/api/operations/norms.hpp"
#include "core/api/operations/positions.hpp"
#include "core/api/operations/rows.hpp"
