// SPDX-License-Identifier: Apache-2.0

// Names and texts from files that are not trusted, for messages: always one line, with the codes
// of escape.hpp.
#pragma once

#include <string>
#include <string_view>

namespace perdure {

// New lines and tabs are shown as codes too; what is longer than 80 bytes is cut, with "...".
std::string shown_name(std::string_view name);

}  // namespace perdure
