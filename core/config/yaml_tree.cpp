// SPDX-License-Identifier: Apache-2.0

// The tree is built from yaml-cpp's events, not from its nodes: events come with line numbers for
// every key, show duplicates, and let the depth be limited before the parser's recursion goes
// deeper.
#include "core/config/yaml_tree.hpp"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace perdure {
namespace {

using YAML::Mark;

// Builds one document. Everything refused is thrown as UsageError at the place.
class TreeBuilder : public YAML::EventHandler {
 public:
  // `fixed_place`: what to call every place, or empty for name:line.
  TreeBuilder(std::string name, std::string fixed_place)
      : name_(std::move(name)), fixed_place_(std::move(fixed_place)) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const Mark& mark) override {
    if (++documents_ > 1) fail(mark, "a configuration is one YAML document; remove the second one");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const Mark& mark, YAML::anchor_t) override {
    fail(mark, "YAML aliases (*name) are not supported; write the value out");
  }
  void OnNull(const Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(mark, node(mark, YamlNode::Kind::kNull));
  }
  void OnScalar(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (tag != "!" && tag != "?") refuse_tag(mark, tag);
    YamlNode scalar = node(mark, YamlNode::Kind::kScalar);
    scalar.text = value;
    scalar.quoted = tag == "!";
    add(mark, std::move(scalar));
  }
  void OnSequenceStart(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

  SourcePlace place(const Mark& mark) const {
    if (!fixed_place_.empty()) return {fixed_place_};
    return {mark.is_null() ? name_ : name_ + ":" + std::to_string(mark.line + 1)};
  }

 private:
  // A collection that is still open, and the key of a map that waits for its value.
  struct Open {
    YamlNode node;
    Mark mark;
    std::optional<YamlEntry> pending;
    std::unordered_map<std::string, SourcePlace> keys;  // of the values there are
  };

  [[noreturn]] void fail(const Mark& mark, const std::string& what) const {
    throw UsageError(place(mark).text + ": " + what);
  }
  void refuse_anchor(const Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) fail(mark, "YAML anchors (&name) are not supported; write the value out");
  }
  void refuse_tag(const Mark& mark, const std::string& tag) const {
    fail(mark, "the YAML tag " + tag + " is not supported; remove it");
  }

  YamlNode node(const Mark& mark, YamlNode::Kind kind) const {
    YamlNode result;
    result.kind = kind;
    result.place = place(mark);
    return result;
  }

  void open(const Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(mark, tag);
    if (open_.size() >= kMaxYamlDepth)
      fail(mark, "nested deeper than " + std::to_string(kMaxYamlDepth) + " levels");
    open_.push_back({node(mark, kind), mark, std::nullopt, {}});
  }

  void close() {
    Open finished = std::move(open_.back());
    open_.pop_back();
    add(finished.mark, std::move(finished.node));
  }

  void add(const Mark& mark, YamlNode value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(value));
    } else if (!parent.pending) {
      begin_entry(parent, mark, value);
    } else {
      parent.keys.emplace(parent.pending->key, value.place);
      parent.pending->value = std::move(value);
      parent.node.entries.push_back(std::move(*parent.pending));
      parent.pending.reset();
    }
  }

  void begin_entry(Open& parent, const Mark& mark, const YamlNode& key) const {
    if (key.kind != YamlNode::Kind::kScalar) fail(mark, "a key must be a word");
    if (const auto first = parent.keys.find(key.text); first != parent.keys.end())
      fail(mark, "key '" + key.text + "' occurs twice; the first one is at " + first->second.text);
    parent.pending = YamlEntry{key.text, key.place, {}};
  }

  std::string name_, fixed_place_;
  std::vector<Open> open_;
  YamlNode root_;
  int documents_ = 0;
};

YamlNode parse(const std::string& text, const std::string& name, const std::string& fixed_place) {
  if (text.size() > kMaxYamlBytes)
    throw UsageError((fixed_place.empty() ? name : fixed_place) +
                     ": longer than 1 MiB, so surely not a configuration");
  TreeBuilder builder(name, fixed_place);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw UsageError(builder.place(error.mark).text + ": not valid YAML: " + error.msg);
  }
  return builder.take();
}

void mark_as_override(YamlNode& node) {
  node.from_override = true;
  for (YamlNode& item : node.items) mark_as_override(item);
  for (YamlEntry& entry : node.entries) mark_as_override(entry.value);
}

// "a.b.c" -> a, b, c. Errors: UsageError for an empty part.
std::vector<std::string> split_key(const std::string& key, const std::string& place) {
  std::vector<std::string> parts;
  std::istringstream stream(key);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  bool empty = key.empty() || key.back() == '.';
  for (const std::string& part : parts) empty = empty || part.empty();
  if (empty) throw UsageError(place + ": the key is incomplete; write --set section.key=value");
  if (parts.size() > kMaxYamlDepth) throw UsageError(place + ": the key has too many parts");
  return parts;
}

}  // namespace

YamlNode* YamlNode::find(const std::string& key) {
  for (YamlEntry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

YamlNode parse_yaml(const std::string& text, const std::string& name) {
  return parse(text, name, "");
}

void apply_override(YamlNode& root, const std::string& override_text) {
  const size_t equals = override_text.find('=');
  if (equals == std::string::npos)
    throw UsageError("--set " + override_text + ": no '='; write --set section.key=value");
  const std::string key = override_text.substr(0, equals);
  const std::string place = "--set " + key;
  const std::vector<std::string> parts = split_key(key, place);

  YamlNode value = parse(override_text.substr(equals + 1), "", place);
  if (equals + 1 == override_text.size()) {  // `--set chat.system=` means the empty text
    value.kind = YamlNode::Kind::kScalar;
    value.quoted = true;
  }
  value.place = {place};
  mark_as_override(value);

  YamlNode* target = &root;
  for (const std::string& part : parts) {
    if (target->kind == YamlNode::Kind::kNull) {
      target->kind = YamlNode::Kind::kMap;
      target->place = {place};
    }
    if (target->kind != YamlNode::Kind::kMap)
      throw UsageError(place + ": '" + part + "' cannot be set inside a single value (written at " +
                       target->place.text + ")");
    YamlNode* child = target->find(part);
    if (child == nullptr) {
      target->entries.push_back({part, {place}, {}});
      child = &target->entries.back().value;
    }
    target = child;
  }
  *target = std::move(value);
}

}  // namespace perdure
