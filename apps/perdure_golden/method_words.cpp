// SPDX-License-Identifier: Apache-2.0

// The table of apps/perdure_golden/methods.hpp, and how its texts are found in a string.
#include "apps/perdure_golden/method_words.hpp"

#include <cctype>
#include <string_view>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

const std::nullopt_t kNone = std::nullopt;

// Frequency rows stand in the order in which the original looks for them.
const std::vector<Method>& table() {
  static const std::vector<Method> methods{
      {.text = "extrapolation", .plain = "", .memory = "", .frequency = true},
      {.text = "interpolation",
       .plain = "rope_scaling: linear",
       .memory = "rope_scaling: linear",
       .frequency = true},
      {.text = "NTK-RoPE",
       .plain = "rope_scaling: ntk",
       .memory = "rope_scaling: ntk",
       .frequency = true},
      {.text = "radix",
       .plain = "rope_scaling: radix",
       .memory = "rope_scaling: radix",
       .frequency = true},
      {.text = "ntk",
       .plain = "rope_scaling: ntk_mixed",
       .memory = "rope_scaling: ntk_mixed",
       .frequency = true},
      {.text = "rotate",
       .plain = "positions: wrapped",
       .memory = kNone,
       .whole = true,
       .frequency = true},
      {.text = "PEClip", .plain = "positions: clipped", .memory = kNone, .frequency = true},
      {.text = "freqsAbs", .plain = "freqs_abs: true", .memory = kNone, .of_rotation = true},
      {.text = "xpos{N}",
       .plain = "xpos: {N}, max_length: {E}",
       .memory = "xpos: {N}",
       .of_rotation = true},
      {.text = "xpos",
       .plain = "xpos: 32, max_length: {E}",
       .memory = "xpos: 32",
       .of_rotation = true},
      {.text = "logn", .plain = "log_n: true", .memory = "log_n: true"},
      {.text = "train",
       .plain = "log_n_clamp: false",
       .memory = "log_n_clamp: false",
       .only_with = "logn"},
      {.text = "SWAHalf", .plain = "window: {T0}, full_tail: {T0/2}", .memory = kIgnored},
      {.text = "SWAQuater", .plain = "window: {T0}, full_tail: {T0/4}", .memory = kIgnored},
      {.text = "SWA", .plain = "window: {T0}", .memory = kIgnored},
      {.text = "BCA", .plain = "window: {T0}", .memory = kIgnored},
      {.text = "AMask",
       .plain = "window: {T0-512}, sinks: 512",
       .memory = kIgnored,
       .least_train_length = 1024},
      {.text = "ADoubleWindow",
       .plain = "window: {2*T0-256}, sinks: 256",
       .memory = kIgnored,
       .least_train_length = 256},
      {.text = "ReRoPE", .plain = "distances: clamped", .memory = kIgnored},
      {.text = "selfExtendHalf",
       .plain = "distances: grouped, near: {(T0+1)/2}",
       .memory = kIgnored},
      {.text = "selfExtendQuater",
       .plain = "distances: grouped, near: {(T0+1)/4}",
       .memory = kIgnored},
      {.text = "selfExtend", .plain = "distances: grouped", .memory = kIgnored},
      {.text = "layer5group",
       .plain = "near: {(T0+1)/2}",
       .memory = kIgnored,
       .only_with = "selfExtend",
       .layer = "5"},
      {.text = "layer5allgroup",
       .plain = "near: 0",
       .memory = kIgnored,
       .only_with = "selfExtend",
       .layer = "5"},
      {.text = "nope", .plain = "positions: none", .memory = kIgnored},
      {.text = "ConcatPE", .plain = "concat_pe: true", .memory = kIgnored},
      {.text = "layer{N}adapt", .plain = "positions: none", .memory = kIgnored, .layer = "{N}"},
      {.text = "layeradapt", .plain = "positions: none", .memory = kIgnored, .layer = "5"},
      {.text = "sumCis", .plain = "sum_cis: true", .memory = kIgnored, .of_rotation = true},
      {.text = "clip", .plain = kOfInput, .memory = kOfInput, .whole = true},
      {.text = "emamem", .plain = kIgnored, .memory = "ema: 0.6"},
      {.text = "memlayer{N}", .plain = "", .memory = ""},
  };
  return methods;
}

using Match = FoundMethod;

// Length of `pattern` at the start of `text`, 0 if it is not there; fills `number` with the digits
// of {N}.
size_t match_at_start(const std::string& pattern, std::string_view text, std::string& number) {
  const size_t hole = pattern.find("{N}");
  const std::string_view front = std::string_view(pattern).substr(0, hole);
  if (!text.starts_with(front)) return 0;
  if (hole == std::string::npos) return front.size();
  size_t end = front.size();
  while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
  number = text.substr(front.size(), end - front.size());
  const std::string_view back = std::string_view(pattern).substr(hole + 3);
  if (number.empty() || !text.substr(end).starts_with(back)) return 0;
  return end + back.size();
}

// The longest text of the table at the start of `rest`.
std::pair<Match, size_t> longest_match(std::string_view rest, const std::string& whole) {
  Match best{nullptr, ""};
  size_t best_length = 0;
  for (const Method& method : table()) {
    if (method.whole && method.text != whole) continue;
    std::string number;
    const size_t length = match_at_start(method.text, rest, number);
    if (length > best_length) {
      best = {&method, number};
      best_length = length;
    }
  }
  return {best, best_length};
}

}  // namespace

std::span<const Method> llama2rnn_methods() { return table(); }

std::vector<FoundMethod> find_methods(const std::string& extend_method) {
  std::vector<FoundMethod> found;
  std::string_view rest = extend_method;
  while (!rest.empty()) {
    const auto [match, length] = longest_match(rest, extend_method);
    if (match.method) {
      found.push_back(match);
    } else if (std::isalnum(static_cast<unsigned char>(rest.front()))) {
      throw UsageError("extend_method: \"" + std::string(rest) +
                       "\" does not begin with a method of llama2Rnn; docs/methods.md lists them");
    }
    rest.remove_prefix(match.method ? length : 1);
  }
  // The first frequency row of the table wins, wherever it stands in the text.
  const Method* frequency = nullptr;
  for (const FoundMethod& m : found)
    if (m.method->frequency && (!frequency || m.method < frequency)) frequency = m.method;
  std::erase_if(found, [&](const FoundMethod& m) {
    const bool other_frequency = m.method->frequency && m.method != frequency;
    return other_frequency || extend_method.find(m.method->only_with) == std::string::npos;
  });
  return found;
}

}  // namespace perdure
