// SPDX-License-Identifier: Apache-2.0

// Test-only: a window of keys in a ring, right or with one fault, chosen by the option `fault`. The
// checked mode has to find each; without it most give plausible numbers.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

// The values of `attention.fault`; the first is none.
inline constexpr const char* kFaults[] = {"none",      "looks_ahead", "before_start",
                                          "lost_rows", "unwritten",   "not_a_number"};

// More of them: each reaches rows that are nowhere, and what the error says of it. Every mode has
// to stop them, the last ones the checked mode only.
struct ReachingFault {
  const char* name;
  const char* said;
  bool checked_only = false;
};
inline constexpr ReachingFault kReachingFaults[] = {
    {"write_beyond", "writes row 1099511627776 of a state of 4 rows"},
    {"write_before", "writes row -5 of a state of 4 rows"},
    {"read_beyond", "reads row 4 of a state of 4 rows"},
    {"key_before", "reads row -5 of a state of"},
    {"weighed_key_before", "reads row -5 of a state of"},
    {"key_beyond_step", "reads row 1099511627776 of the"},
    {"place_beyond", "reads places 0 to 3 of a list of 2 keys"},
    {"range_before", "reads rows -5 to 1 of a state of"},
    {"long_range", "reads rows 0 to 1000000000 of a state of"},
    {"long_step_range", "reads rows 0 to 1000000000 of the"},
    {"shift_beyond", "with the shift 1099511627776, but there are angles for 64 places"},
    {"shift_before", "with the shift -1099511627776, but there are angles for 64 places"},
    {"block_beyond", "with the shift 1099511627776, but there are angles for 64 places"},
    {"set_beyond", "reads row 2 of a table of 2 rows"},
    {"lookup_beyond", "reads row 3 of a table of 3 rows", true},
    {"lookup_before", "reads row -5 of a table of 3 rows", true}};

// The plugin attention.faulty_proof.
StaticPlugin faulty_proof_plugin();

}  // namespace perdure::testing
