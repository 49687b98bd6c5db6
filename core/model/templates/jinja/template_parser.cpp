// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/template_parser.hpp"

#include <algorithm>
#include <initializer_list>

#include "core/model/templates/jinja/expression_parser.hpp"
#include "core/model/templates/jinja/run.hpp"

namespace perdure::jinja {
namespace {

using Words = std::initializer_list<std::string_view>;

class TemplateParser {
 public:
  TemplateParser(std::string_view source, std::string_view name)
      : tokens_(take_apart(source, name), name) {}

  Nodes parse() {
    Nodes nodes = parse_nodes({}, {}, 1);
    return nodes;
  }

 private:
  // Up to a tag that begins with one of `ends`, of which only the begin is taken; with none, up to
  // the end. For messages: `block` is being read, which began at line `begin`.
  Nodes parse_nodes(Words ends, std::string_view block, int begin) {
    Nodes nodes;
    while (!at_end(ends)) {
      if (tokens_.next().kind == TokenKind::kEnd)
        tokens_.fail("the '" + std::string(block) + "' of line " + std::to_string(begin) +
                     " has no end");
      parse_next(nodes);
    }
    return nodes;
  }

  bool at_end(Words ends) {
    if (ends.size() == 0) return tokens_.next().kind == TokenKind::kEnd;
    if (tokens_.next().kind != TokenKind::kBlockBegin ||
        tokens_.after_next().kind != TokenKind::kName ||
        std::ranges::count(ends, tokens_.after_next().text) == 0)
      return false;
    tokens_.take();
    return true;
  }

  void end_tag() { tokens_.require(TokenKind::kBlockEnd, "'%}'"); }

  template <class T>
  std::unique_ptr<T> make(NodeKind kind) {
    return std::make_unique<T>(kind, tokens_.line());
  }

  void parse_next(Nodes& nodes) {
    const Nested nested(tokens_);
    if (tokens_.next().kind == TokenKind::kText) {
      auto node = make<TextNode>(NodeKind::kText);
      node->text = MarkedText(tokens_.take().text, Origin::kTemplate);
      nodes.push_back(std::move(node));
    } else if (tokens_.next().kind == TokenKind::kPrintBegin) {
      auto node = make<PrintNode>(NodeKind::kPrint);
      tokens_.take();
      node->value = parse_tuple(tokens_);
      tokens_.require(TokenKind::kPrintEnd, "'}}'");
      nodes.push_back(std::move(node));
    } else {
      tokens_.take();
      parse_tag(nodes);
    }
  }

  void parse_tag(Nodes& nodes) {
    if (tokens_.next().kind != TokenKind::kName) tokens_.fail_unexpected("the name of a tag");
    const std::string& tag = tokens_.next().text;
    if (tag == "generation") return parse_generation(nodes);
    nodes.push_back(tag == "if"                           ? parse_if()
                    : tag == "for"                        ? parse_for()
                    : tag == "set"                        ? parse_set()
                    : tag == "macro"                      ? parse_macro()
                    : tag == "break" || tag == "continue" ? parse_jump()
                                                          : fail_tag(tag));
  }

  [[noreturn]] std::unique_ptr<Node> fail_tag(const std::string& tag) {
    constexpr std::string_view kInside[] = {"elif",   "else",     "endif",        "endfor",
                                            "endset", "endmacro", "endgeneration"};
    const bool inside = std::ranges::count(kInside, tag) > 0;
    tokens_.fail("the tag '" + shown(tag) +
                 (inside ? "' ends or continues nothing that was begun" : "' is not supported"));
  }

  // It marks what trainers learn from.
  void parse_generation(Nodes& nodes) {
    const int begin = tokens_.take().line;
    end_tag();
    Nodes body = parse_nodes({"endgeneration"}, "generation", begin);
    std::ranges::move(body, std::back_inserter(nodes));
    tokens_.take();
    end_tag();
  }

  std::unique_ptr<Node> parse_if() {
    auto node = make<IfNode>(NodeKind::kIf);
    while (true) {
      const std::string word = tokens_.take().text;
      ExpressionPtr condition = word == "else" ? nullptr : parse_tuple(tokens_);
      end_tag();
      Nodes body = word == "else" ? parse_nodes({"endif"}, "if", node->line)
                                  : parse_nodes({"elif", "else", "endif"}, "if", node->line);
      node->branches.push_back({std::move(condition), std::move(body)});
      if (tokens_.take_name("endif")) break;
    }
    end_tag();
    return node;
  }

  std::vector<std::string> parse_targets() {
    std::vector<std::string> names;
    const bool brackets = tokens_.take_operator("(");
    do names.push_back(tokens_.require_name("the name of a variable"));
    while (tokens_.take_operator(","));
    if (brackets) tokens_.require_operator(")");
    return names;
  }

  std::unique_ptr<Node> parse_for() {
    auto node = make<ForNode>(NodeKind::kFor);
    tokens_.take();
    node->targets = parse_targets();
    if (!tokens_.take_name("in")) tokens_.fail_unexpected("'in'");
    node->items = parse_tuple(tokens_, false);
    if (tokens_.take_name("if")) node->condition = parse_expression(tokens_);
    if (tokens_.next().is_name("recursive")) tokens_.fail("'recursive' is not supported");
    end_tag();
    ++loops_;
    node->body = parse_nodes({"else", "endfor"}, "for", node->line);
    --loops_;
    if (tokens_.take_name("else")) {
      end_tag();
      node->otherwise = parse_nodes({"endfor"}, "for", node->line);
    }
    tokens_.take();
    end_tag();
    return node;
  }

  std::unique_ptr<Node> parse_set() {
    auto node = make<SetNode>(NodeKind::kSet);
    tokens_.take();
    if (tokens_.after_next().is_operator(".")) {
      node->space = tokens_.require_name("the name of a variable");
      tokens_.take();
      node->names.push_back(tokens_.require_name("the name of an attribute"));
    } else {
      node->names = parse_targets();
    }
    if (tokens_.take_operator("=")) {
      node->value = parse_tuple(tokens_);
      end_tag();
      return node;
    }
    return parse_set_block(std::move(node));
  }

  std::unique_ptr<Node> parse_set_block(std::unique_ptr<SetNode> node) {
    if (node->names.size() != 1) tokens_.fail_unexpected("'='");
    node->kind = NodeKind::kSetBlock;
    node->value = parse_filters(tokens_, name_expression(tokens_, std::string(kBlockText)));
    end_tag();
    node->body = parse_nodes({"endset"}, "set", node->line);
    tokens_.take();
    end_tag();
    return node;
  }

  std::unique_ptr<Node> parse_macro() {
    auto node = make<MacroNode>(NodeKind::kMacro);
    tokens_.take();
    node->name = tokens_.require_name("the name of a macro");
    tokens_.require_operator("(");
    while (!tokens_.take_operator(")")) {
      std::string name = tokens_.require_name("the name of a parameter");
      ExpressionPtr value = tokens_.take_operator("=") ? parse_expression(tokens_) : nullptr;
      node->parameters.emplace_back(std::move(name), std::move(value));
      if (!tokens_.next().is_operator(")")) tokens_.require_operator(",");
    }
    end_tag();
    const int loops = std::exchange(loops_, 0);
    node->body = parse_nodes({"endmacro"}, "macro", node->line);
    loops_ = loops;
    tokens_.take();
    tokens_.take_if(TokenKind::kName);
    end_tag();
    return node;
  }

  std::unique_ptr<Node> parse_jump() {
    if (loops_ == 0) tokens_.fail("'" + tokens_.next().text + "' is outside a loop");
    auto node =
        make<Node>(tokens_.next().is_name("break") ? NodeKind::kBreak : NodeKind::kContinue);
    tokens_.take();
    end_tag();
    return node;
  }

  TokenReader tokens_;
  int loops_ = 0;  // around this place, in the same macro
};

}  // namespace

Nodes parse_template(std::string_view source, std::string_view name) {
  return TemplateParser(source, name).parse();
}

}  // namespace perdure::jinja
