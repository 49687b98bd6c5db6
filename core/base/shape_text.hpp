// SPDX-License-Identifier: Apache-2.0

// Shapes of tensors in messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace perdure {

// "[2, 3]", outermost first. Pure.
inline std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "[" + text + "]";
}

}  // namespace perdure
