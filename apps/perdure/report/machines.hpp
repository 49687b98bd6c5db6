// SPDX-License-Identifier: Apache-2.0

// Where figures of the machine were measured, as sentences.
#pragma once

#include <string>
#include <vector>

#include "core/eval/results.hpp"

namespace perdure::report {

// A line per machine, number of threads and version, in the order of the cells: "AMD EPYC 9B45
// (avx2, fma), 2 threads, load 0.10 to 3.20, 2026-11-27, perdure 0.1.0". Pure.
std::vector<std::string> machine_lines(const Comparison& comparison);

}  // namespace perdure::report
