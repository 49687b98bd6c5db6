// SPDX-License-Identifier: Apache-2.0

// `rope_scaling` as Hugging Face's config.json writes it, a map, in our options. Called by
// settings.cpp only.
#pragma once

#include "core/config/map_reader.hpp"
#include "core/config/settings.hpp"

namespace perdure {

// An option as written: a value, or a list of values, which becomes one text. Errors: UsageError.
RawOption read_option(const MapReader& reader, const YamlEntry& entry);

// {rope_type: yarn, factor: 4}: the type is the option's value and the other entries are options
// beside it. Nulls, equal duplicates and keys that change nothing for a text are left out.
// Errors: UsageError naming a key that stands there twice with different values.
void read_scaling_map(const MapReader& reader, const YamlEntry& entry, StrategyChoice& choice);

// Other words for values of `rope_scaling`, and parameters of DeepSeek's, as ours.
// Errors: UsageError naming a parameter that changes numbers and has no counterpart.
void use_own_words(StrategyChoice& choice);

}  // namespace perdure
