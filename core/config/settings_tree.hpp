// SPDX-License-Identifier: Apache-2.0

// From a tree to Settings, for those files of the room that read more than one configuration out of
// a file.
#pragma once

#include <string>
#include <vector>

#include "core/config/settings.hpp"
#include "core/config/yaml_tree.hpp"

namespace perdure {

// The file (none if `path` is empty) with the overrides in it. Errors: as load_settings.
YamlNode read_tree(const std::string& path, const std::vector<std::string>& overrides);

// All sections of an ordinary configuration. Errors: as load_settings.
Settings read_settings(YamlNode& root, const std::string& directory);

// Takes the value of `key` out of the tree; kNull if there is none.
YamlNode take_entry(YamlNode& map, const std::string& key);

// What relative paths in a configuration file are relative to.
std::string folder_of(const std::string& path);

}  // namespace perdure
