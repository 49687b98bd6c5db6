// SPDX-License-Identifier: Apache-2.0

// The effective configuration of a run and the hash by which reports name it.
#pragma once

#include <string>

#include "core/engine/engine.hpp"

namespace perdure::app {

// YAML with the strategy that was chosen and all its options.
std::string effective_configuration(const Engine& engine);

// 32 hexadecimal digits.
std::string configuration_hash(const std::string& dump);

}  // namespace perdure::app
