// SPDX-License-Identifier: Apache-2.0

// Letters of ASCII, whatever the locale: for words that may be written in capitals. Pure; any
// thread.
#pragma once

#include <string>

namespace perdure {

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "Q4_K" -> "q4_k"; other bytes stay.
inline std::string in_lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace perdure
