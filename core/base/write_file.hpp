// SPDX-License-Identifier: Apache-2.0

// Writing whole files so that a crash leaves the old contents or the new, never a part.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace perdure {

// Writes beside the path, syncs, renames over it and syncs the folder. A new file has mode 0600.
// Errors: Error naming the path; what was there before then stays, unless only the last step,
// syncing the folder, failed: then the new contents are there but may not outlive a power cut.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace perdure
