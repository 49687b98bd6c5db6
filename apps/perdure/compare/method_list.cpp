// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/method_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "core/eval/measure.hpp"

namespace perdure::app {
namespace {

constexpr std::array kMethods{
    ListedMethod{"full attention", "Every token sees all tokens before it; the state grows.",
                 "{strategy: full}"},
    ListedMethod{"sliding window", "Every token sees the last {T} tokens; the state is constant.",
                 "{strategy: sliding_window, window: {T}}"},
    ListedMethod{"StreamingLLM", "A window and the first tokens, with positions inside the cache.",
                 "{strategy: sliding_window, window: {T}, sinks: 4, positions: reindexed}"},
    ListedMethod{"LM-Infinite", "A window and the first tokens, with distances that are cut.",
                 "{strategy: sliding_window, window: {T}, sinks: 10, distances: clamped}"},
    ListedMethod{"memory attention", "llama2Rnn's: each chunk is compressed into memory rows.",
                 "{strategy: memory}"},
    ListedMethod{"ChunkLSTM", "A recurrent cell per layer, chunk by chunk.",
                 "{strategy: chunk_lstm}"},
    ListedMethod{"position interpolation", "Positions are divided by how much longer the text is.",
                 "{strategy: full, rope_scaling: linear}"},
    ListedMethod{"NTK-aware", "Slow frequencies are divided, fast ones kept.",
                 "{strategy: full, rope_scaling: ntk}"},
    ListedMethod{"mixed NTK", "Frequencies are divided by a power that grows with their index.",
                 "{strategy: full, rope_scaling: ntk_mixed}"},
    ListedMethod{"dynamic NTK", "NTK with a factor that grows with the text.",
                 "{strategy: full, rope_scaling: dynamic, factor: 2}"},
    ListedMethod{"YaRN", "NTK by parts, and a temperature of the scores.",
                 "{strategy: full, rope_scaling: yarn}"},
    ListedMethod{"Llama 3 scaling", "As YaRN, without temperature.",
                 "{strategy: full, rope_scaling: llama3}"},
    ListedMethod{"ReRoPE", "Distances beyond the training are all the same.",
                 "{strategy: full, distances: clamped}"},
    ListedMethod{"Self-Extend", "Distances beyond a window are counted in groups.",
                 "{strategy: full, distances: grouped}"},
    ListedMethod{"log-n scaling", "Scores grow with the logarithm of the position.",
                 "{strategy: full, log_n: true}"}};

}  // namespace

std::span<const ListedMethod> listed_methods() { return kMethods; }

std::string compare_list() {
  std::string text = "Measures (compare.measures):\n\n";
  for (const MeasureInfo& measure : measures()) {
    text += fmt::format("  {}\n      {}\n", measure.name, measure.help);
    if (!measure.options.empty())
      text += fmt::format("      options: {}\n", fmt::join(measure.options, ", "));
  }
  text += "\nMethods (attention of an entry; {T} is the training length):\n\n";
  for (const ListedMethod& method : kMethods)
    text += fmt::format("  {}\n      {}\n      {}\n", method.name, method.help, method.options);
  return text;
}

}  // namespace perdure::app
