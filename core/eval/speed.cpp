// SPDX-License-Identifier: Apache-2.0

// Tokens per second at a length: reading a text of that length, then token by token at its end.
#include "core/eval/measure_kind.hpp"
#include "core/eval/timing.hpp"

namespace perdure {
namespace {

int64_t decoded(const MeasureSpec& spec, int64_t length) {
  return std::min(spec.decode_tokens, std::max<int64_t>(1, length / 2));
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "prefill_speed",
           .title = "Prefill speed",
           .unit = "tokens/s",
           .better = Better::kHigher},
          {.name = "decode_speed",
           .title = "Decode speed",
           .unit = "tokens/s",
           .better = Better::kHigher}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) { return (1 + spec.repeats) * length; }

std::optional<MeasureResult> run_speed(const MeasureRun& run) {
  const int64_t n_decoded = decoded(run.spec, run.length);
  const int64_t n_read = run.length - n_decoded;
  if (n_read < 1) throw UsageError("a length of one token is too short to measure speed");
  MeasurePoint prefill, decode;
  for (int64_t i = 0; i <= run.spec.repeats; ++i) {
    TimedReader reader(run, i * run.length);
    if (!reader.read_to(n_read)) return std::nullopt;
    double seconds = 0;
    while (reader.position() < run.length) seconds += reader.read_one();
    if (i == 0) continue;  // warms up
    prefill.samples.push_back(static_cast<double>(n_read) / reader.seconds());
    decode.samples.push_back(static_cast<double>(n_decoded) / seconds);
  }
  return MeasureResult{
      {{"prefill_speed", {std::move(prefill)}}, {"decode_speed", {std::move(decode)}}}};
}

}  // namespace

MeasureKind speed_measure() {
  return {.info = {.name = "speed",
                   .help = "Prefill speed over the length, and decode speed at its end, in tokens "
                           "per second.",
                   .cls = MeasureClass::kMachine,
                   .reads_text = false,
                   .options = {"decode_tokens", "repeats"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_speed};
}

}  // namespace perdure
