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

void require_finite(std::span<const float> logits, size_t position) {
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); }))
    refuse("its logits are not finite", position);
}

// `how` they were read and what the difference looks like: {"read in long steps", "as if ..."}.
struct Reading {
  const char* how;
  const char* suspicion;
};

void require_alike(std::span<const float> alone, std::span<const float> together, size_t position,
                   double tolerance, const Reading& reading) {
  require_finite(alone, position);
  require_finite(together, position);
  for (size_t i = 0; i < alone.size(); ++i) {
    const double difference = std::abs(static_cast<double>(alone[i]) - together[i]);
    if (difference > tolerance * (1 + std::abs(static_cast<double>(alone[i]))))
      refuse(std::string(reading.how) + ", its logits differ by " + std::to_string(difference) +
                 " from those read token by token, " + reading.suspicion + ",",
             position);
  }
}

// A whole window is a step of its own, and dear: three are compared, the first, a middle one and
// the last, which has moved on if the text is long enough. Tokens without requested logits cost
// nothing.
void check_windows(Engine& engine, int64_t length) {
  const int64_t n = std::min({engine.traits().window_length + kCheckedTokens, length,
                              engine.max_length().value_or(INT64_MAX)});
  const int64_t vocab_size = engine.spec().info.vocab_size;
  const std::vector<int32_t> tokens = random_tokens(n, vocab_size);
  const double tolerance = engine.settings().kernels.reproducible ? 0 : 100 * kStepTolerance;
  std::vector<float> alone(static_cast<size_t>(vocab_size)), together(alone.size());
  Session one = engine.new_session(), many = engine.new_session();
  size_t read = 0;
  for (const int64_t end : {int64_t{1}, (n + 1) / 2, n}) {
    const auto piece = std::span(tokens).subspan(read, static_cast<size_t>(end) - read);
    if (piece.empty()) continue;
    engine.feed(many, piece, together);
    for (size_t i = 0; i + 1 < piece.size(); ++i) {
      const Feed silent[] = {{&one, piece.subspan(i, 1), Feed::Logits::kNone}};
      engine.feed(silent, [](size_t, size_t, std::span<const float>) {});
    }
    engine.feed(one, piece.last(1), alone);
    read += piece.size();
    require_alike(alone, together, read - 1, tolerance,
                  {"read in long pieces", "as if it kept more than its window"});
  }
}

}  // namespace

void check_steps(Engine& engine, int64_t length) {
  if (engine.traits().window_length > 0) {
    check_windows(engine, length);
    return;
  }
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
    require_alike(alone, std::span(together).subspan(i * alone.size(), alone.size()), i, tolerance,
                  {"read in long steps", "as if it saw later tokens"});
  }
}

void check_accesses(const Engine& engine, std::span<const StaticPlugin> static_plugins,
                    int64_t length) {
  Settings settings = engine.settings();
  settings.kernels.check = true;
  Engine checked(settings, static_plugins, engine.shared_model());
  const auto tokens =
      random_tokens(checked_tokens(checked, length), checked.spec().info.vocab_size);
  const auto read = [&](Engine& reader, const LogitsSink& sink) {
    Session session = reader.new_session();
    const Feed feed[] = {{&session, tokens, Feed::Logits::kLast}};
    reader.feed(feed, sink);
  };
  try {
    read(checked, [](size_t, size_t, std::span<const float>) {});
  } catch (const Error& fault) {
    // A model whose weights are broken is reported in the user's terms, not by the node.
    settings.kernels.check = false;
    Engine plain(settings, static_plugins, engine.shared_model());
    read(plain, [&](size_t, size_t, std::span<const float> logits) {
      require_finite(logits, tokens.size() - 1);
    });
    throw UsageError("this entry cannot be compared: " + std::string(fault.what()));
  }
}

}  // namespace perdure
