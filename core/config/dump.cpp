// SPDX-License-Identifier: Apache-2.0

// The effective configuration as text. Written by hand, not by yaml-cpp, so that its bytes, and
// with them the hash that stands in reports, depend on the settings only.
#include <cctype>
#include <charconv>

#include "core/config/dump_text.hpp"
#include "core/config/map_reader.hpp"
#include "core/config/settings.hpp"

namespace perdure {
namespace {

// The engine hands this key of `attention` to every strategy that has an option of that name: it is
// printed once.
constexpr const char* kEvalLength = "eval_length";

// The shortest text that reads back to the same value.
std::string dump_real(double value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// Of numbers for which 0 means "auto", or "none".
std::string dump_unless(const char* word, int64_t value) {
  return value == 0 ? word : std::to_string(value);
}

std::string dump_flag(bool value) { return value ? "true" : "false"; }

std::string dump_raw(const RawOption& raw) {
  const bool typed = scalar_to_bool(raw.text, raw.quoted) || scalar_to_real(raw.text, raw.quoted);
  if (typed) return raw.text;
  return raw.quoted ? dump_quoted(raw.text) : dump_text(raw.text);
}

std::string dump_option(const OptionValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return dump_flag(*flag);
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const double* real = std::get_if<double>(&value)) return dump_real(*real);
  return dump_text(std::get<std::string>(value));
}

std::string dump_list(const std::vector<std::string>& texts) {
  std::string result = "[";
  for (const std::string& text : texts) result += (result.size() > 1 ? ", " : "") + dump_text(text);
  return result + "]";
}

// Lines "indent key: value" of a strategy and its options.
std::string dump_choice(const StrategyChoice& choice, const Options* resolved,
                        const std::string& indent) {
  std::string result;
  const auto line = [&](const std::string& key, const std::string& value) {
    result += indent + dump_text(key) + ": " + value + "\n";
  };
  if (!choice.strategy.empty()) line("strategy", dump_text(choice.strategy));
  if (resolved != nullptr) {
    for (const auto& [name, value] : resolved->all())
      if (name != kEvalLength) line(name, dump_option(value));
  } else {
    for (const auto& [name, raw] : choice.options) line(name, dump_raw(raw));
  }
  return result;
}

std::string dump_layers(const std::vector<int64_t>& layers) {
  std::string result;
  for (size_t i = 0; i < layers.size();) {
    size_t last = i;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    if (!result.empty()) result += ",";
    result += std::to_string(layers[i]);
    if (last > i) result += "-" + std::to_string(layers[last]);
    i = last + 1;
  }
  return "'" + result + "'";
}

std::string dump_attention(const Settings& settings, std::span<const Options> resolved) {
  const auto options = [&](size_t i) { return i < resolved.size() ? &resolved[i] : nullptr; };
  std::string result = dump_choice(settings.attention.choice, options(0), "  ");
  if (settings.attention.eval_length != 0)
    result += std::string("  ") + kEvalLength + ": " +
              std::to_string(settings.attention.eval_length) + "\n";
  if (!settings.attention.contexts.empty())
    result += "  contexts: " + dump_list(settings.attention.contexts) + "\n";
  if (!settings.attention.layers.empty()) result += "  layers:\n";
  for (size_t i = 0; i < settings.attention.layers.size(); ++i) {
    const LayerOverride& layer = settings.attention.layers[i];
    result += "    " + dump_layers(layer.layers) + ":\n";
    result += dump_choice(layer.choice, options(i + 1), "      ");
  }
  return result.empty() ? "" : "attention:\n" + result;
}

std::string dump_kernels(const Settings& settings) {
  static constexpr const char* kActivations[] = {"auto", "f32", "q8"};
  const auto& kernels = settings.kernels;
  std::string result = "kernels:\n  prefer: " + dump_list(kernels.prefer) +
                       "\n  isa: " + dump_text(kernels.isa) +
                       "\n  activations: " + kActivations[static_cast<int>(kernels.activations)] +
                       "\n  reproducible: " + dump_flag(kernels.reproducible) +
                       "\n  check: " + dump_flag(kernels.check) + "\n";
  if (!kernels.pin.empty()) result += "  pin:\n";
  for (const auto& [operation, kernel] : kernels.pin)
    result += "    " + dump_text(operation) + ": " + dump_text(kernel) + "\n";
  return result;
}

std::string dump_ensemble(const Settings& settings) {
  const auto& ensemble = settings.ensemble;
  if (ensemble.passages.empty()) return "";
  std::string out = "ensemble:\n  passages: " + dump_list(ensemble.passages) + "\n";
  std::string scores;
  for (const double score : ensemble.scores)
    scores += (scores.empty() ? "" : ", ") + dump_real(score);
  if (!scores.empty()) out += "  scores: [" + scores + "]\n";
  return out + "  temperature: " + dump_real(ensemble.temperature) + "\n";
}

}  // namespace

std::string dump_quoted(const std::string& text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string dump_text(const std::string& text) {
  static constexpr std::string_view kNotText[] = {"true", "false", "null", "Null",  "NULL",
                                                  "True", "False", "TRUE", "FALSE", "yes",
                                                  "no",   "on",    "off",  "y",     "n"};
  bool plain =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/');
  for (const char c : text)
    plain = plain && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                      c == '.' || c == '/');
  for (const std::string_view word : kNotText) plain = plain && text != word;
  return plain ? text : dump_quoted(text);
}

std::string dump_settings(const Settings& settings, std::span<const Options> resolved) {
  const auto& [model, attention, kernels, threads, store, sampling, ensemble, input, chat, step,
               state, plugins] = settings;
  std::string out = "model:\n  path: " + dump_text(model.path) +
                    "\n  tokenizer: " + dump_text(model.tokenizer) + "\n";
  if (!model.initial_state.empty())
    out += "  initial_state: " + dump_text(model.initial_state) + "\n";
  out += dump_attention(settings, resolved);
  out += dump_kernels(settings);
  out += "threads:\n  backend: " + dump_text(threads.backend) +
         "\n  count: " + dump_unless("auto", threads.count) + "\n";
  out += "store:\n  kind: " + dump_text(store.kind) + "\n  path: " + dump_text(store.path) +
         "\n  session: " + dump_text(store.session) +
         "\n  save_every: " + dump_text(store.save_every) +
         "\n  save_every_tokens: " + dump_unless("auto", store.save_every_tokens) +
         "\n  keep: " + std::to_string(store.keep) +
         "\n  keep_days: " + dump_real(store.keep_days) +
         "\n  max_bytes: " + dump_unless("none", store.max_bytes) + "\n";
  for (const auto& [name, raw] : store.options)
    out += "  " + dump_text(name) + ": " + dump_raw(raw) + "\n";
  out += "sampling:\n  temperature: " + dump_real(sampling.temperature) +
         "\n  top_k: " + std::to_string(sampling.top_k) +
         "\n  top_p: " + dump_real(sampling.top_p) + "\n  min_p: " + dump_real(sampling.min_p) +
         "\n  repeat_penalty: " + dump_real(sampling.repeat_penalty) +
         "\n  order: " + dump_text(sampling.order) +
         "\n  presence_penalty: " + dump_real(sampling.presence_penalty) +
         "\n  frequency_penalty: " + dump_real(sampling.frequency_penalty) +
         "\n  penalty_decay: " + dump_real(sampling.penalty_decay) +
         "\n  seed: " + std::to_string(sampling.seed) + "\n";
  out += dump_ensemble(settings);
  out += std::string("input:\n  line_ends: ") +
         (input.line_ends == LineEnds::kKeep ? "keep" : "lf") + "\n";
  out += "chat:\n  template: " + dump_text(chat.chat_template) +
         "\n  template_file: " + dump_text(chat.template_file) +
         "\n  system: " + dump_text(chat.system) + "\n  clock: " + dump_flag(chat.clock) + "\n";
  out += "step:\n  max_rows: " + std::to_string(step.max_rows) +
         "\n  max_logits_bytes: " + std::to_string(step.max_logits_bytes) + "\n";
  out += "state:\n  max_bytes: " + dump_unless("auto", state.max_bytes) + "\n";
  out += "plugins:\n  load: " + dump_list(plugins.load) + "\n";
  return out;
}

}  // namespace perdure
