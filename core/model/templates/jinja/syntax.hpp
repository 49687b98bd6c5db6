// SPDX-License-Identifier: Apache-2.0

// A template as a tree. Immutable once it is parsed; any thread may evaluate it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/model/templates/jinja/value.hpp"

namespace perdure::jinja {

enum class ExpressionKind {
  kConstant,   // constant
  kName,       // name
  kList,       // items
  kMap,        // items: key, value, key, value, ...
  kAttribute,  // items[0].name
  kSubscript,  // items[0][items[1]]
  kSlice,      // items[0][items[1]:items[2]:items[3]]; null where left out
  kCall,       // items[0](the other items, named)
  kFilter,     // items[0]|name(the other items, named)
  kTest,       // items[0] is name(the other items)
  kNot,        // not items[0]
  kNegative,   // -items[0]
  kBinary,     // items[0] name items[1]: + - * / // % ** ~
  kAnd,
  kOr,
  kCompare,     // items[0] names[0] items[1] names[1] items[2] ...: == != < <= > >= in, not in
  kConditional  // items[1] if items[0] else items[2], which may be null
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  int depth = 1;  // of the tree below
  std::string name = {};
  Value constant = None{};
  std::vector<ExpressionPtr> items = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
  std::vector<std::string> names = {};
};

enum class NodeKind { kText, kPrint, kIf, kFor, kSet, kSetBlock, kMacro, kBreak, kContinue };

struct Node;
using Nodes = std::vector<std::unique_ptr<Node>>;

struct Node {
  Node(NodeKind node_kind, int node_line) : kind(node_kind), line(node_line) {}
  virtual ~Node() = default;

  NodeKind kind;
  int line;
};

struct TextNode final : Node {
  using Node::Node;
  MarkedText text;
};

struct PrintNode final : Node {
  using Node::Node;
  ExpressionPtr value;
};

// The first branch whose condition holds; an `else` has none.
struct IfNode final : Node {
  using Node::Node;
  struct Branch {
    ExpressionPtr condition;
    Nodes body;
  };
  std::vector<Branch> branches;
};

struct ForNode final : Node {
  using Node::Node;
  std::vector<std::string> targets;
  ExpressionPtr items, condition;  // condition: of the items that count, or null
  Nodes body, otherwise;
};

// Names, or one name of a namespace: `space.names[0]`.
struct SetNode final : Node {
  using Node::Node;
  std::string space;
  std::vector<std::string> names;
  ExpressionPtr value;  // of a block: a chain of filters around a name that stands for its text
  Nodes body;
};

struct MacroNode final : Node {
  using Node::Node;
  std::string name;
  std::vector<std::pair<std::string, ExpressionPtr>> parameters;  // with the default, or null
  Nodes body;
};

}  // namespace perdure::jinja
