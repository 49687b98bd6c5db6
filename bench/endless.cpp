// SPDX-License-Identifier: Apache-2.0

// Whether time per token and memory stay flat over an endless text: reads N tokens one by one,
// takes the median time of every 1,000, and fits a line through them (least squares, 95 %
// interval), and one through the resident memory.
//   bench_endless MODEL N [key=value ...]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "plugins/linked_plugins.hpp"

namespace {

constexpr size_t kWindow = 1000;

struct Line {
  double mean, change_percent, interval_percent;  // over the whole run, relative to the mean
};

// Least squares over equally spaced points.
Line fit(const std::vector<double>& y) {
  const auto n = static_cast<double>(y.size());
  double mean_x = (n - 1) / 2, mean_y = 0;
  for (const double v : y) mean_y += v / n;
  double sxx = 0, sxy = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double dx = static_cast<double>(i) - mean_x;
    sxx += dx * dx;
    sxy += dx * (y[i] - mean_y);
  }
  const double slope = sxy / sxx;
  double residual = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double e = y[i] - mean_y - slope * (static_cast<double>(i) - mean_x);
    residual += e * e;
  }
  const double error = std::sqrt(residual / (n - 2) / sxx);
  return {mean_y, 100 * slope * (n - 1) / mean_y, 100 * 1.96 * error * (n - 1) / mean_y};
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * 4096;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_endless MODEL N_TOKENS [key=value ...]\n");
    return 2;
  }
  std::vector<std::string> overrides{"model.path=" + std::string(argv[1])};
  for (int i = 3; i < argc; ++i) overrides.push_back(argv[i]);
  const auto n_tokens = static_cast<size_t>(std::atoll(argv[2]));
  perdure::Engine engine(perdure::load_settings("", overrides), perdure::linked_plugins());
  perdure::Session session = engine.new_session();
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  std::vector<double> times, medians, resident;
  uint32_t random = 1;
  for (size_t i = 0; i < n_tokens; ++i) {
    random = random * 1664525u + 1013904223u;
    const int32_t token[] = {static_cast<int32_t>((random >> 8) % logits.size())};
    const auto start = std::chrono::steady_clock::now();
    engine.feed(session, token, logits);
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
    if (times.size() < kWindow) continue;
    std::nth_element(times.begin(), times.begin() + kWindow / 2, times.end());
    medians.push_back(times[kWindow / 2]);
    resident.push_back(resident_bytes());
    times.clear();
  }
  const Line time = fit(medians), memory = fit(resident);
  std::printf("tokens %zu, state %lld bytes\n", n_tokens,
              static_cast<long long>(session.state_bytes()));
  std::printf("time per token: mean of medians %.1f us, change over the run %+.2f %% +- %.2f %%\n",
              time.mean, time.change_percent, time.interval_percent);
  std::printf("resident memory: mean %.1f MB, change over the run %+.3f %% +- %.3f %%\n",
              memory.mean / 1e6, memory.change_percent, memory.interval_percent);
  const bool finite =
      std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); });
  std::printf("last logits %s\n", finite ? "finite" : "NOT finite");
  return finite ? 0 : 1;
}
