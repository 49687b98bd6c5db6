// SPDX-License-Identifier: Apache-2.0

#include "core/config/comparison.hpp"

#include <glob.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/config/map_reader.hpp"
#include "core/config/settings_tree.hpp"

namespace perdure {
namespace {

constexpr int64_t kMaxLength = int64_t{1} << 40;

// What an entry writes over what holds for all. Lists and scalars replace.
void merge(YamlNode& base, const YamlNode& changes) {
  if (base.kind != YamlNode::Kind::kMap || changes.kind != YamlNode::Kind::kMap) {
    base = changes;
    return;
  }
  std::unordered_map<std::string, size_t> numbers;
  for (const YamlEntry& entry : base.entries) numbers.emplace(entry.key, numbers.size());
  for (const YamlEntry& entry : changes.entries) {
    const auto there = numbers.find(entry.key);
    if (there != numbers.end())
      merge(base.entries[there->second].value, entry.value);
    else
      base.entries.push_back(entry);
  }
}

// Takes out of an entry which of a text's tokens the model is given: `input: clip`, or
// `input: {tokens: clip, kept: 64}` beside the keys of the configuration's section `input`.
void take_input(YamlNode& changes, ComparisonEntry& entry) {
  static const std::string kInputs[] = {"whole", "clip", "repeat", "contexts", "passages"};
  const std::string prefix = "compare.entries." + entry.name;
  YamlNode* input = changes.kind == YamlNode::Kind::kMap ? changes.find("input") : nullptr;
  if (input != nullptr && input->kind == YamlNode::Kind::kMap) {
    auto own = MapReader(*input, prefix + ".input");
    own.choice("tokens", entry.input, kInputs);
    own.integer("kept", entry.kept, 1, kMaxLength);
    own.integer("chunk", entry.chunk, 1, kMaxLength);
    for (const char* key : {"tokens", "kept", "chunk"}) take_entry(*input, key);
  } else {
    MapReader(changes, prefix).choice("input", entry.input, kInputs);
    take_entry(changes, "input");
  }
}

ComparisonEntry read_entry(YamlEntry& written, const YamlNode& base, const std::string& directory) {
  ComparisonEntry entry{.name = written.key, .place = written.place};
  if (entry.name.empty() || entry.name.find('/') != std::string::npos)
    throw UsageError(written.place.text +
                     ": the name of an entry must not be empty nor have a '/'");
  YamlNode changes = written.value;
  take_input(changes, entry);
  YamlNode tree = base;
  YamlNode* attention = changes.find("attention");
  if (attention != nullptr && attention->kind == YamlNode::Kind::kMap &&
      attention->find("strategy") != nullptr)
    take_entry(tree, "attention");
  if (changes.kind == YamlNode::Kind::kMap) merge(tree, changes);
  entry.settings = read_settings(tree, directory);
  return entry;
}

void read_entries(MapReader& reader, const YamlNode& base, const std::string& directory,
                  ComparisonSettings& result) {
  YamlNode* node = reader.take("entries");
  if (node != nullptr) {
    MapReader entries(*node, "compare.entries");
    for (YamlEntry* written : entries.rest())
      result.entries.push_back(read_entry(*written, base, directory));
  }
  if (result.entries.empty())
    throw UsageError(result.place.text +
                     ": compare.entries is missing; name what is compared, for example "
                     "{plain: {}, linear: {attention: {strategy: full, rope_scaling: linear}}}");
}

void read_baseline(MapReader& reader, ComparisonSettings& result) {
  const YamlNode* node = reader.take("baseline");
  if (node == nullptr) return;
  std::vector<std::string> names;
  for (const ComparisonEntry& entry : result.entries) names.push_back(entry.name);
  std::string name;
  reader.choice("baseline", name, names);
  result.baseline =
      static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

void read_lengths(MapReader& reader, ComparisonSettings& result) {
  std::vector<std::string> texts;
  reader.texts("lengths", texts);
  const YamlNode* node = reader.take("lengths");
  if (texts.empty())
    throw UsageError((node == nullptr ? result.place : node->place).text +
                     ": compare.lengths must name at least one length, for example [256, 1024]");
  for (const std::string& text : texts) {
    const std::optional<int64_t> length = scalar_to_int(text, false);
    if (!length || *length < 1 || *length > kMaxLength)
      reader.fail(*node, "lengths",
                  "must be whole numbers" + range_text(1, static_cast<double>(kMaxLength)) +
                      ", but one is '" + text + "'");
    result.lengths.push_back(*length);
  }
  std::sort(result.lengths.begin(), result.lengths.end());
  const auto last = std::unique(result.lengths.begin(), result.lengths.end());
  result.lengths.erase(last, result.lengths.end());
}

// Files of tasks are the one option that is a path.
std::string option_text(MapReader& reader, const YamlEntry& entry, const std::string& directory) {
  const YamlNode& value = entry.value;
  if (entry.key == "tasks") {
    std::string path;
    reader.path(entry.key, path, directory);
    return path;
  }
  if (value.kind == YamlNode::Kind::kScalar) return value.text;
  std::vector<std::string> items;
  if (value.kind != YamlNode::Kind::kList) reader.fail(value, entry.key, "must be a value or list");
  reader.texts(entry.key, items);
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

// `loss`, or `{loss: {tail: 64}}`.
MeasureChoice read_measure(YamlNode& node, const std::string& directory) {
  MeasureChoice measure{.place = node.place};
  if (node.kind == YamlNode::Kind::kScalar) {
    measure.name = node.text;
    return measure;
  }
  if (node.kind != YamlNode::Kind::kMap || node.entries.size() != 1)
    throw UsageError(node.place.text +
                     ": compare.measures: write a measure as 'loss' or '{loss: {tail: 64}}'");
  YamlEntry& entry = node.entries.front();
  measure.name = entry.key;
  MapReader options(entry.value, "compare.measures." + entry.key);
  for (const YamlEntry* option : options.rest())
    measure.options[option->key] = {option_text(options, *option, directory), option->value.place,
                                    option->value.quoted};
  return measure;
}

void read_measures(MapReader& reader, const std::string& directory, ComparisonSettings& result) {
  YamlNode* node = reader.take("measures");
  if (node == nullptr) {
    result.measures.push_back({.name = "loss", .place = result.place});
    return;
  }
  if (node->kind == YamlNode::Kind::kList)
    for (YamlNode& item : node->items) result.measures.push_back(read_measure(item, directory));
  else
    result.measures.push_back(read_measure(*node, directory));
  if (result.measures.empty()) reader.fail(*node, "measures", "must name at least one measure");
}

// The files that match, sorted; a path without wildcards stands for itself, there or not.
std::vector<std::string> expand(const std::string& pattern, const SourcePlace& place) {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  glob_t found{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());  // glob's own order is the locale's
  if (status != 0 || paths.empty())
    throw UsageError(place.text + ": compare.text: no file matches " + pattern);
  return paths;
}

void read_text_files(MapReader& reader, const std::string& directory, ComparisonSettings& result) {
  std::vector<std::string> patterns;
  reader.paths("text", patterns, directory);
  const YamlNode* node = reader.take("text");
  for (const std::string& pattern : patterns)
    for (std::string& path : expand(pattern, node->place)) result.text.push_back(std::move(path));
  reader.text("separator", result.separator);
  reader.path("tokens", result.tokens, directory);
  if (!result.text.empty() && !result.tokens.empty())
    reader.fail(*node, "text", "and compare.tokens both say what is read; give one of them");
}

}  // namespace

std::string ComparisonEntry::input_keys() const {
  if (input == "whole") return "";
  std::string keys = "  tokens: " + input + "\n";
  if (kept != 0) keys += "  kept: " + std::to_string(kept) + "\n";
  if (input == "passages") keys += "  chunk: " + std::to_string(chunk) + "\n";
  return keys;
}

ComparisonSettings load_comparison(const std::string& path,
                                   const std::vector<std::string>& overrides) {
  YamlNode base = read_tree(path, overrides);
  const std::string directory = folder_of(path);
  if (base.kind != YamlNode::Kind::kMap || base.find("compare") == nullptr)
    throw UsageError((path.empty() ? "the configuration" : path) +
                     std::string(" has no section 'compare', which says what is compared; see "
                                 "configs/compare for some"));
  YamlNode section = take_entry(base, "compare");
  ComparisonSettings result;
  result.place = section.place;
  MapReader reader(section, "compare");
  reader.text("title", result.title);
  read_entries(reader, base, directory, result);
  read_baseline(reader, result);
  reader.flag("equal_state", result.equal_state);
  if (result.equal_state && !result.baseline)
    throw UsageError(result.place.text +
                     ": compare.equal_state needs compare.baseline: the entry whose state no other "
                     "may exceed");
  read_lengths(reader, result);
  read_measures(reader, directory, result);
  read_text_files(reader, directory, result);
  reader.path("out", result.out, directory);
  reader.integer("seed", result.seed, 0, INT64_MAX);
  reader.integer("samples", result.samples, 1, int64_t{1} << 32);
  reader.finish();
  return result;
}

}  // namespace perdure
