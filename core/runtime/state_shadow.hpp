// SPDX-License-Identifier: Apache-2.0

// What the checked mode (`kernels.check: true`) knows about one session's state: which logical row
// every physical row holds and which row of the text wrote it. The state itself is not touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/api/kernel.h"

namespace perdure {

// Who wrote a state row: the position of a row of the text, or one of these.
inline constexpr int64_t kWrittenEarlier = -1;  // before this row of the text by any measure
inline constexpr int64_t kNeverWritten = -2;

// One session. One thread at a time.
class StateShadow {
 public:
  // Row counts that stand for every row there is.
  static constexpr int64_t kAll = INT64_MAX;

  // `written[n]`: logical rows of state n that are there from the start.
  explicit StateShadow(const std::vector<int64_t>& written);

  // From here on the first `written` rows of a state count as written, as far as its ring has not
  // lost them: the session was restored, forked or cut back, or an operation that the checker does
  // not know wrote.
  void trust(size_t state, int64_t written);

  // What is wrong with a row of the text at `position` (INT64_MAX: it may see everything) reading
  // logical rows first .. end - 1 of a state; nothing if all is well.
  std::optional<std::string> check_read(size_t state, const perdure_state_view& view, int64_t first,
                                        int64_t end, int64_t position) const;
  // The same for writing a row; notes it as written by `position` in node number `node`, counted
  // over all steps.
  std::optional<std::string> write(size_t state, const perdure_state_view& view, int64_t index,
                                   int64_t position, uint64_t node);

  // Notes that a row of the text at `position` adds to a row; nothing if the state has no such row.
  void add(size_t state, const perdure_state_view& view, int64_t index, int64_t position,
           uint64_t node);

 private:
  struct Row {
    int64_t index = 0;
    int64_t writer = kNeverWritten;
    uint64_t node = 0;  // that wrote it
  };
  struct State {
    int64_t trusted = 0;    // rows before this one that are not in `rows` were written earlier
    std::vector<Row> rows;  // by physical row; grows on demand
  };
  const Row* find(size_t state, int64_t physical) const;
  Row& at(size_t state, int64_t physical);
  // A row that is not in `rows`.
  std::optional<std::string> check_trusted(size_t state, const perdure_state_view& view,
                                           int64_t index) const;

  std::vector<State> states_;
};

}  // namespace perdure
