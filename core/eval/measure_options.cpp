// SPDX-License-Identifier: Apache-2.0

#include "core/eval/measure_options.hpp"

#include <algorithm>

#include "core/config/map_reader.hpp"

namespace perdure {
namespace {

constexpr double kMostSamples = 4294967296.0;
constexpr double kMostTokens = 1099511627776.0;
constexpr Control kControls[] = {Control::kNone, Control::kReset, Control::kShuffled,
                                 Control::kAbsent};

// The items of a list that was written as text.
template <class T, class Convert>
std::vector<T> items_of(const std::string& name, const std::string& text, const Convert& convert) {
  std::vector<T> items;
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    const auto item = convert(text.substr(first, end - first), false);
    if (!item)
      throw UsageError("option '" + name + "' must be a list of numbers, but is '" + text + "'");
    items.push_back(*item);
    first = end + 1;
  }
  return items;
}

OptionSpec integer(const char* name, int64_t value, double min, double max, const char* help) {
  return {name, OptionType::kInt, value, help, min, max};
}

OptionSpec text(const char* name, const char* value, const char* help,
                std::vector<std::string> choices = {}) {
  return {.name = name,
          .type = OptionType::kText,
          .default_value = std::string(value),
          .help = help,
          .choices = std::move(choices)};
}

template <int64_t MeasureSpec::* Member>
void set_integer(MeasureSpec& spec, const OptionValue& value) {
  spec.*Member = std::get<int64_t>(value);
}

void set_control(MeasureSpec& spec, const OptionValue& value) {
  const std::string& word = std::get<std::string>(value);
  for (const Control control : kControls)
    if (word == control_name(control)) spec.control = control;
}

void set_depths(MeasureSpec& spec, const OptionValue& value) {
  spec.depths = items_of<double>("depths", std::get<std::string>(value), scalar_to_real);
  for (const double depth : spec.depths)
    if (depth < 0 || depth > 1)
      throw UsageError("option 'depths' must be between 0 (the beginning) and 1, but is '" +
                       std::get<std::string>(value) + "'");
}

// Numbers from `least` on.
std::vector<int64_t> counts_of(const std::string& name, const OptionValue& value, int64_t least) {
  const std::string& text = std::get<std::string>(value);
  const auto counts = items_of<int64_t>(name, text, scalar_to_int);
  for (const int64_t count : counts)
    if (count < least)
      throw UsageError("option '" + name + "' must be " + std::to_string(least) +
                       " or more, but is '" + text + "'");
  return counts;
}

void set_pairs(MeasureSpec& spec, const OptionValue& value) {
  spec.pairs = counts_of("pairs", value, 1);
}

void set_distances(MeasureSpec& spec, const OptionValue& value) {
  spec.distances = counts_of("distances", value, 0);
}

void set_counts(MeasureSpec& spec, const OptionValue& value) {
  spec.counts = counts_of("counts", value, 0);
}

void set_source(MeasureSpec& spec, const OptionValue& value) {
  spec.copy_text = std::get<std::string>(value) == "text";
}

void set_tasks(MeasureSpec& spec, const OptionValue& value) {
  spec.tasks = std::get<std::string>(value);
}

void set_by(MeasureSpec& spec, const OptionValue& value) { spec.by = std::get<std::string>(value); }

StrategyChoice as_choice(const MeasureChoice& choice) {
  return {choice.name, choice.options, choice.place};
}

}  // namespace

std::span<const MeasureOption> measure_options() {
  using M = MeasureSpec;
  static const std::vector<MeasureOption> options{
      {integer("samples", 64, 1, kMostSamples, "Number of windows or tasks."),
       set_integer<&M::samples>},
      {text("control", "none",
            "`reset`: nothing but targets or question is read; `shuffled`: the context in another "
            "order; `absent`: without the facts.",
            {"none", "reset", "shuffled", "absent"}),
       set_control},
      {integer("tail", 256, 1, kMostTokens, "How many targets at the end of a window are scored."),
       set_integer<&M::tail>},
      {integer("shuffle_block", 16, 1, kMostTokens,
               "Tokens that stay together in a shuffled context."),
       set_integer<&M::shuffle_block>},
      {integer("stride", 0, 0, kMostTokens, "Targets per window; 0: half the length."),
       set_integer<&M::stride>},
      {integer("points", 16, 1, kMostTokens, "Number of points along the length."),
       set_integer<&M::points>},
      {integer("digits", 5, 1, 64, "Digits of a pass key."), set_integer<&M::digits>},
      {text("depths", "0,0.25,0.5,0.75,1", "Where pass keys are hidden, from 0 to 1 (the end)."),
       set_depths},
      {text("pairs", "4,16,64", "Numbers of token pairs to remember."), set_pairs},
      {text("distances", "0,1,3,15",
            "Segments between facts and their question; 0: those of one segment."),
       set_distances},
      {integer("segment", 256, 1, kMostTokens, "Tokens of a segment, by which distances count."),
       set_integer<&M::segment>},
      {text("source", "random", "What is copied: random tokens or text.", {"random", "text"}),
       set_source},
      {text("tasks", "", "A file of tasks, one JSON object per line."), set_tasks},
      {text("by", "", "The key of tasks whose number is the second axis."), set_by},
      {text("counts", "0,1,8,20", "Numbers of passages to give."), set_counts},
      {integer("query", 256, 1, kMostTokens, "First tokens of a text that are not scored."),
       set_integer<&M::query>},
      {integer("decode_tokens", 32, 1, kMostTokens, "Tokens decoded one at a time."),
       set_integer<&M::decode_tokens>},
      {integer("repeats", 3, 1, kMostSamples, "Runs that are timed."), set_integer<&M::repeats>}};
  return options;
}

MeasureSpec measure_spec(const MeasureChoice& choice, const MeasureSpec& defaults,
                         const std::string& directory) {
  MeasureSpec spec = defaults;
  spec.name = choice.name;
  try {
    find_measure(spec.name);
  } catch (const UsageError& error) {
    throw UsageError(choice.place.text + ": " + error.what());
  }
  const std::vector<std::string>& names = find_measure(spec.name).options;
  const auto has = [&](const MeasureOption& option) {
    return std::find(names.begin(), names.end(), option.spec.name) != names.end();
  };
  std::vector<OptionSpec> schema;
  for (const MeasureOption& option : measure_options())
    if (has(option)) schema.push_back(option.spec);
  const Options values =
      resolve_options(as_choice(choice), schema, "the measure '" + choice.name + "'");
  for (const MeasureOption& option : measure_options()) {
    const auto written = choice.options.find(option.spec.name);
    if (written == choice.options.end()) continue;
    try {
      option.set(spec, values.all().at(option.spec.name));
    } catch (const UsageError& error) {
      throw UsageError(written->second.place.text + ": " + error.what());
    }
  }
  if (!spec.tasks.empty()) spec.tasks = absolute_path(spec.tasks, directory);
  return spec;
}

}  // namespace perdure
