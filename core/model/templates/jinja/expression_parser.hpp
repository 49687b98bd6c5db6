// SPDX-License-Identifier: Apache-2.0

// Expressions from tokens, with Jinja's order of operators.
#pragma once

#include "core/model/templates/jinja/syntax.hpp"
#include "core/model/templates/jinja/token_reader.hpp"

namespace perdure::jinja {

// Errors of the following: UsageError naming the line of what is wrong or not supported.

// One with everything: `a if b else c` too.
ExpressionPtr parse_expression(TokenReader& tokens);
// One, or several between commas as a list. Without `conditional`, an `if` behind it is left there.
ExpressionPtr parse_tuple(TokenReader& tokens, bool conditional = true);
// `| filter | filter ...` behind a value, if it is there.
ExpressionPtr parse_filters(TokenReader& tokens, ExpressionPtr value);
ExpressionPtr name_expression(TokenReader& tokens, std::string name);

}  // namespace perdure::jinja
