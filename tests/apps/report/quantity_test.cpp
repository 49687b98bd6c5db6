// SPDX-License-Identifier: Apache-2.0
#include "apps/perdure/report/quantity.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "apps/perdure/report/scale.hpp"

namespace perdure::report {

TEST_CASE("figures have the digits that say something, and their unit") {
  CHECK(figure_text(1.23456, "nats") == "1.235");
  CHECK(figure_text(12.3456, "nats") == "12.35");
  CHECK(figure_text(9.99951, "nats") == "10.00");
  CHECK(figure_text(1e9, "nats") == "1.00e+09");
  CHECK(figure_text(0, "nats") == "0.000");
  CHECK(figure_text(-1.4e-7, "nats") == "0.000");
  CHECK(figure_text(0.8333, "share") == "83.3 %");
  CHECK(figure_text(1e-5, "share") == "< 0.1 %");
  CHECK(figure_text(123456.7, "tokens/s") == "123,457");
  CHECK(figure_text(999, "bytes") == "999 B");
  CHECK(figure_text(999600, "bytes") == "1.00 MB");
  CHECK(figure_text(1310720, "bytes") == "1.31 MB");
  CHECK(figure_text(1234, "us/token") == "1.23 ms");
  CHECK(quantity_text(1234, "us/token") == "1.23 ms per token");
  CHECK(quantity_text(1.5, "nats") == "1.500 nats");
  CHECK(figure_text(std::numeric_limits<double>::quiet_NaN(), "nats") == "no number");
  CHECK(quantity_text(std::numeric_limits<double>::quiet_NaN(), "nats") == "no number");
  CHECK(figure_text(-std::numeric_limits<double>::infinity(), "bytes") == "-inf");
}

TEST_CASE("an interval that begins below zero is not written with a dash") {
  CHECK(interval_text(1.2, 1.3, "nats") == "1.200\u20131.300");
  CHECK(interval_text(0, 29183, "tokens/s") == "0\u201329,183");
  CHECK(interval_text(0, 0.25, "share") == "0.0\u201325.0 %");
  CHECK(interval_text(-0.2, -0.1, "nats") == "-0.200 to -0.100");
  CHECK(interval_text(1, std::numeric_limits<double>::quiet_NaN(), "nats") == "no interval");
}

TEST_CASE("an interval is half its width, or both ends where they are not alike") {
  CHECK(figure_with_interval({2.35, 2.3, 2.4}, "nats") == "2.350 \u00B10.050");
  CHECK(figure_with_interval({0.5, 0.4, 0.6}, "share") == "50.0 % \u00B110.0");
  CHECK(figure_with_interval({0, 0, 0.1}, "share") == "0.0 % (0.0\u201310.0 %)");
  CHECK(figure_with_interval({123456, 123456, 123456}, "bytes") == "123 kB");
  CHECK(figure_with_interval({12345.6, 12300, 12391.2}, "tokens/s") == "12,346 \u00B146");
  CHECK(figure_with_interval({12345.6, 12345.6, 12345.6}, "tokens/s") == "12,346");
  CHECK(figure_with_interval({7.9e226, 7.9e226, 7.9e226}, "") == "7.90e+226");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(figure_with_interval({nan, nan, nan}, "nats") == "no number");
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(figure_with_interval({1e268, 1e215, inf}, "") == "1.00e+268 (1.00e+215\u2013inf)");
}

TEST_CASE("the texts of ticks differ") {
  CHECK(tick_text(1.25, 0.05, "nats") == "1.25");
  CHECK(tick_text(0, 0.5, "nats") == "0.0");
  CHECK(tick_text(-1e-17, 20, "bytes") == "0 B");
  CHECK(tick_text(0.5, 0.25, "share") == "50 %");
  CHECK(tick_text(32768, 1, "") == "32,768");
  CHECK(tick_text(5e5, 5e5, "bytes") == "500 kB");
  CHECK(tick_text(1.5e6, 5e5, "bytes") == "1.5 MB");
}

TEST_CASE("counts are grouped and have their noun") {
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(-1000) == "-1,000");
  CHECK(counted(1, "entry", "entries") == "1 entry");
  CHECK(counted(0, "entry", "entries") == "0 entries");
}

TEST_CASE("ticks are round and lie within the range") {
  CHECK(ticks(ScaleKind::kLinear, {0.9, 3.2}, 6) == std::vector{1.0, 1.5, 2.0, 2.5, 3.0});
  CHECK(ticks(ScaleKind::kLog2, {256, 2048}, 8) == std::vector{256.0, 512.0, 1024.0, 2048.0});
  CHECK(ticks(ScaleKind::kLog2, {1, 65536}, 6).size() <= 6);
  CHECK(ticks(ScaleKind::kLog10, {900, 2e6}, 8) == std::vector{1e3, 1e4, 1e5, 1e6});
  CHECK(ticks(ScaleKind::kLog10, {150, 700}, 8) == std::vector{200.0, 500.0});
}

TEST_CASE("scales put the ends of their range where they should be") {
  const Scale log = {ScaleKind::kLog2, {256, 4096}, 0, 100};
  CHECK(log(256) == doctest::Approx(0));
  CHECK(log(1024) == doctest::Approx(50));
  CHECK(log(4096) == doctest::Approx(100));
  const Scale down = {ScaleKind::kLinear, {0, 2}, 100, 0};
  CHECK(down(0.5) == doctest::Approx(75));
  CHECK(widened({512, 512}, ScaleKind::kLog2).low == 256);
  CHECK(widened({0, 0}, ScaleKind::kLinear).low < widened({0, 0}, ScaleKind::kLinear).high);
}

}  // namespace perdure::report
