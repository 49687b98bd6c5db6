// SPDX-License-Identifier: Apache-2.0

// Texts that end an answer (--stop), found while it is written, across tokens. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perdure::app {

class StopTexts {
 public:
  // Empty texts are left out.
  explicit StopTexts(std::vector<std::string> texts = {});

  // Takes what was written; returns what may be shown: nothing of a stop text, and nothing that may
  // still become one.
  std::string push(std::string_view text);
  // A stop text has come: nothing is shown any more.
  bool found() const { return found_; }
  // A stop text that was found, and what was written behind it; "" if none was.
  const std::string& found_text() const { return found_text_; }
  // What was held back.
  std::string flush();

 private:
  size_t held_back() const;

  std::vector<std::string> texts_;
  std::string pending_, found_text_;
  bool found_ = false;
};

}  // namespace perdure::app
