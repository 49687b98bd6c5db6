// SPDX-License-Identifier: Apache-2.0

// Values of options, which are kept as texts, as JSON has them.
#pragma once

#include <string>

#include "core/base/json/json_write.hpp"
#include "core/config/map_reader.hpp"

namespace perdure {

// As people write it: flags and numbers are none of texts. Pure; any thread.
inline Json scalar_json(const std::string& text) {
  if (text == "true" || text == "false") return json(text == "true");
  if (const auto whole = scalar_to_int(text, false)) return json(*whole);
  if (const auto real = scalar_to_real(text, false)) return json(*real);
  return json(text);
}

}  // namespace perdure
