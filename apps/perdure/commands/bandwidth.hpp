// SPDX-License-Identifier: Apache-2.0

// What this machine's memory gives, measured: the limit that decoding is compared with.
#pragma once

namespace perdure::app {

// Bytes per second that `n_threads` threads (0: as many as the CPU has) read together from memory
// that no cache holds; the best of a few passes. Takes 256 MiB for the time of the call. Errors:
// Error if there is not so much.
double measure_bandwidth(int n_threads);

}  // namespace perdure::app
