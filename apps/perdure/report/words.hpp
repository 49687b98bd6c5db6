// SPDX-License-Identifier: Apache-2.0

// Words that have to fit into a picture.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure/report/markup.hpp"

namespace perdure::report {

// The text, its middle left out if it is wider than `width` pixels.
std::string fitted(const std::string& text, double width, double font_size);

// The sentence in lines that are at most about `width` pixels wide.
std::vector<std::string> wrapped(const std::string& sentence, double width, double font_size);

// Writes notes below a drawing, broken into lines; returns the y below them.
double draw_notes(Markup& shapes, const std::vector<std::string>& notes, double y, double width);

}  // namespace perdure::report
