// SPDX-License-Identifier: Apache-2.0

// Strict JSON as a walk over its values, for headers of files that are not trusted: no document
// is built, duplicate keys and deep nesting are refused (a document parser would silently take the
// last of two equal keys).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

enum class JsonKind { kObject, kArray, kString, kInteger, kReal, kBool, kNull };

// Called for every value in order, containers before what they hold. `keys` leads from the
// outermost object to the value; elements of arrays stand under "[]". `text`: strings unescaped,
// other scalars as written; empty for containers.
using JsonVisit =
    std::function<void(const std::vector<std::string>& keys, JsonKind kind, std::string_view text)>;

// "args.n_heads": how messages name a value, whatever its keys are made of.
std::string json_key(const std::vector<std::string>& keys);

// How much is taken for a file of this kind; what is remembered while walking is bounded by it.
enum class JsonSize {
  kHeader,     // objects of at most 32,768 keys of at most 256 bytes: far above any model
  kVocabulary  // of at most 524,288 keys of at most 16 KiB
};

// Walks one value and white space. `first_byte` is where `text` starts in the file `path`.
// Errors: Error with path and byte offset or key; what `visit` throws.
void walk_json(std::string_view text, const std::string& path, int64_t first_byte,
               const JsonVisit& visit, JsonSize size = JsonSize::kHeader);

}  // namespace perdure
