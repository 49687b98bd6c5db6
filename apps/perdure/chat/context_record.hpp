// SPDX-License-Identifier: Apache-2.0

// Which part of which text each chunk of a session's contexts is. Kept in the session, so saved and
// restored with it, and so a text that is named again is not read again, but for chunks that were
// forgotten. A text is known by its bytes, not by its name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.hpp"

namespace perdure::app {

// What a record calls a text.
std::string context_hash(std::string_view bytes);

class ContextRecord {
 public:
  // Empty where it does not describe the session's `n_chunks` chunks, as when another program added
  // some.
  ContextRecord(const Session& session, size_t n_chunks);

  // Chunks of a text, counted from 0, that are not among the contexts.
  std::vector<size_t> missing(const std::string& hash, size_t n_chunks) const;
  void add(const std::string& hash, size_t chunk) { chunks_.push_back({hash, chunk}); }
  // Takes chunk `number` of the contexts out, if the record describes it.
  void forget(size_t number);
  void save(Session& session) const;

 private:
  struct Chunk {
    std::string hash;
    size_t number;
  };
  std::vector<Chunk> chunks_;
};

}  // namespace perdure::app
