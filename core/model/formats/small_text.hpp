// SPDX-License-Identifier: Apache-2.0

// The JSON files that stand beside weights.
#pragma once

#include <string>

namespace perdure {

// The text of a file of at most 256 KiB: its tree may use a hundred times as much memory.
// Errors: Error with the path if it is larger, cannot be read, or is another file in its place
// (foreign_file.hpp).
std::string read_small_text(const std::string& path);

}  // namespace perdure
