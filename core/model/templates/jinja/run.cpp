// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/run.hpp"

#include <algorithm>

#include "core/api/error.hpp"
#include "core/base/escape.hpp"

namespace perdure::jinja {

void fail_at(std::string_view name, int line, const std::string& what) {
  throw UsageError(std::string(name) + ": line " + std::to_string(line) + ": " + what);
}

std::string shown(std::string_view text) {
  constexpr size_t kMost = 300;
  std::string line = escaped(text.substr(0, kMost));
  std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text.size() > kMost ? line + "..." : line;
}

void Run::step(size_t count) {
  steps_ += count;
  if (steps_ > kMostSteps)
    fail("the template takes more than " + std::to_string(kMostSteps) + " steps");
}

void Run::work(size_t bytes) {
  if (bytes > most_work_ - work_)
    fail("the template makes or searches more than " + std::to_string(most_work_) +
         " bytes of text");
  work_ += bytes;
}

void Run::require_output(size_t bytes) const {
  if (bytes > most_output_)
    fail("the template writes more than " + std::to_string(most_output_) + " bytes");
}

}  // namespace perdure::jinja
