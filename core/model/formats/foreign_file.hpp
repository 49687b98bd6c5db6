// SPDX-License-Identifier: Apache-2.0

// Files that are often given in the place of a model or tokenizer, by how they begin.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace perdure {

// What the file is and what to do, as the end of a sentence that begins with its path; "" if it is
// none of these.
std::string foreign_model_file(std::span<const std::byte> bytes);

// Errors: Error with the path and what to do for what stands in the place of any file: a pointer of
// Git LFS, a web page, something compressed.
void refuse_foreign_file(std::span<const std::byte> bytes, const std::string& path);

}  // namespace perdure
