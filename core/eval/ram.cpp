// SPDX-License-Identifier: Apache-2.0

// Bytes: the state of a session after a length, and the most that the process held while one read
// it. Whatever else the process holds counts too, so a peak is comparable only between processes
// that hold one engine.
#include <fstream>

#include "core/eval/measure_kind.hpp"
#include "core/eval/timing.hpp"

namespace perdure {
namespace {

// Lets the system count the peak of resident memory from now on (Linux, proc(5)).
void reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  if (!(file << "5" << std::flush))
    throw Error("this system does not let a process reset its peak RAM (clear_refs)");
}

int64_t peak_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (int64_t kibibytes = 0; word == "VmHWM:" && file >> kibibytes) return kibibytes * 1024;
  throw Error("this system does not report the peak RAM of a process (VmHWM)");
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "state_bytes", .title = "State of a session", .unit = "bytes"},
          {.name = "peak_bytes", .title = "Peak RAM of the process", .unit = "bytes"}};
}

int64_t tokens(const MeasureSpec&, int64_t length) { return length; }

std::optional<MeasureResult> run_ram(const MeasureRun& run) {
  reset_peak();
  TimedReader reader(run);
  if (!reader.read_to(run.length)) return std::nullopt;
  const auto state = static_cast<double>(run.engine.state_bytes(run.length));
  return MeasureResult{{{"state_bytes", {{0, {state}}}},
                        {"peak_bytes", {{0, {static_cast<double>(peak_bytes())}}}}}};
}

}  // namespace

MeasureKind ram_measure() {
  return {.info = {.name = "ram",
                   .help = "Bytes of a session's state at the length, and peak RAM of the "
                           "process while a text of that length is read.",
                   .cls = MeasureClass::kMachine,
                   .reads_text = false},
          .figures = figures,
          .tokens = tokens,
          .run = run_ram};
}

}  // namespace perdure
