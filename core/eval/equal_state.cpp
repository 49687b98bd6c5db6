// SPDX-License-Identifier: Apache-2.0

#include "core/eval/equal_state.hpp"

#include <algorithm>
#include <string>

#include "core/api/error.hpp"

namespace perdure {
namespace {

std::string refusal(const Settings& settings, int64_t bytes, int64_t budget) {
  return "compare.equal_state: the state takes " + std::to_string(bytes) +
         " bytes, more than the baseline's " + std::to_string(budget) +
         ", and attention.strategy: " + settings.attention.choice.strategy +
         " has no window that could make it smaller";
}

// Tokens after which a session holds at most the budget: state grows with them.
int64_t tokens_within(const Engine& engine, int64_t length, int64_t budget) {
  int64_t fits = 0, exceeds = length;
  while (exceeds - fits > 1) {
    const int64_t middle = fits + (exceeds - fits) / 2;
    (engine.state_bytes(middle) <= budget ? fits : exceeds) = middle;
  }
  return fits;
}

int64_t sinks_of(const Engine& engine) {
  const auto& options = engine.strategy_options()[0].all();
  const auto found = options.find("sinks");
  const auto* sinks = found == options.end() ? nullptr : std::get_if<int64_t>(&found->second);
  return sinks == nullptr ? 0 : *sinks;
}

}  // namespace

Settings with_state_below(Settings settings, int64_t length, int64_t budget_bytes,
                          std::span<const StaticPlugin> static_plugins) {
  settings.attention.eval_length = length;
  StrategyChoice& choice = settings.attention.choice;
  int64_t window = 0;
  {
    const Engine engine(settings, static_plugins);
    const int64_t bytes = engine.state_bytes(length);
    if (bytes <= budget_bytes) return settings;
    const bool windowed = choice.strategy == "full" || choice.strategy == "sliding_window";
    if (!windowed || !settings.attention.layers.empty())
      throw UsageError(refusal(engine.settings(), bytes, budget_bytes));
    window = tokens_within(engine, length, budget_bytes) - sinks_of(engine);
  }
  choice.strategy = "sliding_window";
  // The estimate is exact for states that are keys and values alone; others need a try or two.
  for (; window >= 1; window -= std::max<int64_t>(1, window / 64)) {
    choice.options["window"] = {std::to_string(window), choice.place};
    if (Engine(settings, static_plugins).state_bytes(length) <= budget_bytes) return settings;
  }
  throw UsageError("compare.equal_state: not even a window of one token fits into the baseline's " +
                   std::to_string(budget_bytes) + " bytes");
}

}  // namespace perdure
