// SPDX-License-Identifier: Apache-2.0

// The effective configuration for scripts.
#include "core/base/json/json_write.hpp"
#include "core/config/map_reader.hpp"
#include "core/config/settings.hpp"
#include "core/config/yaml_tree.hpp"

namespace perdure {
namespace {

Json json_scalar(const YamlNode& node) {
  if (const auto flag = scalar_to_bool(node.text, node.quoted)) return json(*flag);
  if (const auto integer = scalar_to_int(node.text, node.quoted)) return json(*integer);
  if (const auto real = scalar_to_real(node.text, node.quoted)) return json(*real);
  return json(node.text);
}

Json json_tree(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return Json();
    case YamlNode::Kind::kScalar:
      return json_scalar(node);
    case YamlNode::Kind::kList: {
      Json::List list;
      for (const YamlNode& item : node.items) list.push_back(json_tree(item));
      return Json(std::move(list));
    }
    case YamlNode::Kind::kMap:
      break;
  }
  Json::Map map;
  for (const YamlEntry& entry : node.entries) map.push_back({entry.key, json_tree(entry.value)});
  return object(std::move(map));
}

}  // namespace

std::string dump_as_json(const std::string& dump) {
  return json_text(json_tree(parse_yaml(dump, "the effective configuration")));
}

}  // namespace perdure
