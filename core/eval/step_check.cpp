// SPDX-License-Identifier: Apache-2.0

#include "core/eval/step_check.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace perdure {
namespace {

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab_size) {
  RandomState random;
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random.next_u32() % static_cast<uint64_t>(vocab_size)));
  return tokens;
}

int64_t checked_tokens(const Engine& engine, int64_t length) {
  return std::min({kCheckedTokens, length, engine.max_length().value_or(kCheckedTokens)});
}

[[noreturn]] void refuse(const std::string& what, size_t position) {
  throw UsageError("this entry cannot be compared: " + what + " at position " +
                   std::to_string(position));
}

void require_alike(std::span<const float> alone, std::span<const float> together, size_t position,
                   double tolerance) {
  for (size_t i = 0; i < alone.size(); ++i) {
    if (!std::isfinite(alone[i]) || !std::isfinite(together[i]))
      refuse("its logits are not finite", position);
    const double difference = std::abs(static_cast<double>(alone[i]) - together[i]);
    if (difference > tolerance * (1 + std::abs(static_cast<double>(alone[i]))))
      refuse("read in long steps, its logits differ by " + std::to_string(difference) +
                 " from those read token by token, as if it saw later tokens,",
             position);
  }
}

}  // namespace

void check_steps(Engine& engine, int64_t length) {
  if (engine.traits().window_length > 0) return;  // every row is a step of its own
  const int64_t vocab_size = engine.spec().info.vocab_size;
  const std::vector<int32_t> tokens = random_tokens(checked_tokens(engine, length), vocab_size);
  const double tolerance = kStepTolerance * (engine.settings().kernels.reproducible ? 1 : 100);
  std::vector<float> alone(static_cast<size_t>(vocab_size)), together;
  {
    Session many = engine.new_session();
    const Feed feed[] = {{&many, tokens, Feed::Logits::kAll}};
    engine.feed(feed, [&](size_t, size_t, std::span<const float> logits) {
      together.insert(together.end(), logits.begin(), logits.end());
    });
  }
  Session one = engine.new_session();
  for (size_t i = 0; i < tokens.size(); ++i) {
    engine.feed(one, std::span(tokens).subspan(i, 1), alone);
    require_alike(alone, std::span(together).subspan(i * alone.size(), alone.size()), i, tolerance);
  }
}

void check_accesses(const Engine& engine, std::span<const StaticPlugin> static_plugins,
                    int64_t length) {
  Settings settings = engine.settings();
  settings.kernels.check = true;
  Engine checked(settings, static_plugins, engine.shared_model());
  Session session = checked.new_session();
  const auto tokens =
      random_tokens(checked_tokens(checked, length), checked.spec().info.vocab_size);
  const Feed feed[] = {{&session, tokens, Feed::Logits::kLast}};
  try {
    checked.feed(feed, [](size_t, size_t, std::span<const float>) {});
  } catch (const Error& fault) {
    throw UsageError("this entry cannot be compared: " + std::string(fault.what()));
  }
}

}  // namespace perdure
