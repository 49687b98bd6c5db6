// SPDX-License-Identifier: Apache-2.0

// A template's tags from tokens.
#pragma once

#include <string_view>

#include "core/model/templates/jinja/syntax.hpp"

namespace perdure::jinja {

// Stands for the text of a set block in the filters behind its name; no name of a template.
inline constexpr std::string_view kBlockText = "{block}";

// `name` stands for the template in messages. Errors: UsageError naming the line of what is wrong
// or not supported, one sentence.
Nodes parse_template(std::string_view source, std::string_view name);

}  // namespace perdure::jinja
