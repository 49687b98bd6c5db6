// SPDX-License-Identifier: Apache-2.0

// Reading plugin statements from arbitrary bytes: read, or refused by an Error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/api/error.hpp"
#include "core/runtime/elf_note.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const auto& statement :
         perdure::read_plugin_statements(std::as_bytes(std::span(data, size))))
      if (std::strlen(statement.name) >= sizeof statement.name) __builtin_trap();
  } catch (const perdure::Error&) {
  }
  return 0;
}
