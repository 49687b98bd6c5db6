// SPDX-License-Identifier: Apache-2.0

// Whether a file may be run: a user who may change or replace it decides what this process does.
#pragma once

#include <filesystem>

namespace perdure {

// Judges an open file and the folders above `path`, where it lies. Trusted is what belongs to this
// process's user or to root, and may be written to by nobody else; of a folder the same, or one
// whose sticky bit keeps others from renaming what is not theirs.
// Requires: `path` has no symbolic links. Errors: Error, one sentence without the path, that says
// who else may change it and what to do.
void check_trust(int descriptor, const std::filesystem::path& path);

}  // namespace perdure
