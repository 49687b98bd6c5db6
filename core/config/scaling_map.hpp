// SPDX-License-Identifier: Apache-2.0

// `rope_scaling` as Hugging Face's config.json writes it, a map, in our options: for settings.cpp,
// and for the reader of config.json itself.
#pragma once

#include "core/config/map_reader.hpp"
#include "core/config/settings.hpp"

namespace perdure {

// An option as written: a value, or a list of values, which becomes one text. `key` is its name in
// messages. Errors: UsageError.
RawOption read_option(const MapReader& reader, const std::string& key, const YamlNode& value);

// {rope_type: yarn, factor: 4}: the type is the option's value and the other entries are options
// beside it. Nulls, equal duplicates and keys that change nothing for a text are left out.
// Errors: UsageError naming a key that occurs twice with different values, or both types if
// `type` and `rope_type` differ.
void read_scaling_map(const MapReader& reader, const YamlEntry& entry, StrategyChoice& choice);

// Other words for values of `rope_scaling`, and parameters of DeepSeek's, as ours.
// Errors: UsageError for mscale and mscale_all_dim without a factor beside them.
void use_own_words(StrategyChoice& choice);

}  // namespace perdure
