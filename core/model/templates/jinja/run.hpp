// SPDX-License-Identifier: Apache-2.0

// What one rendering of a template may cost, and where it is: whatever computes asks here first.
// Templates come with models, so none is trusted to end, or to stay small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

namespace perdure::jinja {

// Far above what the templates of known models need: the largest have 20 KB and 500 lines.
inline constexpr size_t kMostTemplateBytes = size_t{256} << 10;
inline constexpr int kMostNesting = 64;           // of blocks and brackets
inline constexpr int kMostExpressionDepth = 200;  // of an expression's tree
inline constexpr int kMostDepth = 400;            // of what is being evaluated, macros in macros
inline constexpr int kMostValueDepth = 64;        // of lists in lists
inline constexpr size_t kMostSteps = 2'000'000;
inline constexpr size_t kMostWork = size_t{16} << 20;           // bytes made or searched,
inline constexpr size_t kMostOutput = size_t{1} << 20;          // bytes of a text,
inline constexpr size_t kWorkPerByte = 64, kOutputPerByte = 8;  // and these for a byte of messages

// "NAME: line N: WHAT". Throws UsageError: another template can be chosen.
[[noreturn]] void fail_at(std::string_view name, int line, const std::string& what);
// A text of a template, fit for a message: one line, not too long.
std::string shown(std::string_view text);

class Run {
 public:
  // `input_bytes`: of all messages. `now`: the time of strftime_now().
  Run(std::string_view name, size_t input_bytes, std::time_t now)
      : name_(name),
        now_(now),
        most_work_(kMostWork + kWorkPerByte * input_bytes),
        most_output_(kMostOutput + kOutputPerByte * input_bytes) {}

  std::time_t now() const { return now_; }
  // The line that errors name from now on; the one before.
  int move_to(int line) { return std::exchange(line_, line); }
  [[noreturn]] void fail(const std::string& what) const { fail_at(name_, line_, what); }

  // Errors of the following: UsageError when the run has used up what it may.
  void step(size_t count = 1);
  // Bytes that are about to be made or searched.
  void work(size_t bytes);
  // A text has so many bytes.
  void require_output(size_t bytes) const;

 private:
  friend class Deeper;

  std::string_view name_;
  std::time_t now_;
  size_t most_work_, most_output_;
  int line_ = 1, depth_ = 0;
  size_t steps_ = 0, work_ = 0;
};

// One level more, as long as it lives. Errors: UsageError if there are too many.
class Deeper {
 public:
  explicit Deeper(Run& run) : run_(run) {
    if (run_.depth_ >= kMostDepth)
      run_.fail("the template is nested deeper than " + std::to_string(kMostDepth) + " levels");
    ++run_.depth_;
  }
  ~Deeper() { --run_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Run& run_;
};

}  // namespace perdure::jinja
