// SPDX-License-Identifier: Apache-2.0

// A configuration with a section `compare` as YAML that means the same in any folder.
#include <algorithm>
#include <array>

#include "core/config/comparison.hpp"
#include "core/config/dump_text.hpp"
#include "core/config/map_reader.hpp"
#include "core/config/settings_tree.hpp"

namespace perdure {
namespace {

// Keys whose values are paths, in whatever section they stand.
bool is_path(const std::string& key) {
  static constexpr std::array kPaths = {"path",  "tokenizer", "text", "tokens",
                                        "tasks", "load",      "out"};
  return std::find(kPaths.begin(), kPaths.end(), key) != kPaths.end();
}

void make_absolute(YamlNode& node, const std::string& directory, bool path) {
  if (path && node.kind == YamlNode::Kind::kScalar)
    node.text = absolute_path(node.text, node.from_override ? "" : directory);
  for (YamlNode& item : node.items) make_absolute(item, directory, path);
  // Entries may have any name.
  for (YamlEntry& entry : node.entries) make_absolute(entry.value, directory, is_path(entry.key));
}

std::string scalar_text(const YamlNode& node) {
  const bool typed = scalar_to_bool(node.text, node.quoted).has_value() ||
                     scalar_to_real(node.text, node.quoted).has_value();
  if (typed) return node.text;
  return node.quoted ? dump_quoted(node.text) : dump_text(node.text);
}

std::string value_text(const YamlNode& node, const std::string& indent);

// What follows a key or a dash.
std::string after(const YamlNode& node, const std::string& indent) {
  const bool nested = (node.kind == YamlNode::Kind::kMap && !node.entries.empty()) ||
                      (node.kind == YamlNode::Kind::kList && !node.items.empty());
  return (nested ? "\n" : " ") + value_text(node, indent);
}

std::string value_text(const YamlNode& node, const std::string& indent) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null\n";
    case YamlNode::Kind::kScalar:
      return scalar_text(node) + "\n";
    case YamlNode::Kind::kList:
      break;
    case YamlNode::Kind::kMap: {
      std::string text = node.entries.empty() ? "{}\n" : "";
      for (const YamlEntry& entry : node.entries)
        text += indent + dump_text(entry.key) + ":" + after(entry.value, indent + "  ");
      return text;
    }
  }
  std::string text = node.items.empty() ? "[]\n" : "";
  for (const YamlNode& item : node.items) text += indent + "-" + after(item, indent + "  ");
  return text;
}

}  // namespace

std::string dump_comparison(const std::string& path, const std::vector<std::string>& overrides) {
  YamlNode tree = read_tree(path, overrides);
  make_absolute(tree, folder_of(path), false);
  return value_text(tree, "");
}

}  // namespace perdure
