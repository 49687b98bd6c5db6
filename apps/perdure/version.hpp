// SPDX-License-Identifier: Apache-2.0

// What was built, and from what: the answer to --version.
#pragma once

#include <string>

namespace perdure::app {

// "0.1.0 (commit 5eb6a8b)".
std::string version_and_commit();

// Version, commit, compiler, instruction sets of kernels and of this machine; three lines.
std::string version_text();
// The same for scripts: one line of JSON.
std::string version_json();

}  // namespace perdure::app
