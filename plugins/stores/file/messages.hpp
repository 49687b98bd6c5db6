// SPDX-License-Identifier: Apache-2.0

// The sentences of errors that the store's files share.
#pragma once

#include <string>
#include <string_view>

namespace perdure::file_store {

// "cannot `verb` session 'NAME' in PATH".
std::string describe(const char* verb, std::string_view name, const std::string& path);
std::string describe_save(std::string_view name, const std::string& path);

// Throws Error: `what` failed at `step` with this errno, and what to do about it.
[[noreturn]] void fail(const std::string& what, const char* step, int error);

}  // namespace perdure::file_store
