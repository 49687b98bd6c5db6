// SPDX-License-Identifier: Apache-2.0

#include "core/base/shown_name.hpp"

namespace perdure {

std::string shown_name(std::string_view name) {
  constexpr size_t kMost = 80;
  std::string shown(name.substr(0, kMost));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return name.size() > kMost ? shown + "..." : shown;
}

}  // namespace perdure
