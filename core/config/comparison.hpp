// SPDX-License-Identifier: Apache-2.0

// The `compare:` section of a configuration: what `perdure compare` sets side by side. The rest of
// the file holds for every entry; an entry writes down only what is different.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/settings.hpp"

namespace perdure {

// One row of the comparison.
struct ComparisonEntry {
  std::string name;
  Settings settings;  // of the whole file, with what the entry changes
  // Which of a text's tokens the model is given, and how (InputForm in core/eval/measure.hpp):
  // whole | clip | repeat | contexts | passages.
  std::string input{"whole"};
  int64_t kept = 0;     // tokens of the text itself; 0: as many as the model was trained with
  int64_t chunk = 256;  // of `passages`
  SourcePlace place;

  // The input as keys of the configuration's section `input`, one per line; empty for `whole`.
  std::string input_keys() const;
};

// A measure as written: only core/eval knows its options.
struct MeasureChoice {
  std::string name;
  std::map<std::string, RawOption> options;  // lists as their items with ',' between them
  SourcePlace place;
};

struct ComparisonSettings {
  std::string title{"Comparison"};
  std::vector<ComparisonEntry> entries;  // at least one; names are unique
  std::optional<size_t> baseline;        // index of the entry that differences are to
  // Entries whose state would be larger than the baseline's get windows that make it fit.
  bool equal_state = false;
  std::vector<int64_t> lengths;         // ascending, without duplicates, at least one
  std::vector<MeasureChoice> measures;  // at least one
  std::vector<std::string> text;        // absolute paths, patterns resolved, as written or sorted
  std::string separator;                // between the texts of a file; empty: a file is one text
  std::string tokens;                   // a file of token ids instead
  std::string out;                      // absolute; empty if not given
  int64_t seed = 1;
  int64_t samples = 64;
  SourcePlace place;
};

// As load_settings, for a file with a section `compare`. The maps of an entry are merged with those
// of the file, key by key; an entry that names a strategy starts with an empty `attention`, as
// options belong to a strategy. Errors: UsageError, one sentence with file:line and the nearest
// valid key; also for a pattern that no file matches.
ComparisonSettings load_comparison(const std::string& path,
                                   const std::vector<std::string>& overrides);

// The file with the overrides in it and absolute paths, as YAML that gives the same comparison from
// any folder. Errors: as load_comparison for a file that is no YAML.
std::string dump_comparison(const std::string& path, const std::vector<std::string>& overrides);

}  // namespace perdure
