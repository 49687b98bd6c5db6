// SPDX-License-Identifier: Apache-2.0

// How far a session has read a document. It is kept in the session itself, so that it is saved,
// restored and forgotten with what was read. A document is known by its bytes, not by its name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/engine/engine.hpp"

namespace perdure::app {

class Document {
 public:
  // `again`: as if the session had never read it. Borrows the session.
  Document(Session& session, std::string_view text, bool again);

  // Whether its first token is, or was, the first one of the session: it then follows BOS.
  bool starts() const { return starts_; }
  // Tokens of it that the session has read; 0 if it remembers a document of another length.
  int64_t done(int64_t total) const { return total == total_ ? done_ : 0; }
  // Lets the session remember that it has read `done` of `total` tokens.
  void set_done(int64_t done, int64_t total);

 private:
  Session& session_;
  std::string name_;
  bool starts_;
  int64_t done_ = 0, total_ = 0;
};

}  // namespace perdure::app
