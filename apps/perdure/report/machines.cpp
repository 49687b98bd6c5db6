// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/machines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "apps/perdure/report/quantity.hpp"

namespace perdure::report {
namespace {

// What cells of one machine have in common, and the ranges of what they have not.
struct Machine {
  Circumstances first;
  double least_load = 0, most_load = 0;
  std::string first_day, last_day;
};

bool same_machine(const Circumstances& a, const Circumstances& b) {
  return std::tie(a.cpu, a.isa, a.threads, a.version) ==
         std::tie(b.cpu, b.isa, b.threads, b.version);
}

std::string day_of(const Circumstances& c) { return c.date.substr(0, c.date.find('T')); }

std::vector<Machine> machines_of(const Comparison& comparison) {
  std::vector<Machine> machines;
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.circumstances) continue;
    const Circumstances& c = *cell.circumstances;
    auto known = std::find_if(machines.begin(), machines.end(),
                              [&](const Machine& m) { return same_machine(m.first, c); });
    if (known == machines.end())
      known = machines.insert(machines.end(), {c, c.load, c.load, day_of(c), day_of(c)});
    known->least_load = std::min(known->least_load, c.load);
    known->most_load = std::max(known->most_load, c.load);
    known->first_day = std::min(known->first_day, day_of(c));
    known->last_day = std::max(known->last_day, day_of(c));
  }
  return machines;
}

std::string range(const std::string& first, const std::string& last) {
  return first == last ? first : first + " to " + last;
}

}  // namespace

std::vector<std::string> machine_lines(const Comparison& comparison) {
  std::vector<std::string> lines;
  for (const Machine& m : machines_of(comparison))
    lines.push_back(fmt::format(
        "{} ({}), {}, load {}, {}, perdure {}", m.first.cpu.empty() ? "a CPU" : m.first.cpu,
        m.first.isa, counted(m.first.threads, "thread", "threads"),
        range(fmt::format("{:.2f}", m.least_load), fmt::format("{:.2f}", m.most_load)),
        range(m.first_day, m.last_day), m.first.version));
  return lines;
}

}  // namespace perdure::report
