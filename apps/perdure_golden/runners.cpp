// SPDX-License-Identifier: Apache-2.0

// What the runners share, and the smallest of them.
#include "apps/perdure_golden/runners.hpp"

#include <algorithm>

#include "core/api/error.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::golden {
namespace {

// Every logit may be off by this many times the largest, and on average by so many times the mean
// figure.
constexpr double kMaxNoises = 2.0, kMeanNoises = 1.5;

Settings settings_of(const Context& context, std::vector<std::string> settings) {
  settings.insert(settings.begin(), {"kernels.prefer=[scalar]", "threads.count=1"});
  settings.insert(settings.end(), context.overrides.begin(), context.overrides.end());
  return load_settings("", settings);
}

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char b : bytes) text += {digits[b / 16], digits[b % 16]};
  return text;
}

}  // namespace

std::unique_ptr<Engine> make_engine(const Context& context, const std::string& model,
                                    std::vector<std::string> settings) {
  settings.push_back("model.path=\"" + context.set.path(model) + "\"");
  return std::make_unique<Engine>(settings_of(context, std::move(settings)), linked_plugins());
}

std::unique_ptr<Engine> make_engine(const Context& context, Model model,
                                    std::vector<std::string> settings) {
  return std::make_unique<Engine>(settings_of(context, std::move(settings)), linked_plugins(),
                                  std::move(model));
}

MethodChoice method_of(const Case& c, const std::map<std::string, std::string>& more) {
  std::map<std::string, std::string> args = more;
  for (const auto& [name, value] : c.json.at("args").map()) args.emplace(name, value.scalar_text());
  return translate_llama2rnn_args(args);
}

Limits noise_limits(const Context& context, const Case& c) {
  const auto noise = context.set.noise(c.name, c.json.at("model").text());
  if (!noise) throw Error(c.name + ": reference_noise.json has no figure for its model");
  return {.max_abs = kMaxNoises * noise->max_abs, .mean_abs = kMeanNoises * noise->mean_abs};
}

Limits limits_of(const Context& context, const Case& c) {
  const Json& tolerance = c.json.at("tolerance");
  const Json* strict = tolerance.find("strict_logits_abs");
  if (!strict) return {.max_abs = tolerance.at("logits_abs").real()};
  return context.exact_kernels ? Limits{.max_abs = strict->real()} : noise_limits(context, c);
}

void require_same_choice(Judge& judge, const std::string& what, std::span<const float> found,
                         std::span<const float> golden) {
  const auto own = std::max_element(found.begin(), found.end()) - found.begin();
  const auto best = std::max_element(golden.begin(), golden.end()) - golden.begin();
  if (own == best) return;
  const double margin =
      double{golden[static_cast<size_t>(best)]} - golden[static_cast<size_t>(own)];
  judge.require(margin <= 2 * judge.limits().max_abs,
                what + ": token " + std::to_string(own) + " wins instead of " +
                    std::to_string(best) + ", which led by " + std::to_string(margin));
}

Outcome run_tokenizer(const Context& context, const Case& c) {
  Judge judge({});
  const Llama2cTokenizer tokenizer = Llama2cTokenizer::open(
      context.set.path(c.json.at("tokenizer").text()), c.json.at("vocab_size").integer());
  const std::string path = c.folder + "/encode.json";
  const Json entries = Json::parse(read_file(path), path);
  for (const Json& entry : entries.list()) {
    const std::string& text = entry.at("text").text();
    std::vector<int32_t> golden;
    for (const Json& id : entry.at("ids").list())
      golden.push_back(static_cast<int32_t>(id.integer()));
    const auto ids =
        tokenizer.encode(text, entry.at("bos").integer() != 0, entry.at("eos").integer() != 0);
    judge.require(ids == golden, "\"" + text + "\" has other ids");

    std::string decoded;
    int32_t previous = 0;
    for (const int32_t id : golden) {
      decoded += tokenizer.decode(previous, id);
      previous = id;
    }
    judge.require(hex(decoded) == entry.at("decoded_hex").text(),
                  "\"" + text + "\" is decoded otherwise");
  }
  return judge.verdict();
}

}  // namespace perdure::golden
