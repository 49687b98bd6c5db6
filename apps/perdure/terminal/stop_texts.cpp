// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/stop_texts.hpp"

#include <algorithm>
#include <utility>

namespace perdure::app {

StopTexts::StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {
  std::erase(texts_, "");
}

std::string StopTexts::push(std::string_view text) {
  if (found_) return "";
  pending_ += text;
  size_t end = std::string::npos;
  for (const std::string& stop : texts_) end = std::min(end, pending_.find(stop));
  found_ = end != std::string::npos;
  std::string shown = pending_.substr(0, found_ ? end : pending_.size() - held_back());
  pending_.erase(0, shown.size());
  if (found_) found_text_ = std::exchange(pending_, "");
  return shown;
}

std::string StopTexts::flush() { return std::exchange(pending_, ""); }

// Bytes at the end that begin a stop text.
size_t StopTexts::held_back() const {
  size_t held = 0;
  for (const std::string& stop : texts_)
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n)
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) held = n;
  return held;
}

}  // namespace perdure::app
