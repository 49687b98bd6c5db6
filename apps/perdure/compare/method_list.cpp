// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/method_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "core/base/json/json_write.hpp"
#include "core/eval/measure.hpp"

namespace perdure::app {
namespace {

constexpr std::array kMethods{
    ListedMethod{"full attention", "Every token attends to all tokens before it; the state grows.",
                 "{strategy: full}"},
    ListedMethod{"sliding window",
                 "Every token attends to the last {T} tokens; the state is constant.",
                 "{strategy: sliding_window, window: {T}}"},
    ListedMethod{"StreamingLLM",
                 "A window plus the first tokens, with positions relative to the cache.",
                 "{strategy: sliding_window, window: {T}, sinks: 4, positions: reindexed}"},
    ListedMethod{"LM-Infinite", "A window plus the first tokens, with clamped distances.",
                 "{strategy: sliding_window, window: {T}, sinks: 10, distances: clamped}"},
    ListedMethod{"memory attention", "llama2Rnn's: each chunk is compressed into memory rows.",
                 "{strategy: memory}"},
    ListedMethod{"ChunkLSTM", "An LSTM cell per layer, updated chunk by chunk.",
                 "{strategy: chunk_lstm}"},
    ListedMethod{"position interpolation", "Positions are divided by the scaling factor.",
                 "{strategy: full, rope_scaling: linear}"},
    ListedMethod{"NTK-aware", "Low rotary frequencies are divided, high ones are kept.",
                 "{strategy: full, rope_scaling: ntk}"},
    ListedMethod{"mixed NTK", "Frequencies are divided by a power that grows with their index.",
                 "{strategy: full, rope_scaling: ntk_mixed}"},
    ListedMethod{"dynamic NTK", "NTK with a factor that grows with the text.",
                 "{strategy: full, rope_scaling: dynamic, factor: 2}"},
    ListedMethod{"YaRN", "NTK by parts, with an attention temperature.",
                 "{strategy: full, rope_scaling: yarn}"},
    ListedMethod{"Llama 3 scaling", "Like YaRN, without the attention temperature.",
                 "{strategy: full, rope_scaling: llama3}"},
    ListedMethod{"ReRoPE", "Distances beyond the training length are clamped.",
                 "{strategy: full, distances: clamped}"},
    ListedMethod{"Self-Extend", "Distances beyond a window are counted in groups.",
                 "{strategy: full, distances: grouped}"},
    ListedMethod{"log-n scaling", "Attention scores are scaled by the logarithm of the position.",
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

std::string compare_list_json() {
  Json::List listed_measures, methods;
  for (const MeasureInfo& measure : measures())
    listed_measures.push_back(object({member("name", measure.name), member("help", measure.help),
                                      member("options", measure.options)}));
  for (const ListedMethod& method : kMethods)
    methods.push_back(object({member("name", method.name), member("help", method.help),
                              member("attention", method.options)}));
  return json_text(object({member("measures", listed_measures), member("methods", methods)})) +
         "\n";
}

}  // namespace perdure::app
