// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/measure_groups.hpp"

#include <algorithm>
#include <cctype>

namespace perdure::report {
namespace {

bool is_speed(const ComparedMeasure& measure) {
  return measure.unit == "tokens/s" || measure.unit.starts_with("us");
}

// The name without its control: "loss" of "loss/reset".
std::string without_control(const std::string& name) { return name.substr(0, name.find('/')); }

std::string file_name(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  return name.empty() ? "measure" : name.substr(0, 64);
}

MeasureGroup group_of(const ComparedMeasure& measure) {
  if (is_speed(measure)) return {"speed", PictureKind::kMixed, {}, "Speed"};
  if (measure.unit == "bytes") return {"ram", PictureKind::kOverLength, {}, "State and RAM"};
  if (measure.axis.empty())
    return {file_name(without_control(measure.name)), PictureKind::kOverLength, {}, ""};
  if (measure.unit == "share" && measure.axis != "position")
    return {file_name(measure.name), PictureKind::kGrid, {}, ""};
  return {file_name(without_control(measure.name)), PictureKind::kAlongAxis, {}, ""};
}

}  // namespace

std::vector<MeasureGroup> measure_groups(const ComparisonView& view) {
  std::vector<MeasureGroup> groups;
  for (int64_t m = 0; m < view.n_measures(); ++m) {
    if (!view.has_figures(m)) continue;
    MeasureGroup group = group_of(view.measure(m));
    auto known = std::find_if(groups.begin(), groups.end(), [&](const MeasureGroup& other) {
      return other.name == group.name && other.kind == group.kind;
    });
    // Names that differ only in what a file name cannot hold; a grid holds one measure.
    const auto taken = [&] {
      return std::any_of(groups.begin(), groups.end(),
                         [&](const MeasureGroup& other) { return other.name == group.name; });
    };
    if (known == groups.end() || group.kind == PictureKind::kGrid) {
      while (taken()) group.name += "_";
      known = groups.insert(groups.end(), group);
    }
    known->measures.push_back(m);
  }
  return groups;
}

}  // namespace perdure::report
