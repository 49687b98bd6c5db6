// SPDX-License-Identifier: Apache-2.0

// Texts as YAML. For the files of this room that write some.
#pragma once

#include <string>

namespace perdure {

// Plain where every YAML reader takes it for this text, quoted elsewhere. Pure.
std::string dump_text(const std::string& text);
// In double quotes. Pure.
std::string dump_quoted(const std::string& text);

}  // namespace perdure
