// SPDX-License-Identifier: Apache-2.0

// Implements core/engine/methods.hpp: the table, how its texts are found, and how options become
// settings.
#include "core/engine/methods.hpp"

#include <cctype>
#include <charconv>
#include <cstdint>
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
      {.text = "NTK-RoPE", .plain = kNone, .memory = kNone, .frequency = true},
      {.text = "radix", .plain = kNone, .memory = kNone, .frequency = true},
      {.text = "ntk", .plain = kNone, .memory = kNone, .frequency = true},
      {.text = "rotate", .plain = kNone, .memory = kNone, .whole = true, .frequency = true},
      {.text = "PEClip", .plain = kNone, .memory = kNone, .frequency = true},
      {.text = "freqsAbs", .plain = kNone, .memory = kNone},
      {.text = "xpos{N}", .plain = "xpos: {N}, max_length: {E}", .memory = "xpos: {N}"},
      {.text = "xpos", .plain = "xpos: 32, max_length: {E}", .memory = "xpos: 32"},
      {.text = "logn", .plain = "log_n: true", .memory = "log_n: true"},
      {.text = "train",
       .plain = "log_n_clamp: false",
       .memory = "log_n_clamp: false",
       .only_with = "logn"},
      {.text = "SWAHalf", .plain = "window: {T0}, full_tail: {T0/2}", .memory = kIgnored},
      {.text = "SWAQuater", .plain = "window: {T0}, full_tail: {T0/4}", .memory = kIgnored},
      {.text = "SWA", .plain = "window: {T0}", .memory = kIgnored},
      {.text = "BCA", .plain = "window: {T0}", .memory = kIgnored},
      {.text = "AMask", .plain = kNone, .memory = kIgnored},
      {.text = "ADoubleWindow", .plain = kNone, .memory = kIgnored},
      {.text = "ReRoPE", .plain = kNone, .memory = kIgnored},
      {.text = "selfExtendHalf", .plain = kNone, .memory = kIgnored},
      {.text = "selfExtendQuater", .plain = kNone, .memory = kIgnored},
      {.text = "selfExtend", .plain = kNone, .memory = kIgnored},
      {.text = "layer5group", .plain = kNone, .memory = kIgnored, .only_with = "selfExtend"},
      {.text = "layer5allgroup", .plain = kNone, .memory = kIgnored, .only_with = "selfExtend"},
      {.text = "nope", .plain = kNone, .memory = kIgnored},
      {.text = "ConcatPE", .plain = kNone, .memory = kIgnored},
      {.text = "layer{N}adapt", .plain = kNone, .memory = kIgnored},
      {.text = "layeradapt", .plain = kNone, .memory = kIgnored},
      {.text = "sumCis", .plain = kNone, .memory = kIgnored},
      {.text = "clip", .plain = kNone, .memory = kNone, .whole = true},
      {.text = "emamem", .plain = kIgnored, .memory = "ema: 0.6"},
      {.text = "memlayer{N}", .plain = "", .memory = ""},
  };
  return methods;
}

// A text found in extend_method.
struct Match {
  const Method* method;
  std::string number;  // what {N} stands for
};

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

std::vector<Match> find_methods(const std::string& extend_method) {
  std::vector<Match> found;
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
  for (const Match& m : found)
    if (m.method->frequency && (!frequency || m.method < frequency)) frequency = m.method;
  std::erase_if(found, [&](const Match& m) {
    const bool other_frequency = m.method->frequency && m.method != frequency;
    return other_frequency || extend_method.find(m.method->only_with) == std::string::npos;
  });
  return found;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The original's options, typed.
class Args {
 public:
  explicit Args(const std::map<std::string, std::string>& values) : values_(values) {}

  std::string text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second;
  }
  bool flag(const std::string& name) const { return text(name) == "true"; }
  int64_t integer(const std::string& name) const {
    const std::string t = text(name);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error != std::errc() || end != t.data() + t.size() || value < 0)
      throw UsageError("\"" + name + "\" must be an integer, not \"" + t + "\"");
    return value;
  }
  bool has(const std::string& name) const { return values_.contains(name); }

  std::string fill_in(std::string options, const std::string& number) const {
    if (options.find('{') == std::string::npos) return options;
    if (options.find("{T0") != std::string::npos) {
      replace_all(options, "{T0}", std::to_string(integer("max_seq_len")));
      replace_all(options, "{T0/2}", std::to_string(integer("max_seq_len") / 2));
      replace_all(options, "{T0/4}", std::to_string(integer("max_seq_len") / 4));
    }
    if (options.find("{E}") != std::string::npos)
      replace_all(options, "{E}", std::to_string(integer("extend_seq_len")));
    replace_all(options, "{N}", number);
    return options;
  }

 private:
  const std::map<std::string, std::string>& values_;
};

// Options of one strategy, "a: 1" each, for layers that are memory attention or plain.
std::vector<std::string> strategy_options(const Args& args, const std::vector<Match>& methods,
                                          bool memory, std::vector<std::string>& ignored) {
  std::vector<std::string> options;
  if (args.has("max_seq_len")) options.push_back("train_length: " + args.text("max_seq_len"));
  if (args.has("theta")) options.push_back("rope_theta: " + args.text("theta"));
  if (args.flag("key_norm")) options.push_back("key_norm: true");
  if (memory && args.flag("update_memory")) options.push_back("initial: zero");
  for (const Match& m : methods) {
    // The original blends memories only where it keeps them from one call to the next.
    if (m.method->text == "emamem" && !args.flag("update_memory")) continue;
    const auto& mine = memory ? m.method->memory : m.method->plain;
    if (!mine)
      throw UsageError("extend_method: this version has no \"" + m.method->text + "\" in " +
                       (memory ? "memory" : "plain") +
                       " attention; docs/methods.md lists what it has");
    if (*mine == kIgnored) {
      if (memory) ignored.push_back(m.method->text);
    } else if (!mine->empty()) {
      options.push_back(args.fill_in(*mine, m.number));
    }
  }
  return options;
}

std::string join(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& p : parts) all += (all.empty() ? "" : ", ") + p;
  return all;
}

}  // namespace

std::span<const Method> llama2rnn_methods() { return table(); }

MethodChoice translate_llama2rnn_args(const std::map<std::string, std::string>& values) {
  const Args args(values);
  MethodChoice choice;
  if (args.text("attention_type") == "LSTM") {
    choice.attention = "{strategy: chunk_lstm}";
    return choice;
  }
  const std::string extend_method = args.text("extend_method");
  const std::vector<Match> methods = find_methods(extend_method);
  const bool hybrid = extend_method.find("memlayer") != std::string::npos;
  // As in the original a layer's number is looked for as text: "memlayer10" names layers 1 and 10.
  std::vector<std::string> memory_layers, plain_layers;
  for (int64_t i = 0; i < args.integer("n_layers"); ++i) {
    const bool named = extend_method.find("memlayer" + std::to_string(i)) != std::string::npos;
    const bool memory = args.text("attention_type") == "memory_attention" && (named || !hybrid);
    (memory ? memory_layers : plain_layers).push_back(std::to_string(i));
  }

  std::vector<std::string> attention;
  if (args.has("extend_seq_len"))
    attention.push_back("eval_length: " + args.text("extend_seq_len"));
  const auto add = [&](bool memory) {
    const auto options = strategy_options(args, methods, memory, choice.ignored);
    attention.push_back(memory ? "strategy: memory" : "strategy: full");
    attention.insert(attention.end(), options.begin(), options.end());
  };
  add(!memory_layers.empty());
  if (!memory_layers.empty() && !plain_layers.empty()) {
    std::vector<std::string> ignored_in_plain;
    std::vector<std::string> options = strategy_options(args, methods, false, ignored_in_plain);
    options.insert(options.begin(), "strategy: full");
    std::string layers = join(plain_layers);
    replace_all(layers, " ", "");
    attention.push_back("layers: {'" + layers + "': {" + join(options) + "}}");
  }
  choice.attention = "{" + join(attention) + "}";
  return choice;
}

}  // namespace perdure
