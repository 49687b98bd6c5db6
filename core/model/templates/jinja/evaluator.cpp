// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/evaluator.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "core/model/templates/jinja/builtins.hpp"
#include "core/model/templates/jinja/operators.hpp"
#include "core/model/templates/jinja/template_parser.hpp"

namespace perdure::jinja {
namespace {

// Names that were set since a loop's round, a macro or the template began. The views are into the
// tree and the globals.
struct Scope {
  std::map<std::string_view, Value> names = {};
  const Scope* outer = nullptr;

  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer)
      if (const auto found = scope->names.find(name); found != scope->names.end())
        return &found->second;
    return nullptr;
  }
};

// Names the line of a node while it is at work.
class AtLine {
 public:
  AtLine(Run& run, int line) : run_(run), before_(run.move_to(line)) {}
  ~AtLine() { run_.move_to(before_); }
  AtLine(const AtLine&) = delete;
  AtLine& operator=(const AtLine&) = delete;

 private:
  Run& run_;
  int before_;
};

// What a body ended with.
enum class Jump { kNone, kBreak, kContinue };

class Evaluator {
 public:
  explicit Evaluator(Run& run) : run_(run) {}

  MarkedText run(const Nodes& nodes, const Map& globals) {
    for (const auto& [name, value] : globals.items) top_.names[name->text()] = value;
    MarkedText out;
    evaluate(nodes, top_, out);
    return out;
  }

  Value value(const Expression& expression) { return value(expression, top_); }

 private:
  // ---- expressions

  Value value(const Expression& e, const Scope& scope) {
    const Deeper deeper(run_);
    run_.step();
    run_.move_to(e.line);
    switch (e.kind) {
      case ExpressionKind::kConstant:
        return e.constant;
      case ExpressionKind::kName:
        return named(e, scope);
      case ExpressionKind::kList:
        return make_list(run_, values(e.items, scope));
      case ExpressionKind::kMap:
        return map(e, scope);
      case ExpressionKind::kAttribute:
        return attribute_of(run_, value(*e.items[0], scope), e.name);
      case ExpressionKind::kSubscript:
        return item_of(run_, value(*e.items[0], scope), value(*e.items[1], scope));
      case ExpressionKind::kSlice:
        return slice(e, scope);
      case ExpressionKind::kCall:
        return call(e, scope);
      case ExpressionKind::kFilter:
        return filter(e, scope);
      case ExpressionKind::kTest:
        return test(e, scope);
      case ExpressionKind::kNot:
        return !is_true(*e.items[0], scope);
      case ExpressionKind::kNegative:
        return sign(e, scope);
      case ExpressionKind::kBinary:
        return binary(e, scope);
      case ExpressionKind::kAnd:
      case ExpressionKind::kOr:
        return logical(e, scope);
      case ExpressionKind::kCompare:
        return comparison(e, scope);
      case ExpressionKind::kConditional:
        return conditional(e, scope);
    }
    return None{};
  }

  bool is_true(const Expression& e, const Scope& scope) { return is_truthy(value(e, scope)); }

  Value named(const Expression& e, const Scope& scope) {
    if (const Value* found = scope.find(e.name)) return *found;
    if (auto function = find_function(e.name)) return function;
    return Undefined{e.name};
  }

  std::vector<Value> values(const std::vector<ExpressionPtr>& items, const Scope& scope,
                            size_t first = 0) {
    std::vector<Value> results;
    for (size_t i = first; i < items.size(); ++i) results.push_back(value(*items[i], scope));
    return results;
  }

  Value map(const Expression& e, const Scope& scope) {
    std::vector<std::pair<Text, Value>> items;
    for (size_t i = 0; i + 1 < e.items.size(); i += 2) {
      const Value key = value(*e.items[i], scope);
      if (text_of(key) == nullptr)
        run_.fail("the key of a mapping is " + std::string(kind_of(key)) + " and no string");
      items.emplace_back(std::get<Text>(key), value(*e.items[i + 1], scope));
    }
    return make_map(run_, std::move(items));
  }

  Value slice(const Expression& e, const Scope& scope) {
    const Value whole = value(*e.items[0], scope);
    const auto bound = [&](size_t i) -> std::optional<int64_t> {
      const Value given = e.items[i] == nullptr ? None{} : value(*e.items[i], scope);
      if (is_none(given)) return std::nullopt;
      if (!is_whole(given)) run_.fail("a slice goes from integer to integer");
      return whole_of(given);
    };
    const auto first = bound(1), last = bound(2), step = bound(3);
    return sliced(run_, whole, {first, last, step});
  }

  Arguments arguments(const Expression& e, const Scope& scope) {
    Arguments given{values(e.items, scope, 1), {}};
    for (const auto& [name, expression] : e.named)
      given.named.emplace_back(name, value(*expression, scope));
    return given;
  }

  Value call(const Expression& e, const Scope& scope) {
    const Value called = value(*e.items[0], scope);
    const auto* function = std::get_if<std::shared_ptr<const Function>>(&called);
    if (function == nullptr) fail_call(called, *e.items[0]);
    const Arguments given = arguments(e, scope);
    run_.move_to(e.line);
    if ((*function)->macro != nullptr) return call_macro(*(*function)->macro, given);
    return (*function)->call(run_, (*function)->self, given);
  }

  [[noreturn]] void fail_call(const Value& called, const Expression& e) {
    run_.move_to(e.line);
    if (is_undefined(called))
      run_.fail("'" + shown(e.name) + "' is called, which is undefined or not supported");
    run_.fail(std::string(kind_of(called)) + " is called as if it were a function");
  }

  Value filter(const Expression& e, const Scope& scope) {
    const Value input = value(*e.items[0], scope);
    const Arguments given = arguments(e, scope);
    run_.move_to(e.line);
    return apply_filter(run_, e.name, input, given);
  }

  Value test(const Expression& e, const Scope& scope) {
    const Value input = value(*e.items[0], scope);
    const Arguments given = arguments(e, scope);
    run_.move_to(e.line);
    return passes_test(run_, e.name, input, given);
  }

  Value sign(const Expression& e, const Scope& scope) {
    const Value number = value(*e.items[0], scope);
    return e.name == "-" ? negative(run_, number) : number;
  }

  Value binary(const Expression& e, const Scope& scope) {
    const Value left = value(*e.items[0], scope), right = value(*e.items[1], scope);
    run_.move_to(e.line);
    return combined(run_, e.name, left, right);
  }

  Value logical(const Expression& e, const Scope& scope) {
    const Value left = value(*e.items[0], scope);
    const bool decided = is_truthy(left) == (e.kind == ExpressionKind::kOr);
    return decided ? left : value(*e.items[1], scope);
  }

  Value comparison(const Expression& e, const Scope& scope) {
    Value left = value(*e.items[0], scope);
    for (size_t i = 0; i < e.names.size(); ++i) {
      Value right = value(*e.items[i + 1], scope);
      run_.move_to(e.line);
      if (!compared(run_, e.names[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  Value conditional(const Expression& e, const Scope& scope) {
    if (is_true(*e.items[0], scope)) return value(*e.items[1], scope);
    return e.items[2] == nullptr ? Undefined{"the value of an 'if' without 'else'"}
                                 : value(*e.items[2], scope);
  }

  // ---- nodes

  Jump evaluate(const Nodes& nodes, Scope& scope, MarkedText& out) {
    for (const auto& node : nodes)
      if (const Jump jump = evaluate(*node, scope, out); jump != Jump::kNone) return jump;
    return Jump::kNone;
  }

  Jump evaluate(const Node& node, Scope& scope, MarkedText& out) {
    const Deeper deeper(run_);
    const AtLine at(run_, node.line);
    run_.step();
    switch (node.kind) {
      case NodeKind::kText:
        write(static_cast<const TextNode&>(node).text, out);
        return Jump::kNone;
      case NodeKind::kPrint:
        write(written(run_, value(*static_cast<const PrintNode&>(node).value, scope)), out);
        return Jump::kNone;
      case NodeKind::kIf:
        return choose(static_cast<const IfNode&>(node), scope, out);
      case NodeKind::kFor:
        return loop(static_cast<const ForNode&>(node), scope, out);
      case NodeKind::kSet:
        set(static_cast<const SetNode&>(node),
            value(*static_cast<const SetNode&>(node).value, scope), scope);
        return Jump::kNone;
      case NodeKind::kSetBlock:
        return set_block(static_cast<const SetNode&>(node), scope);
      case NodeKind::kMacro:
        define(static_cast<const MacroNode&>(node), scope);
        return Jump::kNone;
      case NodeKind::kBreak:
        return Jump::kBreak;
      case NodeKind::kContinue:
        return Jump::kContinue;
    }
    return Jump::kNone;
  }

  void write(const MarkedText& text, MarkedText& out) {
    run_.require_output(out.size() + text.size());
    run_.work(text.size());
    out += text;
  }

  Jump choose(const IfNode& node, Scope& scope, MarkedText& out) {
    for (const IfNode::Branch& branch : node.branches)
      if (branch.condition == nullptr || is_true(*branch.condition, scope))
        return evaluate(branch.body, scope, out);
    return Jump::kNone;
  }

  void set_target(const std::vector<std::string>& names, const Value& value, Scope& scope) {
    if (names.size() == 1) {
      scope.names[names[0]] = value;
      return;
    }
    const std::vector<Value> items = items_of(run_, value);
    if (items.size() != names.size())
      run_.fail(std::to_string(names.size()) + " names are set from " +
                std::to_string(items.size()) + " values");
    for (size_t i = 0; i < names.size(); ++i) scope.names[names[i]] = items[i];
  }

  void set(const SetNode& node, const Value& value, Scope& scope) {
    if (node.space.empty()) return set_target(node.names, value, scope);
    const Value* found = scope.find(node.space);
    const auto* space = found == nullptr ? nullptr : std::get_if<std::shared_ptr<Namespace>>(found);
    if (space == nullptr) run_.fail("'" + shown(node.space) + "' is set into and no namespace");
    make_list(run_, {value});  // a namespace may hold what a list may
    (*space)->names[node.names[0]] = value;
  }

  // What is set inside stays inside, as in Jinja.
  Jump set_block(const SetNode& node, Scope& scope) {
    Scope inner{{}, &scope};
    MarkedText text;
    const Jump jump = evaluate(node.body, inner, text);
    inner.names[kBlockText] = make_text(run_, std::move(text));
    set(node, value(*node.value, inner), scope);
    return jump;
  }

  // ---- loops

  std::vector<Value> loop_items(const ForNode& node, Scope& scope) {
    const Value all = value(*node.items, scope);
    std::vector<Value> items = items_of(run_, all);
    if (node.condition == nullptr) return items;
    std::vector<Value> chosen;
    for (const Value& item : items) {
      Scope inner{{}, &scope};
      set_target(node.targets, item, inner);
      if (is_true(*node.condition, inner)) chosen.push_back(item);
    }
    return chosen;
  }

  // `loop`, made again for every iteration.
  Value loop_map(const std::vector<Value>& items, size_t at) {
    const auto number = [](size_t n) { return Value(static_cast<int64_t>(n)); };
    const size_t size = items.size();
    const std::pair<const char*, Value> members[] = {
        {"index", number(at + 1)},
        {"index0", number(at)},
        {"revindex", number(size - at)},
        {"revindex0", number(size - at - 1)},
        {"first", at == 0},
        {"last", at + 1 == size},
        {"length", number(size)},
        {"previtem", at > 0 ? items[at - 1] : Undefined{"loop.previtem"}},
        {"nextitem", at + 1 < size ? items[at + 1] : Undefined{"loop.nextitem"}},
        {"depth", number(loops_)},
        {"depth0", number(loops_ - 1)},
    };
    run_.step(std::size(members));
    auto map = std::make_shared<Map>();
    for (const auto& [name, member] : members)
      map->items.emplace_back(std::make_shared<const MarkedText>(name, Origin::kTemplate), member);
    map->depth = kMostValueDepth;  // it cannot be put into anything
    return std::shared_ptr<const Map>(std::move(map));
  }

  Jump loop(const ForNode& node, Scope& scope, MarkedText& out) {
    const std::vector<Value> items = loop_items(node, scope);
    if (items.empty()) return evaluate(node.otherwise, scope, out);
    ++loops_;
    Jump jump = Jump::kNone;
    for (size_t i = 0; i < items.size() && jump != Jump::kBreak; ++i) {
      Scope round{{}, &scope};
      round.names["loop"] = loop_map(items, i);
      set_target(node.targets, items[i], round);
      jump = evaluate(node.body, round, out);
    }
    --loops_;
    return Jump::kNone;
  }

  // ---- macros

  void define(const MacroNode& node, Scope& scope) {
    scope.names[node.name] =
        std::make_shared<const Function>(Function{node.name, nullptr, None{}, &node});
  }

  // It sees what the template has set at its top, and its parameters.
  Value call_macro(const MacroNode& node, const Arguments& given) {
    if (given.positional.size() > node.parameters.size())
      run_.fail("the macro '" + node.name + "' takes at most " +
                std::to_string(node.parameters.size()) + " arguments");
    Scope inner{{}, &top_};
    bind_parameters(node, given, inner);
    MarkedText out;
    evaluate(node.body, inner, out);
    return make_text(run_, std::move(out));
  }

  void bind_parameters(const MacroNode& node, const Arguments& given, Scope& inner) {
    for (size_t i = 0; i < node.parameters.size(); ++i) {
      const auto& [name, otherwise] = node.parameters[i];
      const auto by_name = std::ranges::find_if(
          given.named,
          [&, &wanted = name](const auto& argument) { return argument.first == wanted; });
      if (i < given.positional.size())
        inner.names[name] = given.positional[i];
      else if (by_name != given.named.end())
        inner.names[name] = by_name->second;
      else
        inner.names[name] = otherwise == nullptr ? Undefined{name} : value(*otherwise, inner);
    }
    for (const auto& [name, value] : given.named)
      if (!inner.names.contains(name))
        run_.fail("the macro '" + node.name + "' has no parameter '" + shown(name) + "'");
  }

  Run& run_;
  Scope top_;
  size_t loops_ = 0;  // that are running
};

}  // namespace

MarkedText evaluate_nodes(Run& run, const Nodes& nodes, const Map& globals) {
  return Evaluator(run).run(nodes, globals);
}

Value evaluate_alone(Run& run, const Expression& expression) {
  return Evaluator(run).value(expression);
}

}  // namespace perdure::jinja
