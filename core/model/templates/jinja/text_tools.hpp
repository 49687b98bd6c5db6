// SPDX-License-Identifier: Apache-2.0

// What Python's strings can do, on texts that keep their origins. Letters change their case in
// ASCII only; white space is Python's, beyond ASCII too. Errors: UsageError if the run has used up
// what it may.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/model/templates/jinja/value.hpp"

namespace perdure::jinja {

// Which ends of a text are meant.
enum class Ends { kBoth, kLeft, kRight };

// Without white space there, or without the characters of `characters`.
MarkedText stripped(Run& run, const MarkedText& text, Ends ends,
                    const std::optional<std::string>& characters);
MarkedText in_upper_case(Run& run, MarkedText text);
MarkedText in_lower_case(Run& run, MarkedText text);
// The first letter in upper case, the others in lower case.
MarkedText capitalized(Run& run, MarkedText text);
// The same of every word, a word beginning behind whatever is no letter (as str.title), or behind
// white space, '-' and an opening bracket (as the filter).
MarkedText titled(Run& run, MarkedText text, bool by_letters);
// `most`: replacements, -1 for all.
MarkedText replaced(Run& run, const MarkedText& text, const std::string& old,
                    const MarkedText& replacement, int64_t most);
// Pieces between separators, or between runs of white space; `most`: cuts, -1 for all.
std::vector<Value> split(Run& run, const MarkedText& text,
                         const std::optional<std::string>& separator, int64_t most,
                         bool from_right);
// Lines without their ends.
std::vector<MarkedText> lines_of(Run& run, const MarkedText& text);
MarkedText indented(Run& run, const MarkedText& text, const std::string& indentation, bool first,
                    bool blank);

}  // namespace perdure::jinja
