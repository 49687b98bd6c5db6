// SPDX-License-Identifier: Apache-2.0

// The option `rope_scaling` and its parameters, in Hugging Face's words: the schema, and which
// parameter acts with which form.
#pragma once

#include <string>
#include <vector>

#include "core/api/options.hpp"

namespace perdure {

// The value 0, or an empty list, stands for what the form has by default.
inline std::vector<OptionSpec> rope_scaling_specs() {
  return {
      {.name = "rope_scaling",
       .type = OptionType::kText,
       .default_value = std::string("none"),
       .help = "How rotary embedding is scaled for texts longer than the training length.",
       .choices = {"none", "linear", "ntk", "ntk_mixed", "radix", "dynamic", "yarn", "longrope",
                   "llama3"}},
      {.name = "factor",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Scaling factor, also below 1; auto or 0: eval_length / train_length, at least 1; "
               "for dynamic 1.",
       .min = 0,
       .max = 1e15,
       .zero_is_auto = true},
      {.name = "original_max_position_embeddings",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Training length that the scaling starts from; auto or 0: train_length.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "beta_fast",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help =
           "Frequencies that turn more often within the training length are kept; auto or 0: 32.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "beta_slow",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help =
           "Frequencies that turn less often within the training length are divided; auto or 0: 1.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "truncate",
       .type = OptionType::kBool,
       .default_value = true,
       .help = "Bounds of the passage between the two are whole indices of frequencies.",
       .joined_later = true},
      {.name = "mscale",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Strength of the attention temperature computed from factor; auto or 0: 1.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "attention_factor",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Attention temperature: scales queries and keys; auto or 0: computed from factor.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "low_freq_factor",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help =
           "Frequencies that turn less often within the training length are divided; auto or 0: 1.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "high_freq_factor",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help =
           "Frequencies that turn more often within the training length are kept; auto or 0: 4.",
       .min = 0,
       .max = 1e15,
       .joined_later = true,
       .zero_is_auto = true},
      {.name = "short_factor",
       .type = OptionType::kText,
       .default_value = std::string(),
       .help = "LongRoPE's frequency divisors within the training length.",
       .joined_later = true},
      {.name = "long_factor",
       .type = OptionType::kText,
       .default_value = std::string(),
       .help = "LongRoPE's frequency divisors beyond the training length.",
       .joined_later = true},
  };
}

struct ScalingParameter {
  const char* name;
  const char* forms;  // that it acts with, each between commas
};

inline constexpr ScalingParameter kScalingNumbers[] = {
    {"factor", ",linear,ntk,ntk_mixed,radix,dynamic,yarn,longrope,llama3,"},
    {"original_max_position_embeddings", ",dynamic,yarn,longrope,llama3,"},
    {"beta_fast", ",yarn,"},
    {"beta_slow", ",yarn,"},
    {"mscale", ",yarn,"},
    {"attention_factor", ",yarn,longrope,"},
    {"low_freq_factor", ",llama3,"},
    {"high_freq_factor", ",llama3,"},
};
inline constexpr ScalingParameter kTruncate = {"truncate", ",yarn,"};
inline constexpr ScalingParameter kScalingLists[] = {
    {"short_factor", ",longrope,"},
    {"long_factor", ",longrope,"},
};

// Errors: UsageError for a parameter that was given and that the chosen form has no use for.
inline void refuse_idle_scaling_parameters(const Options& options) {
  const std::string& form = options.text("rope_scaling");
  const auto check = [&](const ScalingParameter& p, bool given) {
    std::string forms = p.forms;
    if (!given || forms.find("," + form + ",") != std::string::npos) return;
    forms = forms.substr(1, forms.size() - 2);
    for (size_t at = 0; (at = forms.find(',', at)) != std::string::npos; at += 2)
      forms.replace(at, 1, ", ");
    throw UsageError("attention." + std::string(p.name) +
                     " has an effect only with attention.rope_scaling: " + forms);
  };
  for (const ScalingParameter& p : kScalingNumbers) check(p, options.real(p.name) != 0);
  check(kTruncate, !options.flag(kTruncate.name));
  for (const ScalingParameter& p : kScalingLists) check(p, !options.text(p.name).empty());
}

}  // namespace perdure
