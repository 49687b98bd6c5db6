// SPDX-License-Identifier: Apache-2.0

// The style sheets and the script of assets/, put into the program when it is built.
#pragma once

#include <string_view>

namespace perdure::report {

// Of pictures, alone or in a page; of the page around them; what the page can do where scripts run.
// None of them holds '<', '&' or "]]>", so that they may stand in HTML and in XML as they are.
std::string_view picture_style();
std::string_view page_style();
std::string_view page_script();

}  // namespace perdure::report
