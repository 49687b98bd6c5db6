// SPDX-License-Identifier: Apache-2.0

// One candidate for a plugin: may this file be trusted, what does it state, does it fit this
// program, and, last of all, its entry function. Called by the plugin host only.
#pragma once

#include <string>
#include <string_view>

#include "core/api/plugin.h"

namespace perdure {

// Judges the file at the absolute path `path` without running any of its code.
// Errors: Error, one sentence without the path, if it is missing, not a regular file, if everybody
// may write to it or put something else in its place, or if it is not exactly one plugin.
perdure_plugin_statement read_plugin_file(const std::string& path);

// This program's build id for plugins of a kind (core/api/plugin.h); empty for kernels.
std::string_view build_id_of(std::string_view kind);

// Errors: Error if the stated ABI, build id or CPU features are not this program's.
void check_plugin_statement(const perdure_plugin_statement& statement);

// Loads the library for the rest of the process's life and calls its entry function.
// Errors: Error if it cannot be loaded, lacks the entry, or the entry throws or returns nothing.
const void* load_plugin_file(const std::string& path, const perdure_plugin_statement& statement);

// Calls an entry function. Errors: Error if it throws or returns nothing.
const void* call_plugin_entry(const void* (*entry)());

}  // namespace perdure
