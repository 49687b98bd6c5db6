// SPDX-License-Identifier: Apache-2.0

// Any text handed to the reader of task files is read or refused with a UsageError; what was read
// keeps its promises.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/api/error.hpp"
#include "core/eval/task_file.hpp"

namespace {

void read_tasks_of(std::string_view text) {
  for (const perdure::Task& task : perdure::parse_tasks(text, "fuzz"))
    if (task.answer.empty() || task.choices.size() == 1 ||
        (!task.choices.empty() && task.choices.at(task.right) != task.answer))
      std::abort();
}

void read_retrieved_of(std::string_view text) {
  for (const perdure::RetrievedText& retrieved : perdure::parse_retrieved(text, "fuzz"))
    if (retrieved.text.empty() ||
        (!retrieved.scores.empty() && retrieved.scores.size() != retrieved.passages.size()))
      std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto read : {read_tasks_of, read_retrieved_of}) try {
      read(text);
    } catch (const perdure::UsageError&) {
    }
  return 0;
}
