// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/eval/figures.hpp"

using namespace perdure;

namespace {

bool near(double a, double b, double tolerance = 1e-9) { return std::abs(a - b) < tolerance; }

}  // namespace

TEST_CASE("a mean has Student's interval") {
  const std::vector<double> samples{1, 2, 3, 4};
  const Interval mean = mean_interval(samples);
  CHECK(mean.value == 2.5);
  // s = sqrt(5/3), t(3) = 3.18244630528371, s / sqrt(4) * t
  CHECK(near(mean.high - 2.5, 2.0542604, 1e-6));
  CHECK(near(mean.high + mean.low, 5.0));
}

TEST_CASE("one sample is its own interval") {
  const Interval mean = mean_interval(std::vector<double>{3.5});
  CHECK(mean.low == 3.5);
  CHECK(mean.high == 3.5);
}

TEST_CASE("Student's t agrees with published tables on both sides of the table's end") {
  CHECK(near(student_t_975(1), 12.7062, 1e-4));
  CHECK(near(student_t_975(30), 2.0423, 1e-4));
  CHECK(near(student_t_975(31), 2.0395, 1e-4));
  CHECK(near(student_t_975(63), 1.9983, 1e-4));
  CHECK(near(student_t_975(1000), 1.9623, 1e-4));
}

TEST_CASE("a share has Wilson's interval, which is not empty where all samples agree") {
  const Interval half = share_interval(std::vector<double>{1, 0, 1, 0, 1, 0, 1, 0, 1, 0});
  CHECK(half.value == 0.5);
  CHECK(near(half.low, 0.2366, 1e-4));
  CHECK(near(half.high, 0.7634, 1e-4));
  const Interval all = share_interval(std::vector<double>(20, 1.0));
  CHECK(all.value == 1.0);
  CHECK(all.high == 1.0);
  CHECK(near(all.low, 0.8389, 1e-4));
}

TEST_CASE("a perplexity is the exponential of a mean loss") {
  const FigureInfo figure{.summary = Summary::kExpOfMean};
  const Interval perplexity = figure_interval(figure, std::vector<double>{1, 2, 3, 4});
  CHECK(near(perplexity.value, std::exp(2.5)));
  CHECK(near(perplexity.low * perplexity.high, std::exp(5.0), 1e-6));
}

TEST_CASE("paired differences forget what the samples have in common") {
  const std::vector<double> baseline{1, 10, 100, 1000};
  const std::vector<double> samples{1.5, 10.5, 100.5, 1000.5};
  const Interval difference = paired_difference(samples, baseline);
  CHECK(difference.value == 0.5);
  CHECK(difference.low == 0.5);
  CHECK(difference.high == 0.5);
}

TEST_CASE("what is not a number stays visible in a figure") {
  const Interval mean = mean_interval(std::vector<double>{1, NAN, 3});
  CHECK(std::isnan(mean.value));
  CHECK(std::isnan(mean.low));
  const Interval share = share_interval(std::vector<double>{1, NAN, 0});
  CHECK(std::isnan(share.value));
  CHECK(std::isnan(share.low));
  CHECK(std::isnan(share.high));
}

TEST_CASE("intervals stay inside the range of their figure") {
  const FigureInfo rate{.unit = "tokens/s"}, share{.unit = "share"};
  const Interval speed = figure_interval(rate, std::vector<double>{100, 5000, 200});
  CHECK(speed.low == 0);
  CHECK(speed.high > 5000);
  CHECK(figure_interval(share, std::vector<double>{1, 0.5, 0.9}).high == 1);
  CHECK(figure_interval(share, std::vector<double>{0, 0.5, 0.1}).low == 0);
}

TEST_CASE("the difference of samples that share nothing has Welch's interval") {
  // Means 3 and 5, variances of the means 1/2 and 1/6: 2/3 in all, 3.2 degrees of freedom.
  const Interval d =
      unpaired_difference(std::vector<double>{2, 4, 1, 5, 3}, std::vector<double>{4, 5, 6, 5});
  CHECK(d.value == -2);
  CHECK(near(d.high + d.low, -4));
  CHECK(std::isinf(unpaired_difference(std::vector<double>{1}, std::vector<double>{1, 2}).high));
}

TEST_CASE("the best is marked with whatever a paired test does not tell from it") {
  const FigureInfo loss{.unit = "nats"};
  const std::vector<double> best{1, 10, 100}, close{1.1, 9.9, 100.1}, worse{2, 11, 101.1},
      nan{NAN, 1, 1}, none{};
  const auto marks = [&](const FigureInfo& figure, std::vector<std::span<const double>> entries) {
    return best_of(figure, true, entries);
  };
  CHECK(marks(loss, {worse, close, best, nan, none}) ==
        std::vector<bool>{false, true, true, false, false});
  // Higher is better; a difference of every sample tells the two apart though their means overlap.
  FigureInfo higher = loss;
  higher.better = Better::kHigher;
  CHECK(marks(higher, {worse, close, best}) == std::vector<bool>{true, false, false});
  CHECK(marks(loss, {best, close}) == std::vector<bool>{false, false});  // all alike
  CHECK(marks(loss, {best, nan, none}) == std::vector<bool>(3, false));  // alone
  const std::vector<double> zeros{0, 0, 0};
  CHECK(marks(loss, {zeros, zeros, zeros}) == std::vector<bool>(3, false));
}

TEST_CASE("bytes differ exactly, one sample of anything else says nothing") {
  const std::vector<double> a{100}, b{200};
  const std::vector<std::span<const double>> entries{a, b};
  CHECK(best_of({.unit = "bytes"}, false, entries) == std::vector<bool>{true, false});
  CHECK(best_of({.unit = "tokens/s"}, false, entries) == std::vector<bool>{false, false});
}
