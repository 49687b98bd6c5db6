// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/merge_table.hpp"

#include <string>

namespace perdure {

bool MergeTable::add(const Vocabulary& vocabulary, std::string_view merge) {
  const size_t space = merge.find(' ', 1);
  return space != merge.npos && add(vocabulary, merge.substr(0, space), merge.substr(space + 1));
}

bool MergeTable::add(const Vocabulary& vocabulary, std::string_view left, std::string_view right) {
  const int32_t a = vocabulary.find(left), b = vocabulary.find(right);
  const int32_t both = vocabulary.find(std::string(left).append(right));
  if (a < 0 || b < 0 || both < 0) return false;
  add(a, b, both);
  return true;
}

}  // namespace perdure
