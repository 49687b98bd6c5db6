// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/quantity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace perdure::report {
namespace {

struct Prefix {
  double size;
  std::string_view name;
};

constexpr std::array<Prefix, 5> kBytes = {
    {{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}}};
constexpr std::array<Prefix, 3> kMicroseconds = {{{1, "\u00B5s"}, {1e3, "ms"}, {1e6, "s"}}};

// The prefixes of a unit that changes with the size of the figure; none for other units.
std::span<const Prefix> prefixes_of(std::string_view unit) {
  if (unit == "bytes") return kBytes;
  if (unit.starts_with("us")) return kMicroseconds;
  return {};
}

// The largest prefix that leaves at least one whole; `rounding` is what is rounded up to it.
const Prefix& prefix_for(std::span<const Prefix> prefixes, double value, double rounding) {
  size_t i = 0;
  while (i + 1 < prefixes.size() && std::abs(value) >= prefixes[i + 1].size * rounding) ++i;
  return prefixes[i];
}

std::string grouped(std::string digits) {
  const size_t first = digits.starts_with('-') ? 1 : 0;
  const size_t end = std::min(digits.find('.'), digits.size());
  for (size_t i = end; i > first + 3;) digits.insert(i -= 3, ",");
  return digits;
}

// Fixed digits where the eye can compare them, powers of ten where it cannot.
std::string plain_text(double value, double largest) {
  const double size = std::abs(value);
  if (size >= largest) return fmt::format("{:.2e}", value);
  if (size < 5e-4) return "0.000";
  if (size >= 9999.5) return grouped(fmt::format("{:.0f}", value));
  if (size >= 99.995) return grouped(fmt::format("{:.1f}", value));
  return fmt::format("{:.{}f}", value, size >= 9.9995 ? 2 : 3);
}

// Half of an interval: two digits that say something, in the unit of its figure.
std::string spread_text(double half, std::string_view unit) {
  if (unit == "share") return fmt::format("{:.1f}", 100 * half);
  if (!prefixes_of(unit).empty()) return figure_text(half, unit);
  if (half >= 1e7) return fmt::format("{:.1e}", half);
  return half < 9.5 ? fmt::format("{:#.2g}", half) : grouped(fmt::format("{:.0f}", half));
}

std::string three_digits(double value) {
  const double size = std::abs(value);
  return fmt::format("{:.{}f}", value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

}  // namespace

std::string guessing_text(Guessing guessing) {
  return guessing == Guessing::kWorse ? "worse than guessing" : "not distinguishable from guessing";
}

std::string figure_text(double value, std::string_view unit) {
  if (std::isnan(value)) return "no number";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (unit == "share" && value > 0 && value < 0.0005) return "< 0.1 %";
  if (unit == "share") return fmt::format("{:.1f} %", 100 * value);
  const std::span<const Prefix> prefixes = prefixes_of(unit);
  if (prefixes.empty()) return plain_text(value, unit == "tokens/s" ? 1e7 : 1e5);
  const Prefix& prefix = prefix_for(prefixes, value, 0.9995);
  if (unit == "bytes" && prefix.size == 1) return fmt::format("{:.0f} B", value);
  return fmt::format("{} {}", three_digits(value / prefix.size), prefix.name);
}

std::string quantity_text(double value, std::string_view unit) {
  if (std::isnan(value)) return figure_text(value, unit);
  const std::string heading = unit_in_heading(unit);
  return figure_text(value, unit) + (heading.empty() ? "" : " " + heading);
}

std::string interval_text(double low, double high, std::string_view unit) {
  if (std::isnan(low) || std::isnan(high)) return "no interval";
  const std::string_view between = low < 0 ? " to " : "\u2013";
  const std::string last = figure_text(high, unit);
  if (unit == "share") return fmt::format("{:.1f}{}{}", 100 * low, between, last);
  const bool bound = low == 0 && prefixes_of(unit).empty();  // no measurement: needs no digits
  return fmt::format("{}{}{}", bound ? "0" : figure_text(low, unit), between, last);
}

std::string figure_with_interval(const Interval& figure, std::string_view unit) {
  const std::string text = figure_text(figure.value, unit);
  const double below = figure.value - figure.low, above = figure.high - figure.value;
  if (!std::isfinite(figure.value) || !(below + above > 0)) return text;
  constexpr double kSymmetric = 0.05;
  const bool is_symmetric = std::abs(above - below) <= kSymmetric * (above + below);
  if (!is_symmetric || std::isinf(above + below))
    return fmt::format("{} ({})", text, interval_text(figure.low, figure.high, unit));
  return text + " \u00B1" + spread_text((above + below) / 2, unit);
}

std::string tick_text(double value, double step, std::string_view unit) {
  const bool share = unit == "share";
  const std::span<const Prefix> prefixes = prefixes_of(unit);
  const Prefix prefix = share              ? Prefix{0.01, "%"}
                        : prefixes.empty() ? Prefix{1, ""}
                                           : prefix_for(prefixes, value, 1 - 1e-9);
  const double shown = std::abs(value) < step * 1e-9 ? 0 : value / prefix.size;
  const double shown_step = step / prefix.size;
  const int decimals =
      shown_step > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(shown_step) - 1e-9)), 0, 9)
                     : 0;
  const bool large = std::abs(shown) >= 1e7;
  std::string text =
      large ? fmt::format("{:.3g}", shown) : grouped(fmt::format("{:.{}f}", shown, decimals));
  // 0.5 MB is written so, and not as 0.500.
  if (decimals > 0 && text.find('.') != std::string::npos && !prefixes.empty()) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
  }
  return prefix.name.empty() ? text : fmt::format("{} {}", text, prefix.name);
}

std::string unit_in_heading(std::string_view unit) {
  if (unit == "us/token") return "per token";
  return unit == "share" || !prefixes_of(unit).empty() ? "" : std::string(unit);
}

std::string count_text(int64_t count) { return grouped(std::to_string(count)); }

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count_text(count), count == 1 ? one : many);
}

}  // namespace perdure::report
