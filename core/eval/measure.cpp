// SPDX-License-Identifier: Apache-2.0

// The table of measures, and what all of them have in common.
#include "core/eval/measure.hpp"

#include <algorithm>

#include "core/eval/measure_kind.hpp"

namespace perdure {
namespace {

const std::vector<MeasureKind>& kinds() {
  static const std::vector<MeasureKind> all{
      loss_measure(),        perplexity_measure(), position_measure(), passkey_measure(),
      facts_measure(),       recall_measure(),     copy_measure(),     choice_measure(),
      exact_match_measure(), speed_measure(),      time_measure(),     ram_measure(),
      passages_measure()};
  return all;
}

const MeasureKind& find_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const MeasureKind& kind : kinds()) {
    if (kind.info.name == name) return kind;
    names.push_back(kind.info.name);
  }
  const std::string near = name == "memory" ? "ram" : nearest(name, names);  // its earlier name
  throw UsageError("there is no measure '" + name + "'" +
                   (near.empty() ? "" : "; did you mean '" + near + "'?"));
}

void require_control(const MeasureInfo& info, Control control) {
  const auto& controls = info.controls;
  if (control == Control::kNone ||
      std::find(controls.begin(), controls.end(), control) != controls.end())
    return;
  std::string there;
  for (const Control one : controls)
    there += (there.empty() ? "" : " and ") + std::string(control_name(one));
  throw UsageError("the measure '" + info.name + "' has no " +
                   (there.empty()
                        ? "controls; loss and facts have"
                        : "control '" + std::string(control_name(control)) + "'; it has " + there));
}

// Kind of a spec. Errors: UsageError for options that cannot be.
const MeasureKind& checked_kind(const MeasureSpec& spec) {
  const MeasureKind& kind = find_kind(spec.name);
  require_control(kind.info, spec.control);
  const std::pair<const char*, int64_t> positive[] = {
      {"samples", spec.samples}, {"tail", spec.tail},
      {"points", spec.points},   {"shuffle_block", spec.shuffle_block},
      {"digits", spec.digits},   {"decode_tokens", spec.decode_tokens},
      {"repeats", spec.repeats}, {"segment", spec.segment},
      {"query", spec.query},     {"chunk", spec.chunk}};
  for (const auto& [name, value] : positive)
    if (value < 1)
      throw UsageError("the measure '" + spec.name + "' has " + name + " " + std::to_string(value) +
                       "; it must be at least 1");
  return kind;
}

// What titles of figures add.
std::string words_of(Control control) {
  switch (control) {
    case Control::kReset:
      return ", memory reset";
    case Control::kShuffled:
      return ", context shuffled";
    case Control::kAbsent:
      return ", without the facts";
    case Control::kNone:
      break;
  }
  return "";
}

}  // namespace

std::string_view control_name(Control control) {
  static constexpr const char* kNames[] = {"none", "reset", "shuffled", "absent"};
  return kNames[static_cast<int>(control)];
}

std::span<const MeasureInfo> measures() {
  static const std::vector<MeasureInfo> infos = [] {
    std::vector<MeasureInfo> result;
    for (const MeasureKind& kind : kinds()) result.push_back(kind.info);
    return result;
  }();
  return infos;
}

const MeasureInfo& find_measure(const std::string& name) { return find_kind(name).info; }

std::vector<FigureInfo> figures_of(const MeasureSpec& spec) {
  std::vector<FigureInfo> figures = checked_kind(spec).figures(spec);
  if (spec.control == Control::kNone) return figures;
  for (FigureInfo& figure : figures) {
    figure.title += words_of(spec.control);
    figure.name += "/" + std::string(control_name(spec.control));
  }
  return figures;
}

int64_t measure_tokens(const MeasureSpec& spec, int64_t length) {
  return checked_kind(spec).tokens(spec, length);
}

std::optional<MeasureResult> run_measure(Engine& engine, const MeasureSpec& spec, int64_t length,
                                         const EvalText& text, const MeasureProgress& progress) {
  const MeasureKind& kind = checked_kind(spec);
  if (length < 1) throw UsageError("a length of " + std::to_string(length) + " tokens is none");
  if (const auto longest = engine.max_length(); longest && length > *longest)
    throw UsageError("a session can have at most " + std::to_string(*longest) +
                     " tokens here, fewer than a length of " + std::to_string(length) +
                     "; raise attention.max_length or leave out this length");
  std::optional<MeasureResult> result = kind.run({engine, spec, length, text, progress});
  if (!result) return result;
  const std::vector<FigureInfo> figures = figures_of(spec);
  for (size_t i = 0; i < figures.size(); ++i) result->figures[i].name = figures[i].name;
  return result;
}

}  // namespace perdure
