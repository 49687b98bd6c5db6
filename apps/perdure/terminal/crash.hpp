// SPDX-License-Identifier: Apache-2.0

// The last words of a program that a plugin ends.
#pragma once

namespace perdure::app {

// From now on: if code of a plugin crashes (SIGSEGV, SIGFPE, SIGILL, SIGABRT), a sentence on
// standard error names the plugin, its file and what it was doing, and the signal takes its course.
// If that code calls exit(), the sentence says so and the exit status is 1. Of other crashes
// nothing is said. Called once, by the main thread.
void explain_crashes();

}  // namespace perdure::app
