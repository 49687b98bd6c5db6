// SPDX-License-Identifier: Apache-2.0

// Python's literals of strings and bytes, as vocabulary files hold them.
#pragma once

#include <string>
#include <string_view>

namespace perdure {

// Appends to `bytes` what a literal '...', "...", b'...' or b"..." stands for, text as UTF-8.
// Errors: Error with a clause that says what is wrong ("the escape '\q' is unknown").
void append_python_literal(std::string_view literal, std::string& bytes);

// The same for the text between the quotes of a literal of bytes, of either kind.
void append_escaped_bytes(std::string_view escaped, std::string& bytes);

}  // namespace perdure
