// SPDX-License-Identifier: Apache-2.0

// Any text as a list of token ids is read or refused with an Error; what was read is written as
// text that reads the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apps/perdure/files.hpp"
#include "core/api/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kVocabulary = 320;
  try {
    const auto read = [](std::string_view text) {
      return perdure::app::parse_tokens(text, kVocabulary, "fuzz");
    };
    const auto tokens = read({reinterpret_cast<const char*>(data), size});
    std::string text;
    for (const int32_t token : tokens) {
      if (token < 0 || token >= kVocabulary) std::abort();
      text += std::to_string(token) + "\n";
    }
    if (read(text) != tokens) std::abort();
  } catch (const perdure::Error&) {
  }
  return 0;
}
