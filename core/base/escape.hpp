// SPDX-License-Identifier: Apache-2.0

// The one way in which characters that a terminal would obey are shown.
#pragma once

#include <string>
#include <string_view>

namespace perdure {

// `text` with control characters (except new lines and tabs) and bytes that are not UTF-8 as
// "\x1b", and characters that change the direction of text as "\u202e". Requires: whole characters.
// Pure.
std::string escaped(std::string_view text);

}  // namespace perdure
