// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/document.hpp"

#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "apps/perdure/chat/session_notes.hpp"
#include "core/base/hash.hpp"

namespace perdure::app {
namespace {

// What a session remembers of a document.
struct Reading {
  int64_t done = 0, total = 0;
  bool begins = false;
};

std::string value_name(std::string_view text) {
  Hasher hasher;
  hasher.add(text);
  return "document." + hasher.hex();
}

std::optional<Reading> reading_of(const Session& session, const std::string& name) {
  const auto words = text_value(session, name);
  if (!words) return std::nullopt;
  std::istringstream in(*words);
  Reading reading;
  const bool whole(in >> reading.done >> reading.total >> reading.begins);
  if (!whole || reading.done < 0 || reading.done > reading.total) return std::nullopt;
  return reading;
}

}  // namespace

std::vector<int32_t> encode_part(const Tokenizer& tokenizer, std::string_view text, bool begins) {
  return begins ? tokenizer.encode(text, true, false) : tokenizer.encode_text(text, false);
}

Document::Document(Session& session, const Tokenizer& tokenizer, std::string_view text, bool again)
    : session_(session), name_(value_name(text)), begins_(session.position() == 0) {
  const auto before = again ? std::nullopt : reading_of(session, name_);
  if (before) begins_ = before->begins;
  tokens_ = encode_part(tokenizer, text, begins_);
  if (!before) return;
  // An earlier version may have cut the text into other tokens: what it read to the end is read.
  if (before->done == before->total)
    done_ = total();
  else if (before->total == total())
    done_ = before->done;
}

void Document::set_done(int64_t done) {
  done_ = done;
  session_.set_value(name_, fmt::format("{} {} {:d}", done, total(), begins_));
}

}  // namespace perdure::app
