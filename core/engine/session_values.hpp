// SPDX-License-Identifier: Apache-2.0

// Named values that a session carries beside its state tensors and that are saved with it: what the
// engine must know to continue, and what an application wants to remember.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace perdure {

using SessionValue = std::variant<int64_t, std::string>;
using SessionValues = std::map<std::string, SessionValue, std::less<>>;

// Names that begin so are the engine's own.
inline constexpr std::string_view kEngineValues = "engine.";

// Removes the engine's number `name` from `values` and returns it; `otherwise` if it is not there,
// as in snapshots older than the name. Errors: Error if it is a text.
int64_t take_number(SessionValues& values, std::string_view name, int64_t otherwise);

// Errors: Error for the first of the engine's own names that is left.
void require_none_of_engine(const SessionValues& values);

}  // namespace perdure
