// SPDX-License-Identifier: Apache-2.0

// Time per token and bytes of state at positions 1 to N of one session: the curve at powers of two,
// and a line through equally spaced positions (least squares, 95 % interval).
//   bench_positions MODEL N [key=value ...]
//
// What lies between the positions is read in large steps where memory is constant. Where it grows,
// reading would take the square of N: the state is filled with random rows instead, by restoring a
// snapshot that says so. What a token costs does not depend on the values.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "bench/line_fit.hpp"
#include "core/engine/engine.hpp"
#include "core/engine/snapshot.hpp"
#include "plugins/linked_plugins.hpp"

namespace {

using perdure::Engine;
using perdure::Session;

// How many positions and tokens are timed; the latter where a token costs more with every one.
struct Effort {
  size_t linear_points, timed_tokens;
};
constexpr Effort kConstant{32, 64}, kCostly{10, 8};

// Tokens read to begin with; a growing state is one that has as many rows then.
constexpr int64_t kFirstTokens = 13;

struct Point {
  int64_t position;  // tokens before the first that is timed
  double us;         // median
  int64_t state_bytes;
};

class Walk {
 public:
  explicit Walk(Engine& engine)
      : engine_(engine),
        session_(engine.new_session()),
        logits_(static_cast<size_t>(engine.spec().info.vocab_size)) {}

  // Requires: not before where the session is, unless its state grows.
  void go_to(int64_t position) {
    if (position == 0) return;
    if (grows())
      fill(position);
    else
      read(position - session_.position());
  }

  Point measure() {
    Point point{.position = session_.position(), .us = 0, .state_bytes = 0};
    std::vector<double> times;
    for (size_t i = 0; i < effort().timed_tokens; ++i) {
      const int32_t token[] = {next_token()};
      const auto start = std::chrono::steady_clock::now();
      engine_.feed(session_, token, logits_);
      const auto time = std::chrono::steady_clock::now() - start;
      times.push_back(std::chrono::duration<double, std::micro>(time).count());
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    point.us = *middle;
    point.state_bytes = session_.state_bytes();
    return point;
  }

  bool grows() const {
    return !engine_.traits().constant_memory && engine_.traits().window_length == 0;
  }
  Effort effort() const {
    return engine_.traits().constant_memory && engine_.traits().window_length == 0 ? kConstant
                                                                                   : kCostly;
  }
  int64_t position() const { return session_.position(); }

 private:
  int32_t next_token() { return static_cast<int32_t>(random_() % logits_.size()); }

  void read(int64_t n_tokens) {
    if (n_tokens <= 0) return;
    std::vector<int32_t> tokens(static_cast<size_t>(n_tokens));
    for (int32_t& token : tokens) token = next_token();
    const perdure::Feed feeds[] = {{&session_, tokens, perdure::Feed::Logits::kNone}};
    engine_.feed(feeds, [](size_t, size_t, std::span<const float>) {});
  }

  void fill(int64_t position) {
    session_ = engine_.new_session();
    read(kFirstTokens);
    perdure::SnapshotContents head = perdure::decode_snapshot_header(session_.snapshot());
    size_t size_bytes = 0;
    for (perdure::SnapshotTensor& tensor : head.tensors) {
      if (tensor.rows == kFirstTokens) tensor.rows = position;
      size_bytes += static_cast<size_t>(tensor.size_bytes());
    }
    head.position = position;
    head.tail.resize(static_cast<size_t>(std::min(position, Session::kTailLength)));
    std::vector<std::byte> bytes;
    bytes.reserve(size_bytes + size_bytes / 1024 + (size_t{1} << 20));
    perdure::write_snapshot(
        head,
        [&](const perdure::SnapshotRun& run, const perdure::ValueSink& sink) {
          give_rows(head.tensors[run.tensor].columns, run.rows, sink);
        },
        [&](std::span<const std::byte> piece) {
          bytes.insert(bytes.end(), piece.begin(), piece.end());
        });
    session_.restore(bytes);
  }

  void give_rows(int64_t n_columns, int64_t n_rows, const perdure::ValueSink& sink) {
    std::vector<float> row(static_cast<size_t>(n_columns));
    for (int64_t r = 0; r < n_rows; ++r) {
      for (float& value : row) value = static_cast<float>(random_() % 2001) / 1000.0f - 1.0f;
      sink(std::as_bytes(std::span(row)));
    }
  }

  Engine& engine_;
  Session session_;
  std::vector<float> logits_;
  std::minstd_rand random_{1};
};

// Equally spaced positions, and powers of two below the first of them.
std::vector<int64_t> places(int64_t n, size_t n_linear) {
  std::vector<int64_t> all{0};
  const int64_t stretch = n / static_cast<int64_t>(n_linear);
  for (int64_t power = 64; power < stretch; power *= 2) all.push_back(power);
  for (size_t i = 1; i <= n_linear; ++i) all.push_back(stretch * static_cast<int64_t>(i));
  return all;
}

void print_line(const std::vector<Point>& points, int64_t first) {
  std::vector<double> at, us;
  for (const Point& point : points)
    if (point.position >= first) {
      at.push_back(static_cast<double>(point.position));
      us.push_back(point.us);
    }
  if (at.size() < 3) return;
  const perdure::bench::LineFit fit = perdure::bench::fit_line(at, us);
  const double length = at.back() - at.front();
  std::printf(
      "from position %.0f to %.0f: mean %.1f us per token, slope %+.4f +- %.4f us per 1000 tokens, "
      "change %+.2f %% +- %.2f %%\n",
      at.front(), at.back(), fit.mean, 1000 * fit.slope, 1000 * fit.slope_interval,
      100 * fit.slope * length / fit.mean, 100 * fit.slope_interval * length / fit.mean);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t n = argc < 3 ? 0 : std::atoll(argv[2]);
  if (n < 1024) {
    std::fprintf(stderr, "usage: bench_positions MODEL N [key=value ...], N >= 1024\n");
    return 2;
  }
  try {
    std::vector<std::string> overrides{"model.path=" + std::string(argv[1])};
    for (int i = 3; i < argc; ++i) overrides.push_back(argv[i]);
    Engine engine(perdure::load_settings("", overrides), perdure::linked_plugins());
    Walk walk(engine);
    const size_t n_linear = walk.effort().linear_points;
    std::printf("%s, state %s\n  position   us/token     state bytes\n",
                engine.spec().format.c_str(), walk.grows() ? "filled with random rows" : "read");
    walk.go_to(kFirstTokens);  // warms up
    walk.measure();
    Walk measured(engine);
    std::vector<Point> points;
    for (const int64_t place : places(n, n_linear)) {
      if (place < measured.position() && !measured.grows()) continue;
      measured.go_to(place);
      points.push_back(measured.measure());
      const Point& p = points.back();
      std::printf("%10lld %10.1f %15lld\n", static_cast<long long>(p.position), p.us,
                  static_cast<long long>(p.state_bytes));
      std::fflush(stdout);
    }
    print_line(points, n / static_cast<int64_t>(n_linear));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_positions: %s\n", error.what());
    return 1;
  }
  return 0;
}
