// SPDX-License-Identifier: Apache-2.0

// Results as JSON: one line per entry, measure and cell, so that two files compare line by line.
#include "core/eval/results.hpp"

#include <array>
#include <limits>

#include "core/api/error.hpp"
#include "core/base/json/json_write.hpp"

namespace perdure {
namespace {

constexpr std::array<const char*, 4> kStates{"done", "refused", "failed", "missing"};

Json interval_json(const Interval& interval) {
  return json(std::vector<double>{interval.value, interval.low, interval.high});
}

Json circumstances_json(const Circumstances& c) {
  return object({member("cpu", c.cpu), member("isa", c.isa), member("threads", c.threads),
                 member("load", c.load), member("date", c.date), member("version", c.version)});
}

Json entry_json(const ComparedEntry& e) {
  Json::Map map{member("name", e.name),
                member("model", e.model),
                member("weights_hash", e.weights_hash),
                member("train_length", e.train_length),
                member("constant_memory", e.constant_memory),
                member("configuration", e.configuration),
                member("configuration_hash", e.configuration_hash)};
  if (!e.libraries.empty()) map.push_back(member("libraries", e.libraries));
  return object(std::move(map));
}

Json measure_json(const ComparedMeasure& m) {
  return object({member("name", m.name), member("title", m.title), member("unit", m.unit),
                 member("lower_is_better", m.lower_is_better), member("axis", m.axis)});
}

Json cell_json(const ComparedCell& c) {
  Json::Map map{member("entry", c.entry), member("measure", c.measure), member("length", c.length),
                member("axis", c.axis), member("state", kStates[static_cast<size_t>(c.state)])};
  if (!c.reason.empty()) map.push_back(member("reason", c.reason));
  if (c.state == ComparedCell::State::kDone) {
    map.push_back(member("samples", c.samples));
    map.push_back(member("figure", interval_json(c.figure)));
    if (c.difference) map.push_back(member("difference", interval_json(*c.difference)));
    if (c.best) map.push_back(member("best", true));
    if (c.chance) map.push_back(member("chance", *c.chance));
    if (c.circumstances) map.push_back(member("measured_on", circumstances_json(*c.circumstances)));
  }
  return object(std::move(map));
}

template <class T>
std::string lines(const std::vector<T>& values, Json (*as_json)(const T&)) {
  std::string text;
  for (const T& value : values)
    text += (text.empty() ? "\n    " : ",\n    ") + json_text(as_json(value));
  return "[" + text + (values.empty() ? "]" : "\n  ]");
}

// What is not finite was written as null.
double real(const Json& value) {
  if (std::holds_alternative<std::nullptr_t>(value.content()))
    return std::numeric_limits<double>::quiet_NaN();
  return value.real();
}

Interval read_interval(const Json& value) {
  const Json::List& list = value.list();
  if (list.size() != 3)
    throw Error("an interval has " + std::to_string(list.size()) + " numbers, not 3");
  return {real(list[0]), real(list[1]), real(list[2])};
}

Circumstances read_circumstances(const Json& json) {
  return {json.at("cpu").text(), json.at("isa").text(),  json.at("threads").integer(),
          real(json.at("load")), json.at("date").text(), json.at("version").text()};
}

ComparedEntry read_entry(const Json& e) {
  ComparedEntry entry{e.at("name").text(),
                      e.at("model").text(),
                      e.at("weights_hash").text(),
                      e.at("train_length").integer(),
                      e.at("constant_memory").flag(),
                      e.at("configuration").text(),
                      e.at("configuration_hash").text()};
  if (const Json* libraries = e.find("libraries"))
    for (const Json& library : libraries->list()) entry.libraries.push_back(library.text());
  return entry;
}

ComparedMeasure read_measure(const Json& m) {
  return {m.at("name").text(), m.at("title").text(), m.at("unit").text(),
          m.at("lower_is_better").flag(), m.at("axis").text()};
}

ComparedCell::State read_state(const std::string& word) {
  for (size_t i = 0; i < kStates.size(); ++i)
    if (word == kStates[i]) return static_cast<ComparedCell::State>(i);
  throw Error("there is no state \"" + word + "\" of a cell");
}

ComparedCell read_cell(const Json& c) {
  ComparedCell cell{.entry = c.at("entry").integer(),
                    .measure = c.at("measure").integer(),
                    .length = c.at("length").integer(),
                    .axis = real(c.at("axis")),
                    .state = read_state(c.at("state").text())};
  if (const Json* reason = c.find("reason")) cell.reason = reason->text();
  if (cell.state != ComparedCell::State::kDone) return cell;
  cell.samples = c.at("samples").integer();
  cell.figure = read_interval(c.at("figure"));
  if (const Json* difference = c.find("difference")) cell.difference = read_interval(*difference);
  if (const Json* best = c.find("best")) cell.best = best->flag();
  if (const Json* chance = c.find("chance")) cell.chance = real(*chance);
  if (const Json* found = c.find("measured_on")) cell.circumstances = read_circumstances(*found);
  return cell;
}

// Reads the items of a list; errors name the list and the item.
template <class Read>
auto read_list(const Json& from, const std::string& key, Read read) {
  std::vector<decltype(read(from))> values;
  for (const Json& item : from.at(key).list()) {
    try {
      values.push_back(read(item));
    } catch (const Error& error) {
      throw Error(key + " " + std::to_string(values.size()) + ": " + error.what());
    }
  }
  return values;
}

void require_index(int64_t index, size_t size, const std::string& what) {
  if (index < 0 || index >= static_cast<int64_t>(size))
    throw Error(what + " " + std::to_string(index) + " is not among the " + std::to_string(size) +
                " there are");
}

Comparison read_comparison(const Json& json) {
  Comparison c{.title = json.at("title").text(),
               .text_name = json.at("text_name").text(),
               .text_hash = json.at("text_hash").text(),
               .text_tokens = json.at("text_tokens").integer(),
               // Seeds of 64 bits: JSON's integers here have a sign.
               .seed = static_cast<uint64_t>(json.at("seed").integer())};
  if (const Json* baseline = json.find("baseline")) c.baseline = baseline->integer();
  c.lengths = read_list(json, "lengths", [](const Json& j) { return j.integer(); });
  c.entries = read_list(json, "entries", read_entry);
  c.measures = read_list(json, "measures", read_measure);
  c.cells = read_list(json, "cells", read_cell);
  if (c.baseline) require_index(*c.baseline, c.entries.size(), "baseline: entry");
  for (const ComparedCell& cell : c.cells) {
    require_index(cell.entry, c.entries.size(), "cells: entry");
    require_index(cell.measure, c.measures.size(), "cells: measure");
  }
  return c;
}

MeasurePoint read_point(const Json& json) {
  MeasurePoint point{.axis = real(json.at("axis"))};
  point.samples = read_list(json, "samples", real);
  return point;
}

MeasureResult read_result(const Json& json) {
  return {read_list(json, "figures", [](const Json& figure) {
    FigureSamples samples{figure.at("name").text(), read_list(figure, "points", read_point)};
    if (const Json* chance = figure.find("chance")) samples.chance = real(*chance);
    return samples;
  })};
}

// Parses and reads; errors name the file.
template <class Read>
auto parse(std::string_view text, const std::string& name, Read read) {
  const Json json = Json::parse(text, name);
  try {
    return read(json);
  } catch (const Error& error) {
    throw Error(name + ": " + error.what());
  }
}

}  // namespace

std::string comparison_json(const Comparison& c) {
  const auto scalar = [](const char* key, const Json& value) {
    return "  \"" + std::string(key) + "\": " + json_text(value) + ",\n";
  };
  return "{\n" + scalar("title", json(c.title)) + scalar("text_name", json(c.text_name)) +
         scalar("text_hash", json(c.text_hash)) + scalar("text_tokens", json(c.text_tokens)) +
         scalar("seed", json(c.seed)) +
         (c.baseline ? scalar("baseline", json(*c.baseline)) : std::string()) +
         scalar("lengths", json(c.lengths)) + "  \"entries\": " + lines(c.entries, entry_json) +
         ",\n  \"measures\": " + lines(c.measures, measure_json) +
         ",\n  \"cells\": " + lines(c.cells, cell_json) + "\n}\n";
}

Comparison parse_comparison(std::string_view json, const std::string& name) {
  return parse(json, name, read_comparison);
}

std::string measure_result_json(const MeasureResult& result) {
  Json::List figures;
  for (const FigureSamples& figure : result.figures) {
    Json::List points;
    for (const MeasurePoint& point : figure.points)
      points.push_back(object({member("axis", point.axis), member("samples", point.samples)}));
    Json::Map map{member("name", figure.name), member("points", Json(std::move(points)))};
    if (figure.chance) map.push_back(member("chance", *figure.chance));
    figures.push_back(object(std::move(map)));
  }
  return json_text(object({member("figures", Json(std::move(figures)))}));
}

std::string circumstances_text(const Circumstances& circumstances) {
  return json_text(circumstances_json(circumstances));
}

Circumstances parse_circumstances(std::string_view json, const std::string& name) {
  return parse(json, name, read_circumstances);
}

MeasureResult parse_measure_result(std::string_view json, const std::string& name) {
  return parse(json, name, read_result);
}

}  // namespace perdure
