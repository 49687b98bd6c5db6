// SPDX-License-Identifier: Apache-2.0

// Ids by text: what vocabularies look tokens up in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/flat_map.hpp"
#include "core/base/hash.hpp"

namespace perdure {

// Borrows the texts. Immutable once all are added; any thread.
class TextIndex {
 public:
  void reserve(size_t n_texts) { ids_.reserve(n_texts); }
  // Of equal texts the first counts; whether this is the first. Requires: id >= 0.
  bool add(std::string_view text, int32_t id) { return ids_.add(text, {id}); }
  // -1: there is none.
  int32_t find(std::string_view text) const { return ids_.find(text).id; }

 private:
  struct Id {
    int32_t id = -1;
  };
  struct Hash {
    uint64_t operator()(std::string_view text) const { return hash64(text); }
  };

  FlatMap<std::string_view, Id, Hash> ids_;
};

}  // namespace perdure
