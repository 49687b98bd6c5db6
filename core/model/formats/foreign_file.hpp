// SPDX-License-Identifier: Apache-2.0

// Files that are often given in the place of another, by how they begin.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace perdure {

// What a file was asked for as.
enum class Wanted {
  kModel,
  kTokenizer,
  kSession,  // as `perdure memory import` reads it
  kText,     // JSON and templates that stand beside weights
  kDocument  // a prompt, a document: any text, also none
};

// What the file is and what to do, as the end of a sentence that begins with its path; "" if it may
// be what is wanted: its reader knows more. Pure; any thread.
std::string foreign_file(std::span<const std::byte> bytes, Wanted wanted);

// Errors: Error of the path and that sentence, unless it is "".
void refuse_foreign_file(std::span<const std::byte> bytes, const std::string& path, Wanted wanted);

}  // namespace perdure
