// SPDX-License-Identifier: Apache-2.0

// What a strategy declares, judged before the engine computes with it. Each function gives what is
// wrong as the rest of a sentence that begins with the plugin, or an empty string.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/api/strategy.hpp"

namespace perdure {

// `taken`: names that are keys of the host.
std::string problem_of(std::span<const OptionSpec> options,
                       std::span<const std::string_view> taken);
std::string problem_of(std::span<const Operation> operations);
std::string problem_of(const Traits& traits);
std::string problem_of(std::span<const StateSpec> states);
std::string problem_of(std::span<const ExtraRows> extra_rows);
std::string problem_of(std::span<const InputStream> streams);

}  // namespace perdure
