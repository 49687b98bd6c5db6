// SPDX-License-Identifier: Apache-2.0

// Forms and defaults are llama.cpp's.
#include "core/model/formats/gguf_rotation.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"

namespace perdure {
namespace {

std::string shortest(double value) {
  char buffer[40];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string list_text(const std::vector<float>& values) {
  std::string text;
  for (const float value : values)
    text += (text.empty() ? "" : ", ") + shortest(static_cast<double>(value));
  return text;
}

class RotationReader {
 public:
  RotationReader(const Gguf& file, const std::string& architecture,
                 const GgufFrequencyFactors& factors, ModelSpec& spec)
      : file_(file), prefix_(architecture + ".rope."), factors_(factors), spec_(spec) {}

  void read() {
    const std::string type(file_.text(key("scaling.type")).value_or("linear"));
    if (!factors_.all.empty()) return read_factors(type);
    if (!factors_.long_texts.empty() || type == "longrope") return read_longrope(type);
    if (type == "none") return;
    if (type == "linear") return read_linear();
    if (type == "yarn") return read_yarn();
    file_.fail(key("scaling.type"),
               "is '" + shown_name(type) + "' but must be none, linear, yarn or longrope");
  }

 private:
  std::string key(const char* name) const { return prefix_ + name; }

  double number(const char* name, double otherwise) const {
    const double value = file_.real(key(name)).value_or(otherwise);
    if (value < 0) file_.fail(key(name), "is negative");
    return value;
  }

  void set(const char* option, double value) { set(option, shortest(value)); }
  void set(const char* option, const std::string& value) {
    spec_.strategy_options[option] = {value, "rope_scaling"};
  }
  void set_form(const char* form) { spec_.strategy_options["rope_scaling"] = {form}; }

  // 0 says nothing, as in old files.
  double factor() const {
    const double named = number("scaling.factor", 0);
    const double value = named != 0 ? named : number("scale_linear", 0);
    return value != 0 ? value : 1.0;
  }

  void read_linear() {
    if (factor() == 1.0) return;
    set_form("linear");
    set("factor", factor());
  }

  void refuse_unless(const char* name, double only) const {
    if (number(name, only) != only)
      file_.fail(key(name), "is not " + shortest(only) + ", which is not supported");
  }

  void read_yarn() {
    refuse_unless("scaling.yarn_ext_factor", 1.0);
    refuse_unless("scaling.yarn_log_multiplier", 0.0);
    set_form("yarn");
    set("factor", factor());
    set("original_max_position_embeddings", original_length());
    if (const double fast = number("scaling.yarn_beta_fast", 0); fast != 0) set("beta_fast", fast);
    if (const double slow = number("scaling.yarn_beta_slow", 0); slow != 0) set("beta_slow", slow);
    const double attention = attention_factor("scaling.yarn_attn_factor");
    if (attention == 1.0) return;
    set("attention_factor", attention * (1.0 + 0.1 * std::log(std::max(1.0, factor()))));
  }

  double attention_factor(const char* newer) const {
    const double value = number("scaling.attn_factor", number(newer, 1.0));
    if (value == 0) file_.fail(key("scaling.attn_factor"), "is 0");
    return value;
  }

  double original_length() const {
    return number("scaling.original_context_length", static_cast<double>(spec_.info.train_length));
  }

  void read_longrope(const std::string& type) {
    if (factors_.long_texts.empty() || factors_.short_texts.empty())
      throw Error(file_.path() + ": '" + key("scaling.type") + "' is '" + shown_name(type) +
                  "', which needs the tensors rope_factors_long.weight and "
                  "rope_factors_short.weight");
    if (type == "yarn" || factor() != 1.0)
      file_.fail(key("scaling.type"),
                 "scales the rotation, and so do tensors of factors; only one can be used");
    set_form("longrope");
    set("original_max_position_embeddings", original_length());
    set("attention_factor", attention_factor("scaling.attn_factor"));
    set("long_factor", list_text(factors_.long_texts));
    set("short_factor", list_text(factors_.short_texts));
  }

  // Llama 3's scaling comes as its result. Where that is what the published parameters give, the
  // form itself is named, which every strategy has; other divisors are a longrope of one set.
  void read_factors(const std::string& type) {
    if (factor() != 1.0)
      file_.fail(key("scaling.factor"),
                 "scales the rotation, and so does rope_freqs.weight; only one can be used (" +
                     shown_name(type) + ")");
    if (std::ranges::all_of(factors_.all, [](float f) { return f == 1.0f; })) return;
    if (read_llama3()) return;
    set_form("longrope");
    set("original_max_position_embeddings", static_cast<double>(spec_.info.train_length));
    set("attention_factor", 1.0);
    set("long_factor", list_text(factors_.all));
    set("short_factor", list_text(factors_.all));
  }

  bool read_llama3() {
    constexpr double kLength = 8192, kLow = 1, kHigh = 4;
    const double factor = *std::ranges::max_element(factors_.all);
    for (size_t i = 0; i < factors_.all.size(); ++i) {
      const double turns = kLength / wavelength(i);
      const double kept = std::clamp((turns - kLow) / (kHigh - kLow), 0.0, 1.0);
      const double expected = 1.0 / ((1.0 - kept) / factor + kept);
      if (std::abs(factors_.all[i] - expected) > 1e-4 * expected) return false;
    }
    set_form("llama3");
    set("factor", factor);
    set("original_max_position_embeddings", kLength);
    set("low_freq_factor", kLow);
    set("high_freq_factor", kHigh);
    return true;
  }

  // Places of a whole turn of frequency `i`.
  double wavelength(size_t i) const {
    const auto size = static_cast<double>(spec_.info.rotated_size());
    return 2 * std::numbers::pi *
           std::pow(spec_.info.rope_theta, 2.0 * static_cast<double>(i) / size);
  }

  const Gguf& file_;
  std::string prefix_;
  const GgufFrequencyFactors& factors_;
  ModelSpec& spec_;
};

}  // namespace

void read_gguf_rotation(const Gguf& file, const std::string& architecture,
                        const GgufFrequencyFactors& factors, ModelSpec& spec) {
  RotationReader(file, architecture, factors, spec).read();
}

}  // namespace perdure
