// SPDX-License-Identifier: Apache-2.0

// What a session may be called, in configurations and in stores (core/api/store.hpp).
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "core/base/shown_name.hpp"

namespace perdure {

inline bool is_session_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

// The sentence that refuses `name`.
inline std::string session_name_fault(std::string_view name) {
  return "'" + shown_name(name) +
         "' is not a session name: use 1 to 64 of A-Z a-z 0-9 . _ -, and not . or .. alone";
}

}  // namespace perdure
