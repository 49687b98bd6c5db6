// SPDX-License-Identifier: Apache-2.0

// Test-only: a window of keys in a ring, right or with one fault, chosen by the option `fault`. The
// checked mode has to find each; without it most give plausible numbers.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

// The values of `attention.fault`; the first is none.
inline constexpr const char* kFaults[] = {"none",      "looks_ahead", "before_start",
                                          "lost_rows", "unwritten",   "not_a_number"};

// The plugin attention.faulty_proof.
StaticPlugin faulty_proof_plugin();

}  // namespace perdure::testing
