// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/expression_parser.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "core/model/templates/jinja/builtins.hpp"
#include "core/model/templates/jinja/run.hpp"

namespace perdure::jinja {
namespace {

using Kind = ExpressionKind;

ExpressionPtr make(TokenReader& tokens, Kind kind, std::string name = {}) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = tokens.line();
  expression->name = std::move(name);
  return expression;
}

// Bounded, as trees are evaluated and destroyed by functions that call themselves.
void deepen(TokenReader& tokens, Expression& parent, const ExpressionPtr& child) {
  if (child == nullptr) return;
  parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMostExpressionDepth)
    tokens.fail("an expression has more than " + std::to_string(kMostExpressionDepth) +
                " operators in each other");
}

void add(TokenReader& tokens, Expression& parent, ExpressionPtr child) {
  deepen(tokens, parent, child);
  parent.items.push_back(std::move(child));
}

ExpressionPtr constant(TokenReader& tokens, Value value) {
  ExpressionPtr expression = make(tokens, Kind::kConstant);
  expression->constant = std::move(value);
  return expression;
}

ExpressionPtr text_constant(TokenReader& tokens, std::string text) {
  return constant(tokens, std::make_shared<const MarkedText>(std::move(text), Origin::kTemplate));
}

ExpressionPtr parse_or(TokenReader& tokens);
ExpressionPtr parse_unary(TokenReader& tokens, bool filters);
ExpressionPtr parse_primary(TokenReader& tokens);
ExpressionPtr parse_postfix(TokenReader& tokens, ExpressionPtr value);

// ---- calls

void parse_argument(TokenReader& tokens, Expression& call) {
  if (tokens.next().is_operator("*") || tokens.next().is_operator("**"))
    tokens.fail("arguments with '*' are not supported");
  if (tokens.next().kind == TokenKind::kName && tokens.after_next().is_operator("=")) {
    std::string name = tokens.take().text;
    tokens.take();
    ExpressionPtr value = parse_expression(tokens);
    deepen(tokens, call, value);
    call.named.emplace_back(std::move(name), std::move(value));
    return;
  }
  if (!call.named.empty()) tokens.fail("an argument without a name follows one with a name");
  add(tokens, call, parse_expression(tokens));
}

// After '('.
void parse_arguments(TokenReader& tokens, Expression& call) {
  const Nested nested(tokens);
  while (!tokens.take_operator(")")) {
    parse_argument(tokens, call);
    if (!tokens.next().is_operator(")")) tokens.require_operator(",");
  }
}

ExpressionPtr parse_call(TokenReader& tokens, ExpressionPtr function) {
  ExpressionPtr call = make(tokens, Kind::kCall);
  tokens.take();
  add(tokens, *call, std::move(function));
  parse_arguments(tokens, *call);
  return call;
}

// ---- what stands behind a value

ExpressionPtr parse_attribute(TokenReader& tokens, ExpressionPtr value) {
  tokens.take();
  if (tokens.next().kind == TokenKind::kInteger) {
    ExpressionPtr item = make(tokens, Kind::kSubscript);
    add(tokens, *item, std::move(value));
    add(tokens, *item, parse_primary(tokens));
    return item;
  }
  ExpressionPtr attribute = make(tokens, Kind::kAttribute);
  add(tokens, *attribute, std::move(value));
  attribute->name = tokens.require_name("the name of an attribute");
  return attribute;
}

// The bounds of a slice behind its first one.
void parse_slice(TokenReader& tokens, Expression& slice) {
  while (slice.items.size() < 4 && tokens.take_operator(":")) {
    const bool left_out = tokens.next().is_operator(":") || tokens.next().is_operator("]");
    add(tokens, slice, left_out ? nullptr : parse_expression(tokens));
  }
  while (slice.items.size() < 4) slice.items.push_back(nullptr);
}

ExpressionPtr parse_subscript(TokenReader& tokens, ExpressionPtr value) {
  const Nested nested(tokens);
  ExpressionPtr item = make(tokens, Kind::kSubscript);
  tokens.take();
  add(tokens, *item, std::move(value));
  add(tokens, *item, tokens.next().is_operator(":") ? nullptr : parse_expression(tokens));
  if (tokens.next().is_operator(":")) {
    item->kind = Kind::kSlice;
    parse_slice(tokens, *item);
  }
  tokens.require_operator("]");
  return item;
}

ExpressionPtr parse_postfix(TokenReader& tokens, ExpressionPtr value) {
  while (true) {
    const Token& next = tokens.next();
    if (next.is_operator("."))
      value = parse_attribute(tokens, std::move(value));
    else if (next.is_operator("["))
      value = parse_subscript(tokens, std::move(value));
    else if (next.is_operator("("))
      value = parse_call(tokens, std::move(value));
    else
      return value;
  }
}

ExpressionPtr parse_filter(TokenReader& tokens, ExpressionPtr value) {
  ExpressionPtr filter = make(tokens, Kind::kFilter);
  tokens.take();
  if (tokens.next().kind == TokenKind::kName && !is_filter(tokens.next().text))
    tokens.fail("the filter '" + shown(tokens.next().text) + "' is not supported");
  filter->name = tokens.require_name("the name of a filter");
  add(tokens, *filter, std::move(value));
  if (tokens.take_operator("(")) parse_arguments(tokens, *filter);
  return filter;
}

// A test's argument may stand without brackets: `is divisibleby 3`.
bool begins_argument(const Token& token) {
  constexpr std::string_view kWords[] = {"else", "or", "and", "if", "is", "in", "not", "recursive"};
  if (token.kind == TokenKind::kName) return std::ranges::count(kWords, token.text) == 0;
  if (token.kind == TokenKind::kOperator)
    return token.text == "(" || token.text == "[" || token.text == "{";
  return token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
         token.kind == TokenKind::kReal;
}

ExpressionPtr negated(TokenReader& tokens, ExpressionPtr value) {
  ExpressionPtr negation = make(tokens, Kind::kNot);
  add(tokens, *negation, std::move(value));
  return negation;
}

ExpressionPtr parse_test(TokenReader& tokens, ExpressionPtr value) {
  tokens.take();
  const bool negative = tokens.take_name("not");
  ExpressionPtr test = make(tokens, Kind::kTest);
  if (tokens.next().kind == TokenKind::kName && !is_test(tokens.next().text))
    tokens.fail("the test '" + shown(tokens.next().text) + "' is not supported");
  test->name = tokens.require_name("the name of a test");
  add(tokens, *test, std::move(value));
  if (tokens.take_operator("("))
    parse_arguments(tokens, *test);
  else if (begins_argument(tokens.next()))
    add(tokens, *test, parse_postfix(tokens, parse_primary(tokens)));
  return negative ? negated(tokens, std::move(test)) : std::move(test);
}

ExpressionPtr parse_filters_and_tests(TokenReader& tokens, ExpressionPtr value) {
  while (true) {
    const Token& next = tokens.next();
    if (next.is_operator("|"))
      value = parse_filter(tokens, std::move(value));
    else if (next.is_name("is"))
      value = parse_test(tokens, std::move(value));
    else if (next.is_operator("("))
      value = parse_call(tokens, std::move(value));
    else
      return value;
  }
}

// ---- values

// Strings that stand side by side are one.
ExpressionPtr parse_string(TokenReader& tokens) {
  std::string text = tokens.take().text;
  while (tokens.next().kind == TokenKind::kString) text += tokens.take().text;
  return text_constant(tokens, std::move(text));
}

ExpressionPtr parse_number(TokenReader& tokens) {
  const Token token = tokens.take();
  const char *begin = token.text.data(), *end = begin + token.text.size();
  int64_t whole = 0;
  double real = 0;
  const bool is_whole = token.kind == TokenKind::kInteger;
  const auto result =
      is_whole ? std::from_chars(begin, end, whole) : std::from_chars(begin, end, real);
  if (result.ec != std::errc()) tokens.fail("the number " + shown(token.text) + " is too large");
  return is_whole ? constant(tokens, whole) : constant(tokens, real);
}

// After '[' or '(': items up to the bracket.
ExpressionPtr parse_items(TokenReader& tokens, std::string_view end) {
  ExpressionPtr list = make(tokens, Kind::kList);
  while (!tokens.take_operator(end)) {
    add(tokens, *list, parse_expression(tokens));
    if (!tokens.next().is_operator(end)) tokens.require_operator(",");
  }
  return list;
}

ExpressionPtr parse_list(TokenReader& tokens) {
  const Nested nested(tokens);
  tokens.take();
  return parse_items(tokens, "]");
}

ExpressionPtr parse_map(TokenReader& tokens) {
  const Nested nested(tokens);
  ExpressionPtr map = make(tokens, Kind::kMap);
  tokens.take();
  while (!tokens.take_operator("}")) {
    add(tokens, *map, parse_expression(tokens));
    tokens.require_operator(":");
    add(tokens, *map, parse_expression(tokens));
    if (!tokens.next().is_operator("}")) tokens.require_operator(",");
  }
  return map;
}

// `(a)` is a, `(a,)` and `()` are lists.
ExpressionPtr parse_brackets(TokenReader& tokens) {
  const Nested nested(tokens);
  tokens.take();
  if (tokens.take_operator(")")) return make(tokens, Kind::kList);
  ExpressionPtr first = parse_expression(tokens);
  if (tokens.take_operator(")")) return first;
  tokens.require_operator(",");
  ExpressionPtr list = parse_items(tokens, ")");
  deepen(tokens, *list, first);
  list->items.insert(list->items.begin(), std::move(first));
  return list;
}

ExpressionPtr parse_word(TokenReader& tokens) {
  const std::string& word = tokens.next().text;
  ExpressionPtr expression;
  if (word == "true" || word == "True")
    expression = constant(tokens, true);
  else if (word == "false" || word == "False")
    expression = constant(tokens, false);
  else if (word == "none" || word == "None")
    expression = constant(tokens, None{});
  else
    expression = make(tokens, Kind::kName, word);
  tokens.take();
  return expression;
}

ExpressionPtr parse_primary(TokenReader& tokens) {
  const Token& next = tokens.next();
  if (next.kind == TokenKind::kName) return parse_word(tokens);
  if (next.kind == TokenKind::kString) return parse_string(tokens);
  if (next.kind == TokenKind::kInteger || next.kind == TokenKind::kReal)
    return parse_number(tokens);
  if (next.is_operator("[")) return parse_list(tokens);
  if (next.is_operator("{")) return parse_map(tokens);
  if (next.is_operator("(")) return parse_brackets(tokens);
  tokens.fail_unexpected("a value");
}

// ---- operators, those that bind most first

// A sign binds more than a filter: -1|abs is (-1)|abs.
ExpressionPtr parse_unary(TokenReader& tokens, bool filters) {
  ExpressionPtr value;
  if (tokens.next().is_operator("-") || tokens.next().is_operator("+")) {
    const Nested nested(tokens);
    ExpressionPtr sign = make(tokens, Kind::kNegative, tokens.take().text);
    add(tokens, *sign, parse_unary(tokens, false));
    value = std::move(sign);
  } else {
    value = parse_primary(tokens);
  }
  value = parse_postfix(tokens, std::move(value));
  return filters ? parse_filters_and_tests(tokens, std::move(value)) : std::move(value);
}

using Parse = ExpressionPtr (*)(TokenReader& tokens);

ExpressionPtr parse_binary(TokenReader& tokens, std::initializer_list<std::string_view> operators,
                           Parse operand) {
  ExpressionPtr left = operand(tokens);
  while (tokens.next().kind == TokenKind::kOperator &&
         std::ranges::count(operators, tokens.next().text) > 0) {
    ExpressionPtr both = make(tokens, Kind::kBinary, tokens.next().text);
    tokens.take();
    add(tokens, *both, std::move(left));
    add(tokens, *both, operand(tokens));
    left = std::move(both);
  }
  return left;
}

ExpressionPtr parse_power(TokenReader& tokens) {
  return parse_binary(tokens, {"**"}, [](TokenReader& t) { return parse_unary(t, true); });
}
ExpressionPtr parse_product(TokenReader& tokens) {
  return parse_binary(tokens, {"*", "/", "//", "%"}, parse_power);
}
ExpressionPtr parse_joined(TokenReader& tokens) {
  return parse_binary(tokens, {"~"}, parse_product);
}
ExpressionPtr parse_sum(TokenReader& tokens) {
  return parse_binary(tokens, {"+", "-"}, parse_joined);
}

// "" if there is none; taken if there is.
std::string take_comparison(TokenReader& tokens) {
  constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
  if (tokens.next().kind == TokenKind::kOperator &&
      std::ranges::count(kSigns, tokens.next().text) > 0)
    return tokens.take().text;
  if (tokens.take_name("in")) return "in";
  if (!tokens.next().is_name("not") || !tokens.after_next().is_name("in")) return "";
  tokens.take();
  tokens.take();
  return "not in";
}

ExpressionPtr parse_comparison(TokenReader& tokens) {
  ExpressionPtr first = parse_sum(tokens);
  std::string sign = take_comparison(tokens);
  if (sign.empty()) return first;
  ExpressionPtr comparison = make(tokens, Kind::kCompare);
  add(tokens, *comparison, std::move(first));
  for (; !sign.empty(); sign = take_comparison(tokens)) {
    comparison->names.push_back(sign);
    add(tokens, *comparison, parse_sum(tokens));
  }
  return comparison;
}

ExpressionPtr parse_not(TokenReader& tokens) {
  if (!tokens.next().is_name("not")) return parse_comparison(tokens);
  const Nested nested(tokens);
  tokens.take();
  return negated(tokens, parse_not(tokens));
}

ExpressionPtr parse_logical(TokenReader& tokens, std::string_view word, Kind kind, Parse operand) {
  ExpressionPtr left = operand(tokens);
  while (tokens.next().is_name(word)) {
    ExpressionPtr both = make(tokens, kind);
    tokens.take();
    add(tokens, *both, std::move(left));
    add(tokens, *both, operand(tokens));
    left = std::move(both);
  }
  return left;
}

ExpressionPtr parse_and(TokenReader& tokens) {
  return parse_logical(tokens, "and", Kind::kAnd, parse_not);
}
ExpressionPtr parse_or(TokenReader& tokens) {
  return parse_logical(tokens, "or", Kind::kOr, parse_and);
}

}  // namespace

ExpressionPtr parse_expression(TokenReader& tokens) {
  ExpressionPtr value = parse_or(tokens);
  while (tokens.next().is_name("if")) {
    const Nested nested(tokens);
    ExpressionPtr choice = make(tokens, Kind::kConditional);
    tokens.take();
    add(tokens, *choice, parse_or(tokens));
    add(tokens, *choice, std::move(value));
    add(tokens, *choice, tokens.take_name("else") ? parse_expression(tokens) : nullptr);
    value = std::move(choice);
  }
  return value;
}

ExpressionPtr parse_tuple(TokenReader& tokens, bool conditional) {
  const Parse parse = conditional ? parse_expression : parse_or;
  ExpressionPtr first = parse(tokens);
  if (!tokens.next().is_operator(",")) return first;
  ExpressionPtr list = make(tokens, Kind::kList);
  add(tokens, *list, std::move(first));
  while (tokens.take_operator(",")) add(tokens, *list, parse(tokens));
  return list;
}

ExpressionPtr parse_filters(TokenReader& tokens, ExpressionPtr value) {
  while (tokens.next().is_operator("|")) value = parse_filter(tokens, std::move(value));
  return value;
}

ExpressionPtr name_expression(TokenReader& tokens, std::string name) {
  return make(tokens, Kind::kName, std::move(name));
}

}  // namespace perdure::jinja
