// SPDX-License-Identifier: Apache-2.0

// Values as text: JSON for `tojson`, and as Python prints lists and mappings.
#pragma once

#include <optional>
#include <string>

#include "core/model/templates/jinja/value.hpp"

namespace perdure::jinja {

struct JsonStyle {
  std::optional<int64_t> indent = {};  // spaces for each level, and a line for each item
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ensure_ascii = false;
};

// As Python's json.dumps; a byte of a string keeps its origin. Errors: UsageError for values that
// JSON has no word for, and when the run has used up what it may.
MarkedText json_text(Run& run, const Value& value, const JsonStyle& style);
// As Python's str() of a value that is no string.
MarkedText python_text(Run& run, const Value& value);

}  // namespace perdure::jinja
