// SPDX-License-Identifier: Apache-2.0

// How figures are written for people: as many digits as say something, with their unit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/eval/figures.hpp"
#include "core/eval/results.hpp"

namespace perdure::report {

// `unit` is one of a measure ("nats", "share", "bytes", "us/token", "tokens/s", ...). Shares are
// shown in per cent, bytes in powers of 1000, microseconds as such, ms or s; others as they are.
// "no number" and "inf" for what is none.

// What a warning says of a figure. Requires: not kBetter.
std::string guessing_text(Guessing guessing);
// As in a table whose heading names the unit: "1.234", "83.3 %", "12.3 MB".
std::string figure_text(double value, std::string_view unit);
// As in a sentence: "1.234 nats".
std::string quantity_text(double value, std::string_view unit);
// Both ends of an interval: "1.229–1.241", with a word where a minus stands.
std::string interval_text(double low, double high, std::string_view unit);
// "2.346 ±0.050"; an interval that is not symmetric, as at the end of a range, is written out:
// "97.0 % (90.2–99.1 %)". Without interval only the value.
std::string figure_with_interval(const Interval& figure, std::string_view unit);
// Of an axis whose ticks are `step` apart: "1.25", "50 %", "10 MB".
std::string tick_text(double value, double step, std::string_view unit);
// What a heading says of the unit, or nothing if the figures carry theirs: "nats".
std::string unit_in_heading(std::string_view unit);

// "32,768".
std::string count_text(int64_t count);
// "1 entry", "3 entries".
std::string counted(int64_t count, std::string_view one, std::string_view many);

}  // namespace perdure::report
