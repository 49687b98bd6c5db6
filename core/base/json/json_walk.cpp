// SPDX-License-Identifier: Apache-2.0

// Boost.JSON's incremental parser with a handler that keeps the way to the current value and the
// keys seen.
#include "core/base/json/json_walk.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <unordered_set>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"

namespace perdure {

std::string json_key(const std::vector<std::string>& keys) {
  std::string joined;
  for (const std::string& key : keys)
    joined += (joined.empty() || key == "[]" ? "" : ".") + shown_name(key);
  return joined;
}

namespace {

namespace json = boost::json;
using json::error_code;
using Text = json::string_view;

// The members that basic_parser asks for; see its documentation for their meaning.
template <JsonSize size>
class Walker {
 public:
  // They bound what is remembered while walking to a few tens of MiB.
  static constexpr size_t max_object_size = size == JsonSize::kVocabulary ? 1 << 19 : 32768;
  static constexpr size_t max_array_size = 1 << 20;
  static constexpr size_t max_key_size = size == JsonSize::kVocabulary ? 1 << 14 : 256;
  static constexpr size_t max_string_size = 4 << 20;

  Walker(const std::string& path, const JsonVisit& visit) : path_(path), visit_(visit) {}

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code&) { return open(JsonKind::kObject); }
  bool on_object_end(size_t, error_code&) { return close(); }
  bool on_array_begin(error_code&) { return open(JsonKind::kArray); }
  bool on_array_end(size_t, error_code&) { return close(); }

  bool on_key_part(Text part, size_t, error_code&) { return gather(part); }
  bool on_key(Text part, size_t, error_code&) {
    gather(part);
    keys_.back() = std::move(text_);
    text_.clear();
    if (!levels_.back().insert(keys_.back()).second)
      throw Error(path_ + ": the key '" + json_key(keys_) + "' occurs twice");
    return true;
  }

  bool on_string_part(Text part, size_t, error_code&) { return gather(part); }
  bool on_string(Text part, size_t, error_code&) { return scalar(JsonKind::kString, part); }
  bool on_number_part(Text part, error_code&) { return gather(part); }
  bool on_int64(int64_t, Text part, error_code&) { return scalar(JsonKind::kInteger, part); }
  bool on_uint64(uint64_t, Text part, error_code&) { return scalar(JsonKind::kInteger, part); }
  bool on_double(double, Text part, error_code&) { return scalar(JsonKind::kReal, part); }
  bool on_bool(bool value, error_code&) {
    return scalar(JsonKind::kBool, value ? "true" : "false");
  }
  bool on_null(error_code&) { return scalar(JsonKind::kNull, "null"); }
  bool on_comment_part(Text, error_code&) { return true; }
  bool on_comment(Text, error_code&) { return true; }

 private:
  using Keys = std::unordered_set<std::string>;

  bool gather(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }

  bool scalar(JsonKind kind, Text part) {
    gather(part);
    visit_(keys_, kind, text_);
    text_.clear();
    return true;
  }

  // Every container adds a step to the way; in an array it stays "[]".
  bool open(JsonKind kind) {
    visit_(keys_, kind, {});
    keys_.emplace_back("[]");
    levels_.emplace_back();
    return true;
  }

  bool close() {
    keys_.pop_back();
    levels_.pop_back();
    return true;
  }

  const std::string& path_;
  const JsonVisit& visit_;
  std::string text_;
  std::vector<std::string> keys_;
  std::vector<Keys> levels_;
};

template <JsonSize size>
void walk(std::string_view text, const std::string& path, int64_t first_byte,
          const JsonVisit& visit) {
  json::parse_options options;
  options.max_depth = 8;
  json::basic_parser<Walker<size>> parser(options, path, visit);
  const auto fail = [&](size_t at, const std::string& what) {
    throw Error(path + ": byte offset " + std::to_string(first_byte + static_cast<int64_t>(at)) +
                ": " + what);
  };
  error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error) fail(used, "the JSON cannot be read: " + error.message());
  if (used < text.size()) fail(used, "something follows the end of the JSON");
}

}  // namespace

void walk_json(std::string_view text, const std::string& path, int64_t first_byte,
               const JsonVisit& visit, JsonSize size) {
  if (size == JsonSize::kVocabulary)
    walk<JsonSize::kVocabulary>(text, path, first_byte, visit);
  else
    walk<JsonSize::kHeader>(text, path, first_byte, visit);
}

}  // namespace perdure
