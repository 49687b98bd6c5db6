// SPDX-License-Identifier: Apache-2.0

// Libraries that were never loaded before are tried in a child process first, so that one whose
// code ends the process or never returns is named and refused. What was found is kept in the user's
// cache folder for as long as the file stays as it is.
#pragma once

#include <string>

#include "core/runtime/plugin_file.hpp"

namespace perdure {

// What loading the library, calling its entry and its destructors at exit do to a process: nothing
// (empty), or the rest of a sentence as of outcome_in_child. `try_again`: a bad outcome from the
// cache is not believed. A cache that cannot be read or written is no error.
std::string probe_plugin(PluginFile& file, bool try_again);

}  // namespace perdure
