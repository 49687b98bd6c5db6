// SPDX-License-Identifier: Apache-2.0

// Implements full_options.hpp.
#include "plugins/attention/full/full_options.hpp"

#include <algorithm>

namespace perdure {
namespace {

void read_tail(FullOptions& o) {
  if (o.full_tail == 0) return;
  if (o.window == 0)
    throw UsageError(
        "attention.full_tail has an effect only with attention.window: without a window every "
        "token attends to all");
  if (o.rotary.eval_length == 0)
    throw UsageError(
        "attention.full_tail counts from the end of the text: set attention.eval_length");
  o.sees_all_from = std::max<int64_t>(0, o.rotary.eval_length - o.full_tail);
}

// Ways of bringing places into the scores that know nothing of each other.
void check_combination(const FullOptions& o, const Options& options) {
  struct Way {
    bool chosen;
    std::string text;
  };
  const std::string scaling = options.text("rope_scaling");
  const Way ways[] = {
      {o.rare.positions != "absolute", "positions: " + o.rare.positions},
      {!o.distances.exact(), "distances: " + options.text("distances")},
      {o.rotary.scaling.sets() > 1, "rope_scaling: " + scaling},
      {o.rare.concat_pe, "concat_pe"},
      {o.rare.sum_cis, "sum_cis"},
      {o.rare.freqs_abs && !o.rare.sum_cis && !o.rare.concat_pe, "freqs_abs"},
      {o.rotary.xpos != 0.0 && o.distances.exact(), "xpos"},
      {o.rare.positions == "none" && o.rotary.scaling.sets() == 1 && scaling != "none",
       "rope_scaling: " + scaling}};
  const Way* first = nullptr;
  for (const Way& way : ways) {
    if (!way.chosen) continue;
    if (first != nullptr)
      throw UsageError("attention." + first->text + " and attention." + way.text +
                       " each say how places enter the scores; use one of the two");
    first = &way;
  }
}

}  // namespace

std::vector<OptionSpec> full_option_specs() {
  std::vector<OptionSpec> specs = rotary_option_specs();
  const auto add = [&](std::vector<OptionSpec> more) {
    specs.insert(specs.end(), more.begin(), more.end());
  };
  add(distance_option_specs());
  add(rare_option_specs());
  add({{.name = "window",
        .type = OptionType::kInt,
        .default_value = int64_t{0},
        .help = "How many of the latest tokens a token attends to, itself included; 0: all.",
        .min = 0},
       {.name = "sinks",
        .type = OptionType::kInt,
        .default_value = int64_t{0},
        .help = "Number of first tokens that stay visible outside the window.",
        .min = 0,
        .max = 1e12,
        .joined_later = true},
       {.name = "full_tail",
        .type = OptionType::kInt,
        .default_value = int64_t{0},
        .help = "How many of the last positions of eval_length attend to all tokens, whatever the "
                "window.",
        .min = 0},
       max_length_option()});
  return specs;
}

FullOptions read_full_options(const ModelInfo& model, const Options& options) {
  const int64_t max_length = options.integer("max_length");
  const RotaryOptions rotary = read_rotary_options(model, options, max_length);
  FullOptions o{.rotary = rotary,
                .distances = Distances(options, rotary),
                .rare = read_rare_options(options),
                .max_length = max_length,
                .window = options.integer("window"),
                .sinks = options.integer("sinks"),
                .full_tail = options.integer("full_tail")};
  if (o.sinks > 0 && o.window == 0)
    throw UsageError(
        "attention.sinks has an effect only with attention.window: without a window every token "
        "attends to all");
  read_tail(o);
  check_combination(o, options);
  check_xpos_places(o.rotary.xpos, o.max_length, "max_length");
  o.rotary.rotates = o.rare.positions != "none" && !o.rare.concat_pe;
  return o;
}

}  // namespace perdure
