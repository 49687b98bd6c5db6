// SPDX-License-Identifier: Apache-2.0

// Any text handed to the configuration reader is read or refused with a UsageError, and what was
// read is dumped to text that reads back to the same dump. Lines that start with '=' are taken as
// --set.
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "core/config/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text;
  std::vector<std::string> overrides;
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("="))
      overrides.push_back(line.substr(1));
    else
      text += line + "\n";
  }
  try {
    const std::string dump =
        perdure::dump_settings(perdure::parse_settings(text, "fuzz", "/base", overrides));
    if (perdure::dump_settings(perdure::parse_settings(dump, "dump", "/base")) != dump)
      std::abort();
  } catch (const perdure::UsageError&) {
  }
  return 0;
}
