// SPDX-License-Identifier: Apache-2.0

// A YAML document as a plain tree whose every node knows where it was written. The only thing of
// yaml-cpp that the rest of the room sees. Anchors, tags and several documents in a file are
// refused: a configuration needs none.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/config/settings.hpp"

namespace perdure {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;     // kScalar
  bool quoted = false;  // kScalar: written as a string
  // Came by --set: relative paths are relative to the working directory.
  bool from_override = false;
  SourcePlace place;               // "run.yaml:12" or "--set model.path"
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in the order written

  // The value of `key`, or nullptr. Requires: kMap.
  YamlNode* find(const std::string& key);
};

struct YamlEntry {
  std::string key;
  SourcePlace place;
  YamlNode value;
};

constexpr size_t kMaxYamlBytes = size_t{1} << 20;
constexpr size_t kMaxYamlDepth = 64;

// `name` stands for the file in messages. Empty text gives kNull.
// Errors: UsageError "name:line: ..." for what is no YAML, longer than kMaxYamlBytes, deeper than
// kMaxYamlDepth, for a key that occurs twice and for keys that are not scalars.
YamlNode parse_yaml(const std::string& text, const std::string& name);

// Puts "key.sub=value" into the tree; the value, in YAML, replaces what stood there.
// Errors: UsageError "--set ...: ..." if it has no '=', an empty key, or runs through something
// that is not a map.
void apply_override(YamlNode& root, const std::string& override_text);

}  // namespace perdure
