// SPDX-License-Identifier: Apache-2.0

#include "core/base/json/json_write.hpp"

#include <array>
#include <cmath>

namespace perdure {
namespace {

std::string escaped(unsigned char control) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return std::string("\\u00") + kDigits[control >> 4] + kDigits[control & 15];
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      result += {'\\', c};
    else if (c == '\n')
      result += "\\n";
    else if (byte < 0x20)
      result += escaped(byte);
    else
      result += c;
  }
  return result + '"';
}

struct Writer {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    return std::isfinite(value) ? Json(value).scalar_text() : "null";
  }
  std::string operator()(const std::string& value) const { return quoted(value); }
  std::string operator()(const Json::List& list) const {
    std::string text = "[";
    for (const Json& item : list) text += (text.size() > 1 ? "," : "") + json_text(item);
    return text + "]";
  }
  std::string operator()(const Json::Map& map) const {
    std::string text = "{";
    for (const auto& [key, value] : map)
      text += (text.size() > 1 ? "," : "") + quoted(key) + ":" + json_text(value);
    return text + "}";
  }
};

}  // namespace

std::string json_text(const Json& value) { return std::visit(Writer{}, value.content()); }

}  // namespace perdure
