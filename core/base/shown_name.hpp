// SPDX-License-Identifier: Apache-2.0

// Names and texts of files that nobody vouches for, in messages: one line, however they are
// written.
#pragma once

#include <string>
#include <string_view>

namespace perdure {

// Control characters become '?'; of what is longer than 80 bytes the beginning, and "...".
std::string shown_name(std::string_view name);

}  // namespace perdure
