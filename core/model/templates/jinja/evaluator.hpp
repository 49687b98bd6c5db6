// SPDX-License-Identifier: Apache-2.0

// Runs a template's tree.
#pragma once

#include "core/model/templates/jinja/syntax.hpp"

namespace perdure::jinja {

// The text that `nodes` write where `globals` is a map of what is known. Errors: UsageError naming
// the line of what fails.
MarkedText evaluate_nodes(Run& run, const Nodes& nodes, const Map& globals);
// An expression that knows nothing but functions.
Value evaluate_alone(Run& run, const Expression& expression);

}  // namespace perdure::jinja
