// SPDX-License-Identifier: Apache-2.0

// Typed reading of YAML maps; the sentences of all configuration errors about keys and values are
// made here.
#include "core/config/map_reader.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <utility>

namespace perdure {
namespace {

namespace fs = std::filesystem;

// Lower bounds of edit distances are worth no table of their own: words are short and errors rare.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// Without what is not a letter or digit at its front: "--temp" -> "temp".
std::string_view bare(std::string_view word) {
  while (!word.empty() && std::isalnum(static_cast<unsigned char>(word.front())) == 0)
    word.remove_prefix(1);
  return word;
}

// Letters that are enough to recognise a word that is written out or shortened.
constexpr size_t kFewestLetters = 3;

bool begins(std::string_view part, std::string_view whole) {
  return part.size() >= kFewestLetters && whole.starts_with(part);
}

bool is_part(std::string_view part, std::string_view whole) {
  return begins(part, whole) || (part.size() >= kFewestLetters && whole.ends_with(part));
}

// How far a candidate is from what was written: a shortened word is near, a part of it (`tokens` of
// `max-tokens`) is just near enough.
size_t distance_of(const std::string& word, const std::string& candidate, size_t limit) {
  const size_t distance = edit_distance(word, candidate);
  if (begins(bare(word), bare(candidate))) return std::min<size_t>(distance, 1);
  const bool part = is_part(bare(candidate), bare(word)) || is_part(bare(word), bare(candidate));
  return part ? std::min(distance, limit) : distance;
}

// The fewest digits that read back to the value.
std::string number_text(double value) {
  char buffer[32];
  const bool is_whole = value == std::floor(value) && std::abs(value) <= 1e18;
  return {buffer, is_whole
                      ? std::to_chars(buffer, std::end(buffer), static_cast<int64_t>(value)).ptr
                      : std::to_chars(buffer, std::end(buffer), value).ptr};
}

std::string home_directory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  if (const passwd* user = getpwuid(getuid())) return user->pw_dir;
  throw UsageError("'~' has no meaning here: HOME is not set; write the path out");
}

}  // namespace

std::string nearest(const std::string& word, std::span<const std::string> candidates) {
  constexpr size_t kLongestWord = 100;  // nobody mistypes a key into something longer
  if (word.size() > kLongestWord) return "";
  const size_t limit = (word.size() + 2) / 3;
  size_t best = limit + 1;
  std::string result;
  for (const std::string& candidate : candidates) {
    const size_t distance = distance_of(word, candidate, limit);
    if (distance < best) {
      best = distance;
      result = candidate;
    }
  }
  return result;
}

std::string suggestion(const std::string& word, std::span<const std::string> candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) return "did you mean '" + near + "'?";
  std::string list = "valid:";
  for (const std::string& candidate : candidates)
    list += (list.back() == ':' ? " " : ", ") + candidate;
  return list;
}

std::string range_text(double min, double max) {
  if (std::isfinite(min) && std::isfinite(max))
    return " (between " + number_text(min) + " and " + number_text(max) + ")";
  if (std::isfinite(min)) return " (at least " + number_text(min) + ")";
  if (std::isfinite(max)) return " (at most " + number_text(max) + ")";
  return "";
}

std::string whole_number_text(const std::string& text, bool quoted, bool has_most) {
  const std::optional<double> real = scalar_to_real(text, quoted);
  if (scalar_to_int(text, quoted) || !real || *real != std::floor(*real)) return "a whole number";
  constexpr double kMost = 9223372036854775808.0;
  if (std::abs(*real) >= kMost)
    return has_most ? "a whole number" : "a whole number of at most 9223372036854775807";
  return "a whole number in plain digits";
}

std::optional<bool> scalar_to_bool(const std::string& text, bool quoted) {
  if (quoted) return std::nullopt;
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::optional<int64_t> scalar_to_int(const std::string& text, bool quoted) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (quoted || text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<double> scalar_to_real(const std::string& text, bool quoted) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (quoted || text.empty() || error != std::errc() || stop != end) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::string absolute_path(const std::string& text, const std::string& directory) {
  // A name in a cache is no path.
  if (text.empty() || text.starts_with("hf:")) return text;
  fs::path path = text;
  if (text == "~" || text.starts_with("~/")) path = home_directory() + text.substr(1);
  if (path.is_relative()) path = fs::absolute(directory.empty() ? "." : directory) / path;
  return path.lexically_normal().string();
}

MapReader::MapReader(YamlNode& node, std::string prefix) : node_(node), prefix_(std::move(prefix)) {
  for (size_t i = 0; i < node.entries.size(); ++i) numbers_.emplace(node.entries[i].key, i);
  if (node.kind == YamlNode::Kind::kMap || node.kind == YamlNode::Kind::kNull) return;
  const std::string what = prefix_.empty() ? "a configuration" : "'" + prefix_ + "'";
  throw UsageError(node.place.text + ": " + what + " must be a map of keys and values");
}

std::string MapReader::full_key(const std::string& key) const {
  return prefix_.empty() ? key : prefix_ + "." + key;
}

void MapReader::fail(const YamlNode& value, const std::string& key, const std::string& what) const {
  throw UsageError(value.place.text + ": " + full_key(key) + " " + what);
}

YamlNode* MapReader::take(const std::string& key) {
  if (known_.insert(key).second) asked_.push_back(key);
  const auto number = numbers_.find(key);
  return number == numbers_.end() ? nullptr : &node_.entries[number->second].value;
}

const std::string& MapReader::scalar(const YamlNode& value, const std::string& key,
                                     const char* expected) const {
  if (value.kind == YamlNode::Kind::kScalar) {
    // The operating system would read a path up to there and open another file.
    if (value.text.find('\0') != std::string::npos)
      fail(value, key, "holds a NUL character (\\0); leave it out");
    return value.text;
  }
  static constexpr const char* kFound[] = {"nothing", "a value", "a list", "a map"};
  fail(value, key,
       std::string("must be ") + expected + ", but is " + kFound[static_cast<int>(value.kind)]);
}

void MapReader::text(const std::string& key, std::string& value) {
  if (const YamlNode* found = take(key)) value = scalar(*found, key, "a text");
}

void MapReader::choice(const std::string& key, std::string& value,
                       std::span<const std::string> valid) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  const std::string& text = scalar(*found, key, "a word");
  if (std::find(valid.begin(), valid.end(), text) == valid.end())
    fail(*found, key, "cannot be '" + text + "'; " + suggestion(text, valid));
  value = text;
}

void MapReader::integer(const std::string& key, int64_t& value, int64_t min, int64_t max) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  const std::string& text = scalar(*found, key, "a whole number");
  const std::optional<int64_t> number = scalar_to_int(text, found->quoted);
  if (!number || *number < min || *number > max)
    fail(*found, key,
         "must be " + whole_number_text(text, found->quoted, max != INT64_MAX) +
             (max == INT64_MAX
                  ? " (at least " + std::to_string(min) + ")"
                  : " (between " + std::to_string(min) + " and " + std::to_string(max) + ")") +
             ", but is '" + text + "'");
  value = *number;
}

void MapReader::integer_or(const std::string& key, std::string_view word, int64_t& value,
                           int64_t min, int64_t max) {
  const YamlNode* found = take(key);
  if (found != nullptr && !found->quoted && found->text == word)
    value = 0;
  else
    integer(key, value, min, max);
}

void MapReader::real(const std::string& key, double& value, double min, double max) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  const std::string& text = scalar(*found, key, "a number");
  const std::optional<double> number = scalar_to_real(text, found->quoted);
  if (!number || *number < min || *number > max)
    fail(*found, key, "must be a number" + range_text(min, max) + ", but is '" + text + "'");
  value = *number;
}

void MapReader::flag(const std::string& key, bool& value) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  const std::string& text = scalar(*found, key, "true or false");
  const std::optional<bool> flag = scalar_to_bool(text, found->quoted);
  if (!flag) fail(*found, key, "must be true or false, but is '" + text + "'");
  value = *flag;
}

void MapReader::texts(const std::string& key, std::vector<std::string>& values) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  values.clear();
  if (found->kind == YamlNode::Kind::kScalar) {
    values.push_back(scalar(*found, key, "a text"));
    return;
  }
  if (found->kind != YamlNode::Kind::kList) fail(*found, key, "must be a list of texts");
  for (const YamlNode& item : found->items) values.push_back(scalar(item, key, "a list of texts"));
}

void MapReader::path(const std::string& key, std::string& value, const std::string& directory) {
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  value = absolute_path(scalar(*found, key, "a path"), found->from_override ? "" : directory);
}

void MapReader::paths(const std::string& key, std::vector<std::string>& values,
                      const std::string& directory) {
  texts(key, values);
  const YamlNode* found = take(key);
  if (found == nullptr) return;
  for (std::string& value : values)
    value = absolute_path(value, found->from_override ? "" : directory);
}

std::vector<YamlEntry*> MapReader::rest() {
  std::vector<YamlEntry*> result;
  for (YamlEntry& entry : node_.entries)
    if (!known_.contains(entry.key)) result.push_back(&entry);
  return result;
}

void MapReader::finish() {
  const std::vector<YamlEntry*> unknown = rest();
  if (unknown.empty()) return;
  const YamlEntry& first = *unknown.front();
  throw UsageError(first.place.text + ": unknown key '" + full_key(first.key) + "'; " +
                   suggestion(first.key, asked_));
}

}  // namespace perdure
