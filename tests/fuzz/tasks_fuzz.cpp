// SPDX-License-Identifier: Apache-2.0

// Any text handed to the reader of task files is read or refused with a UsageError; what was read
// keeps its promises.
#include <cstdint>
#include <cstdlib>

#include "core/api/error.hpp"
#include "core/eval/task_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const perdure::Task& task :
         perdure::parse_tasks({reinterpret_cast<const char*>(data), size}, "fuzz"))
      if (task.answer.empty() || task.choices.size() == 1 ||
          (!task.choices.empty() && task.choices.at(task.right) != task.answer))
        std::abort();
  } catch (const perdure::UsageError&) {
  }
  return 0;
}
