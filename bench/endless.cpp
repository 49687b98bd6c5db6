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
#include <cstring>
#include <fstream>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bench/line_fit.hpp"
#include "core/engine/engine.hpp"
#include "plugins/linked_plugins.hpp"

namespace {

constexpr size_t kWindow = 1000;
constexpr size_t kTwins = 20;
constexpr size_t kTwinTokens = 200;

struct Line {
  double mean, change_percent, interval_percent;  // over the whole run, relative to the mean
};

// Least squares over equally spaced points.
Line fit(const std::vector<double>& y) {
  std::vector<double> x(y.size());
  std::iota(x.begin(), x.end(), 0.0);
  const perdure::bench::LineFit line = perdure::bench::fit_line(x, y);
  const double percent = 100 * (static_cast<double>(y.size()) - 1) / line.mean;
  return {line.mean, percent * line.slope, percent * line.slope_interval};
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * 4096;
}

// A session restored from a snapshot of another, read along for a while.
class Twin {
 public:
  // Saves and restores once for practice: what that leaves in the allocator is no growth of the
  // run.
  explicit Twin(perdure::Engine& engine)
      : engine_(engine), logits_(static_cast<size_t>(engine.spec().info.vocab_size)) {
    start(engine.new_session());
    n_started_ = left_ = 0;
  }

  void start(const perdure::Session& original) {
    session_.emplace(engine_.new_session());
    session_->restore(original.snapshot());
    left_ = kTwinTokens;
    ++n_started_;
  }

  // Reads what the original read; `expected` is what it answered.
  void follow(std::span<const int32_t> token, const std::vector<float>& expected) {
    if (left_ == 0) return;
    engine_.feed(*session_, token, logits_);
    n_differing_ +=
        std::memcmp(logits_.data(), expected.data(), expected.size() * sizeof(float)) != 0;
    --left_;
  }

  size_t n_started() const { return n_started_; }
  size_t n_differing() const { return n_differing_; }

 private:
  perdure::Engine& engine_;
  std::optional<perdure::Session> session_;
  std::vector<float> logits_;
  size_t left_ = 0, n_started_ = 0, n_differing_ = 0;
};

// Where to restore: sorted random positions, far enough apart for a twin each.
std::vector<size_t> restore_places(size_t n_tokens) {
  std::mt19937_64 random(7);
  std::vector<size_t> places;
  const size_t stretch = n_tokens / kTwins;
  for (size_t i = 0; i < kTwins && stretch > 2 * kTwinTokens; ++i)
    places.push_back(i * stretch + random() % (stretch - kTwinTokens));
  return places;
}

struct Run {
  std::vector<double> median_us, resident;  // per window
  bool finite = true;
};

Run read_on(perdure::Engine& engine, perdure::Session& session, Twin& twin, size_t n_tokens) {
  Run run;
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  std::vector<double> times;
  const auto places = restore_places(n_tokens);
  std::mt19937 random(1);
  for (size_t i = 0; i < n_tokens; ++i) {
    if (twin.n_started() < places.size() && i == places[twin.n_started()]) twin.start(session);
    const int32_t token[] = {static_cast<int32_t>(random() % logits.size())};
    const auto start = std::chrono::steady_clock::now();
    engine.feed(session, token, logits);
    const auto time = std::chrono::steady_clock::now() - start;
    times.push_back(std::chrono::duration<double, std::micro>(time).count());
    twin.follow(token, logits);
    if (times.size() < kWindow) continue;
    std::nth_element(times.begin(), times.begin() + kWindow / 2, times.end());
    run.median_us.push_back(times[kWindow / 2]);
    run.resident.push_back(resident_bytes());
    times.clear();
  }
  run.finite = std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); });
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  const auto n_tokens = static_cast<size_t>(argc < 3 ? 0 : std::atoll(argv[2]));
  if (n_tokens < 3 * kWindow) {
    std::fprintf(stderr, "usage: bench_endless MODEL N_TOKENS [key=value ...], N_TOKENS >= 3000\n");
    return 2;
  }
  std::vector<std::string> overrides{"model.path=" + std::string(argv[1])};
  for (int i = 3; i < argc; ++i) overrides.push_back(argv[i]);
  perdure::Engine engine(perdure::load_settings("", overrides), perdure::linked_plugins());
  perdure::Session session = engine.new_session();
  Twin twin(engine);
  const Run run = read_on(engine, session, twin, n_tokens);
  const Line time = fit(run.median_us), memory = fit(run.resident);
  std::printf("tokens %zu, state %lld bytes\n", n_tokens,
              static_cast<long long>(session.state_bytes()));
  std::printf("time per token: mean of medians %.1f us, change over the run %+.2f %% +- %.2f %%\n",
              time.mean, time.change_percent, time.interval_percent);
  std::printf("resident memory: mean %.1f MB, change over the run %+.3f %% +- %.3f %%\n",
              memory.mean / 1e6, memory.change_percent, memory.interval_percent);
  std::printf("restored %zu times and read on for %zu tokens each: %zu tokens with other logits\n",
              twin.n_started(), kTwinTokens, twin.n_differing());
  std::printf("last logits %s\n", run.finite ? "finite" : "NOT finite");
  return run.finite && twin.n_differing() == 0 ? 0 : 1;
}
