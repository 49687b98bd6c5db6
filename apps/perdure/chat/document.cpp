// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/document.hpp"

#include <fmt/format.h>

#include <sstream>

#include "core/base/hash.hpp"

namespace perdure::app {
namespace {

std::string value_name(std::string_view text) {
  Hasher hasher;
  hasher.add(text);
  return "document." + hasher.hex();
}

}  // namespace

Document::Document(Session& session, std::string_view text, bool again)
    : session_(session), name_(value_name(text)), starts_(session.position() == 0) {
  const auto value = session_.value(name_);
  const std::string* words = value ? std::get_if<std::string>(&*value) : nullptr;
  if (again || words == nullptr) return;
  std::istringstream in(*words);
  int64_t done = 0, total = 0;
  bool starts = false;
  if (!(in >> done >> total >> starts) || done < 0 || done > total) return;
  done_ = done;
  total_ = total;
  starts_ = starts;
}

void Document::set_done(int64_t done, int64_t total) {
  done_ = done;
  total_ = total;
  session_.set_value(name_, fmt::format("{} {} {:d}", done, total, starts_));
}

}  // namespace perdure::app
