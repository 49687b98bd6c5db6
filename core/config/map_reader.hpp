// SPDX-License-Identifier: Apache-2.0

// Reads the keys of one YAML map into typed variables and complains about every key that nobody
// asked for. Also the conversions of scalars that options of plugins share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/config/yaml_tree.hpp"

namespace perdure {

// Conversions of a plain scalar; nullopt if it is not one. Quoted scalars are never numbers or
// bools.
std::optional<bool> scalar_to_bool(const std::string& text, bool quoted);
std::optional<int64_t> scalar_to_int(const std::string& text, bool quoted);
std::optional<double> scalar_to_real(const std::string& text, bool quoted);  // finite

// "did you mean 'x'?" or "valid: a, b, c", for unknown keys and values.
std::string suggestion(const std::string& word, std::span<const std::string> candidates);

// What to write instead of something that is no int64_t: "a whole number", in plain digits where it
// is one already (1e2). `has_most`: the range that follows has an upper bound; without one, the
// bound of int64_t is named where it is exceeded (1e30).
std::string whole_number_text(const std::string& text, bool quoted, bool has_most);

// " (between 1 and 8)", " (at least 0)", "" for an unlimited range.
std::string range_text(double min, double max);

// Variables keep their value where the map lacks the key. Errors of all methods: UsageError with
// place and key.
class MapReader {
 public:
  // `node`: a map or null, whose entries stay while the reader lives. `prefix`: the map's own key
  // ("attention"), empty for the document.
  MapReader(YamlNode& node, std::string prefix);

  // Reads the value of `key`; nullptr if it is absent.
  YamlNode* take(const std::string& key);

  void text(const std::string& key, std::string& value);
  void choice(const std::string& key, std::string& value, std::span<const std::string> valid);
  void integer(const std::string& key, int64_t& value, int64_t min, int64_t max);
  // Or `word` ("auto", "none"), which stands for 0, also where 0 is below `min`.
  void integer_or(const std::string& key, std::string_view word, int64_t& value, int64_t min,
                  int64_t max);
  void real(const std::string& key, double& value, double min, double max);
  void flag(const std::string& key, bool& value);
  // A list of texts, or one text alone.
  void texts(const std::string& key, std::vector<std::string>& values);
  // A file or folder; becomes absolute. `directory`: what relative paths of the file are relative
  // to.
  void path(const std::string& key, std::string& value, const std::string& directory);
  void paths(const std::string& key, std::vector<std::string>& values,
             const std::string& directory);

  // Entries that were not asked for, in the order written.
  std::vector<YamlEntry*> rest();
  // Errors: UsageError for the first of the rest, with the nearest key that was asked for.
  void finish();

  std::string full_key(const std::string& key) const;
  [[noreturn]] void fail(const YamlNode& value, const std::string& key,
                         const std::string& what) const;

 private:
  const std::string& scalar(const YamlNode& value, const std::string& key,
                            const char* expected) const;

  YamlNode& node_;
  std::string prefix_;
  std::unordered_map<std::string_view, size_t> numbers_;  // of node_'s entries, by key
  std::vector<std::string> asked_;                        // in this order
  std::unordered_set<std::string> known_;                 // the same
};

// `text` with "~" replaced by the user's home; relative paths become absolute below `directory`.
// Empty stays empty.
std::string absolute_path(const std::string& text, const std::string& directory);

}  // namespace perdure
