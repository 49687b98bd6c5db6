// SPDX-License-Identifier: Apache-2.0

// Implements core/model/json.hpp over Boost.JSON's event parser.
#include "core/model/json.hpp"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

namespace bj = boost::json;

// Builds the tree from the parser's events; stops the parser with `problem` set where the text is
// not for us.
struct Handler {
  static constexpr size_t max_object_size = size_t(-1);
  static constexpr size_t max_array_size = size_t(-1);
  static constexpr size_t max_key_size = size_t(-1);
  static constexpr size_t max_string_size = size_t(-1);

  struct Open {
    Json::Content content;
    std::string key;  // of the member being read, for objects
  };

  std::vector<Open> open;
  std::string part;  // a string or key that arrives in pieces
  Json root;
  std::string problem;

  bool put(Json::Content content) {
    if (open.empty()) {
      root = Json(std::move(content));
    } else if (auto* list = std::get_if<Json::List>(&open.back().content)) {
      list->emplace_back(std::move(content));
    } else {
      std::get<Json::Map>(open.back().content)
          .emplace_back(std::move(open.back().key), Json(std::move(content)));
    }
    return true;
  }

  bool refuse(std::string why, bj::error_code& ec) {
    problem = std::move(why);
    ec = bj::make_error_code(bj::error::syntax);
    return false;
  }

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) { return open.push_back({Json::Map{}, {}}), true; }
  bool on_array_begin(bj::error_code&) { return open.push_back({Json::List{}, {}}), true; }
  bool on_object_end(size_t, bj::error_code& ec) {
    std::vector<std::string_view> keys;
    for (const auto& member : std::get<Json::Map>(open.back().content))
      keys.push_back(member.first);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end())
      return refuse("the key \"" + std::string(*twice) + "\" occurs twice", ec);
    return close();
  }
  bool on_array_end(size_t, bj::error_code&) { return close(); }
  bool close() {
    Json::Content content = std::move(open.back().content);
    open.pop_back();
    return put(std::move(content));
  }

  bool on_key_part(bj::string_view s, size_t, bj::error_code&) { return part.append(s), true; }
  bool on_key(bj::string_view s, size_t, bj::error_code&) {
    part.append(s);
    open.back().key = std::exchange(part, {});
    return true;
  }
  bool on_string_part(bj::string_view s, size_t, bj::error_code&) { return part.append(s), true; }
  bool on_string(bj::string_view s, size_t, bj::error_code&) {
    part.append(s);
    return put(std::exchange(part, {}));
  }
  bool on_number_part(bj::string_view, bj::error_code&) { return true; }
  bool on_int64(int64_t v, bj::string_view, bj::error_code&) { return put(v); }
  bool on_uint64(uint64_t, bj::string_view, bj::error_code& ec) {
    return refuse("an integer does not fit 64 bits", ec);
  }
  bool on_double(double v, bj::string_view, bj::error_code&) { return put(v); }
  bool on_bool(bool v, bj::error_code&) { return put(v); }
  bool on_null(bj::error_code&) { return put(nullptr); }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

const char* kind_name(const Json::Content& content) {
  constexpr std::array names{"null", "a bool", "an integer", "a real", "a text", "a list", "a map"};
  return names[content.index()];
}

template <typename T>
const T& expect(const Json::Content& content) {
  if (const T* value = std::get_if<T>(&content)) return *value;
  throw Error("expected " + std::string(kind_name(T{})) + ", found " + kind_name(content));
}

}  // namespace

Json Json::parse(std::string_view text, const std::string& name) {
  bj::basic_parser<Handler> parser{bj::parse_options{}};
  bj::error_code ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  Handler& handler = parser.handler();
  const std::string at = " at byte " + std::to_string(used);
  if (!handler.problem.empty()) throw Error(name + ": " + handler.problem + at);
  if (ec) throw Error(name + ": malformed JSON" + at + " (" + ec.message() + ")");
  if (text.find_first_not_of(" \t\r\n", used) != text.npos)
    throw Error(name + ": text after the end of the JSON value" + at);
  return std::move(handler.root);
}

bool Json::flag() const { return expect<bool>(content_); }
int64_t Json::integer() const { return expect<int64_t>(content_); }
double Json::real() const {
  if (const int64_t* i = std::get_if<int64_t>(&content_)) return static_cast<double>(*i);
  return expect<double>(content_);
}
const std::string& Json::text() const& { return expect<std::string>(content_); }
const Json::List& Json::list() const& { return expect<List>(content_); }
const Json::Map& Json::map() const& { return expect<Map>(content_); }

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : map())
    if (name == key) return &value;
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  throw Error("the key \"" + std::string(key) + "\" is missing");
}

std::string Json::scalar_text() const {
  if (const auto* flag = std::get_if<bool>(&content_)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&content_)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&content_)) {
    std::array<char, 32> digits;
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), *real).ptr};
  }
  return text();
}

}  // namespace perdure
