// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/jinja_template.hpp"

#include <utility>

#include "core/model/templates/jinja/evaluator.hpp"
#include "core/model/templates/jinja/expression_parser.hpp"
#include "core/model/templates/jinja/template_parser.hpp"

namespace perdure::jinja {

Template::Template(std::string_view source, std::string name)
    : name_(std::move(name)), nodes_(parse_template(source, name_)) {}

MarkedText Template::render(const Value& globals, size_t input_bytes, std::time_t now) const {
  Run run(name_, input_bytes, now);
  return evaluate_nodes(run, nodes_, *map_of(globals));
}

Value evaluate(std::string_view expression, const std::string& name) {
  TokenReader tokens(take_expression_apart(expression, name), name);
  const ExpressionPtr tree = parse_expression(tokens);
  tokens.require(TokenKind::kEnd, "the end");
  Run run(name, expression.size(), 0);
  return evaluate_alone(run, *tree);
}

}  // namespace perdure::jinja
