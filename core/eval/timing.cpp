// SPDX-License-Identifier: Apache-2.0

#include "core/eval/timing.hpp"

#include <chrono>

namespace perdure {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

TimedReader::TimedReader(const MeasureRun& run, int64_t done)
    : run_(run),
      done_(done),
      session_(run.engine.new_session()),
      logits_(static_cast<size_t>(run.engine.spec().info.vocab_size)) {}

std::vector<int32_t> TimedReader::random_tokens(int64_t count) {
  const auto vocab_size = static_cast<uint64_t>(run_.engine.spec().info.vocab_size);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random_.next_u32() % vocab_size));
  return tokens;
}

bool TimedReader::read_to(int64_t position) {
  const std::vector<int32_t> tokens = random_tokens(position - session_.position());
  const Feed feed[] = {{&session_, tokens, Feed::Logits::kLast}};
  const auto keep_going = [&] {
    return !run_.progress || run_.progress(done_ + session_.position());
  };
  const Clock::time_point start = Clock::now();
  run_.engine.feed(feed, [](size_t, size_t, std::span<const float>) {}, keep_going);
  seconds_ += seconds_since(start);
  return session_.position() == position;
}

double TimedReader::read_one() {
  const std::vector<int32_t> token = random_tokens(1);
  const Clock::time_point start = Clock::now();
  run_.engine.feed(session_, token, logits_);
  return seconds_since(start);
}

}  // namespace perdure
