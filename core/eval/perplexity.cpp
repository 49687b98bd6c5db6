// SPDX-License-Identifier: Apache-2.0

// Perplexity by a sliding window: windows of `length` tokens move on by `stride`, each scores its
// last `stride` targets, so that every target is seen once and with at least length - stride tokens
// before it.
#include "core/eval/measure_kind.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

int64_t stride_of(const MeasureSpec& spec, int64_t length) {
  return spec.stride > 0 ? spec.stride : std::max<int64_t>(1, length / 2);
}

std::vector<FigureInfo> figures(const MeasureSpec& spec) {
  const std::string stride =
      spec.stride > 0 ? "a stride of " + std::to_string(spec.stride) : "half of it as stride";
  return {{.name = "perplexity",
           .title = "Perplexity, the length as window and " + stride,
           .unit = "",
           .summary = Summary::kExpOfMean}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) { return spec.samples * length; }

std::optional<MeasureResult> run_perplexity(const MeasureRun& run) {
  const int64_t stride = stride_of(run.spec, run.length);
  if (stride > run.length)
    throw UsageError("a stride of " + std::to_string(stride) + " is longer than the window of " +
                     std::to_string(run.length) + " tokens; make it smaller");
  const std::vector<int64_t> ends =
      consecutive_ends(run.text, run.spec.samples, run.longest(), stride);
  MeasurePoint point;
  const bool whole = read_windows(
      run.engine, std::ssize(ends),
      [&](int64_t i) {
        return text_window(run.text, ends[static_cast<size_t>(i)], run.length, stride);
      },
      [&](int64_t, std::span<const RowScore> scores) {
        point.samples.push_back(mean_loss(scores));
      },
      run.progress);
  if (!whole) return std::nullopt;
  return MeasureResult{
      {{"perplexity", {std::move(point)}, static_cast<double>(run.engine.spec().info.vocab_size)}}};
}

}  // namespace

MeasureKind perplexity_measure() {
  return {.info = {.name = "perplexity",
                   .help = "Perplexity of consecutive targets by a window that slides over the "
                           "text.",
                   .options = {"samples", "stride"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_perplexity};
}

}  // namespace perdure
