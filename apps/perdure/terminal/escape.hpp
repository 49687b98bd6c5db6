// SPDX-License-Identifier: Apache-2.0

// Foreign bytes made harmless for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace perdure::app {

// `text` with control characters (but new lines and tabs) and bytes that are no UTF-8 as "\x1b",
// and those that turn the direction of text as "\u202e". Requires: whole characters. Pure.
std::string escaped(std::string_view text);

}  // namespace perdure::app
