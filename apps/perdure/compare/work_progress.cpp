// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/work_progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {

ProgressText work_progress(const WorkDone& done, double seconds, const std::string& cell) {
  ProgressText text;
  if (done.all_estimated > 0)
    text.share = std::clamp(done.estimated / done.all_estimated, 0.0, 1.0);
  text.counts = fmt::format("{} of {} cells", done.cells, done.all_cells);
  text.rate = rate_text(done.tokens, seconds);
  if (text.share > 0) text.left = duration_text(seconds * (1 - text.share) / text.share) + " left";
  text.detail = cell;
  return text;
}

}  // namespace perdure::app
