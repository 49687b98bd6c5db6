// SPDX-License-Identifier: Apache-2.0

#include "tests/apps/report/samples/sample_comparisons.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace perdure::test {
namespace {

constexpr double kTrained = 512;

const std::vector<std::string> kMethods = {
    "full (extrapolation)",
    "interpolation",
    "interpolation + logn",
    "NTK-RoPE",
    "mixed NTK",
    "dynamic NTK",
    "YaRN",
    "LongRoPE",
    "Llama-3 scaling",
    "SWA",
    "SWAHalf",
    "SWAQuater",
    "SWAHalf + self-extend half + logn (a rather long name that somebody typed)",
    "self-extend",
    "self-extend half",
    "self-extend quarter",
    "ReRoPE",
    "ReRoPE + logn",
    "StreamingLLM",
    "StreamingLLM, re-indexed",
    "LM-Infinite",
    "A-shaped mask",
    "nope",
    "key_norm",
    "xpos 64",
    "logn",
    "theta 100000",
    "memory 32",
    "memory 64 + SWA",
    "double-window mask"};

// How fast a method's loss grows beyond the length of training.
double growth_of(size_t entry) {
  if (entry == 0) return 1.4;
  return 0.01 + 0.9 * std::pow(static_cast<double>((entry * 7) % 30) / 30, 3);
}

double loss_of(size_t entry, double length) {
  const double within = 1.21 + 0.9 / std::log2(length) + 0.002 * static_cast<double>(entry % 5);
  const double beyond = std::max(0.0, std::log2(length / kTrained));
  return within + growth_of(entry) * beyond * (1 + 0.2 * beyond);
}

ComparedCell refused_cell(int64_t entry, int64_t measure, int64_t length,
                          const std::string& reason) {
  ComparedCell cell;
  cell.entry = entry;
  cell.measure = measure;
  cell.length = length;
  cell.state = ComparedCell::State::kRefused;
  cell.reason = reason;
  return cell;
}

Comparison empty_comparison(const std::vector<std::string>& names) {
  Comparison comparison;
  comparison.title = "Every method on stories";
  comparison.text_name = "stories.txt";
  comparison.text_hash = "0123456789abcdef0123456789abcdef";
  comparison.text_tokens = 1234567;
  comparison.seed = 1;
  for (const std::string& name : names)
    comparison.entries.push_back({name, "stories260K.bin", "89abcdef0123456789abcdef01234567", 512,
                                  name.starts_with("memory"),
                                  "model:\n  path: stories260K.bin\nattention:\n  strategy: full\n",
                                  "456789abcdef0123456789abcdef0123"});
  return comparison;
}

void add_losses(Comparison& comparison) {
  comparison.measures.push_back({"loss", "Loss of the last 256 targets", "nats", true, ""});
  comparison.measures.push_back(
      {"loss/reset", "Loss of the last 256 targets, memory reset", "nats", true, ""});
  for (size_t e = 0; e < comparison.entries.size(); ++e)
    for (const int64_t length : comparison.lengths) {
      const auto entry = static_cast<int64_t>(e);
      ComparedCell cell = done_cell(entry, 0, length, loss_of(e, static_cast<double>(length)));
      if (e == 3 && length > 8192) cell.figure = {1e6, 9e5, 1.1e6};
      if (e == 22 && length > 16384) cell.figure.value = std::numeric_limits<double>::quiet_NaN();
      if (e > 0) cell.difference = Interval{-0.1, -0.14, e % 3 == 0 ? 0.02 : -0.06};
      if (e == 29) cell = refused_cell(entry, 0, length, "the mask would let rows see the future");
      comparison.cells.push_back(cell);
      if (e < 6)
        comparison.cells.push_back(
            done_cell(entry, 1, length, 1.55 + 0.01 * static_cast<double>(e)));
    }
}

void add_grids(Comparison& comparison) {
  const auto passkey = static_cast<int64_t>(comparison.measures.size());
  comparison.measures.push_back({"passkey", "Passkey found", "share", false, "depth"});
  comparison.measures.push_back({"recall", "Pairs recalled", "share", false, "pairs"});
  for (size_t e = 0; e < comparison.entries.size(); ++e)
    for (const int64_t length : comparison.lengths) {
      const auto entry = static_cast<int64_t>(e);
      const double reach = 1 / (1 + std::exp(growth_of(e) * std::log2(length / kTrained) * 3 - 3));
      for (const double depth : {0.0, 0.25, 0.5, 0.75, 1.0})
        comparison.cells.push_back(
            done_cell(entry, passkey, length, std::min(1.0, reach + 0.3 * depth * depth), depth));
      for (const double pairs : {4.0, 16.0, 64.0})
        if (e < 4)
          comparison.cells.push_back(
              done_cell(entry, passkey + 1, length, reach / (1 + pairs / 64), pairs));
      if (e == 5)
        comparison.cells.push_back(
            refused_cell(entry, passkey + 1, length, "the text has room for no sample"));
    }
}

void add_positions(Comparison& comparison) {
  const auto measure = static_cast<int64_t>(comparison.measures.size());
  comparison.measures.push_back({"loss_by_position", "Loss by position", "nats", true, "position"});
  for (size_t e = 0; e < comparison.entries.size(); ++e)
    for (const int64_t length : {comparison.lengths.front(), comparison.lengths.back()})
      for (int64_t i = 1; i <= 16; ++i) {
        const double position = static_cast<double>(length * i) / 16;
        comparison.cells.push_back(
            done_cell(static_cast<int64_t>(e), measure, length, loss_of(e, position), position));
      }
}

Comparison measured_of(const Comparison& results) {
  Comparison measured = results;
  measured.measures = {{"decode_speed", "Tokens read per second", "tokens/s", false, ""},
                       {"time_by_position", "Time per token", "us/token", true, "position"},
                       {"state_bytes", "State of a session", "bytes", true, ""},
                       {"peak_bytes", "Peak RAM of the process", "bytes", true, ""}};
  measured.cells.clear();
  for (size_t e = 0; e < measured.entries.size(); ++e)
    for (const int64_t length : measured.lengths) {
      const auto entry = static_cast<int64_t>(e);
      const auto tokens = static_cast<double>(length);
      const bool constant = e % 7 == 6;
      const double time = 90 + static_cast<double>(e) + (constant ? 12 : tokens * 0.04);
      const double state = (constant ? 512 : tokens) * 2560;
      measured.cells.push_back(done_cell(entry, 0, length, 1e6 / time));
      if (length == measured.lengths.back())
        for (int64_t i = 0; i < 16; ++i)
          measured.cells.push_back(
              done_cell(entry, 1, length,
                        90 + static_cast<double>(e) +
                            (constant ? 12 : tokens * 0.04 * static_cast<double>(i) / 16),
                        tokens * static_cast<double>(i) / 16));
      measured.cells.push_back(done_cell(entry, 2, length, state));
      measured.cells.push_back(done_cell(entry, 3, length, 2.1e7 + 1.5 * state));
    }
  return measured;
}

}  // namespace

ComparedCell done_cell(int64_t entry, int64_t measure, int64_t length, double value, double axis) {
  ComparedCell cell;
  cell.entry = entry;
  cell.measure = measure;
  cell.length = length;
  cell.axis = axis;
  cell.state = ComparedCell::State::kDone;
  cell.samples = 64;
  cell.figure = {value, value * 0.99, value * 1.01};
  return cell;
}

Sample many_methods() {
  Comparison results = empty_comparison(kMethods);
  results.baseline = 0;
  results.lengths = {256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  add_losses(results);
  add_grids(results);
  add_positions(results);
  return {"many_methods", results, measured_of(results)};
}

Sample two_entries() {
  Comparison results = empty_comparison({"plain", "memory"});
  results.title = "Memory against plain";
  results.lengths = {256, 512, 1024, 2048, 4096};
  add_losses(results);
  results.entries[1].train_length = 1024;
  return {"two_entries", results, measured_of(results)};
}

Sample one_length() {
  Comparison results = empty_comparison({kMethods.begin(), kMethods.begin() + 12});
  results.lengths = {2048};
  add_losses(results);
  add_grids(results);
  return {"one_length", results, measured_of(results)};
}

Sample hostile_texts() {
  const std::string script = "</script><script>alert(1)</script>";
  Comparison results = empty_comparison(
      {script, "\"><img src=x onerror=alert(1)>", "a&b <b>]]></b> 'q' &lt;", "\xFF\xFE bad \xC3",
       std::string("zero \0 and \x1B[31m", 15), "\u202Ereversed", std::string(300, 'w'), ""});
  results.title = "<title>" + script;
  results.text_name = "'><svg onload=alert(1)>";
  results.text_hash = "--><!--";
  results.lengths = {256, 1024};
  add_losses(results);
  add_grids(results);
  results.measures[0].title = "<loss onclick=\"x\">";
  results.measures[1].name = "../../etc/<passwd>";
  results.cells[0].state = ComparedCell::State::kRefused;
  results.cells[0].reason = "<!-- " + script;
  for (ComparedEntry& entry : results.entries)
    entry.configuration = "</pre>" + script + "\nkey: \"value\" # ${x} {{y}}\n";
  return {"hostile_texts", results, measured_of(results)};
}

Sample nothing_measured() {
  Comparison results = empty_comparison({"plain", "memory"});
  results.lengths = {256};
  results.measures.push_back({"loss", "Loss", "nats", true, ""});
  ComparedCell missing;
  missing.length = 256;
  results.cells.push_back(missing);
  Comparison measured = results;
  measured.measures.clear();
  measured.cells.clear();
  return {"nothing_measured", results, measured};
}

std::vector<Sample> all_samples() {
  return {many_methods(), two_entries(), one_length(), hostile_texts(), nothing_measured()};
}

}  // namespace perdure::test
