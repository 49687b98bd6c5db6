// SPDX-License-Identifier: Apache-2.0

// Counts what this process takes from the heap and from the operating system, on all threads and in
// all libraries: malloc and its relatives (operator new ends in malloc), mmap and mremap.
#pragma once

#include <cstdint>

namespace perdure::testing {

// Begins to count from zero.
void count_allocations();
// Stops counting and returns how many there were.
int64_t stop_counting();

}  // namespace perdure::testing
