// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/json_text.hpp"

#include <algorithm>
#include <cstdio>

namespace perdure::jinja {
namespace {

// The words in which JSON and Python differ.
struct Words {
  const char *none, *yes, *no;
};
constexpr Words kJson{"null", "true", "false"}, kPython{"None", "True", "False"};

uint32_t code_point(std::string_view character) {
  constexpr uint32_t kMasks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  uint32_t value = static_cast<unsigned char>(character[0]) & kMasks[character.size()];
  for (const char c : character.substr(1)) value = value << 6 | (static_cast<unsigned>(c) & 0x3fu);
  return value;
}

std::string hexadecimal(const char* form, uint32_t value) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, form, value);
  return buffer;
}

// A character beyond ASCII as \uXXXX, or as two of these.
std::string escaped_code_point(uint32_t value) {
  if (value < 0x10000) return hexadecimal("\\u%04x", value);
  const uint32_t rest = value - 0x10000;
  return hexadecimal("\\u%04x", 0xd800 + (rest >> 10)) +
         hexadecimal("\\u%04x", 0xdc00 + (rest & 0x3ff));
}

class Writer {
 public:
  Writer(Run& run, const JsonStyle& style, bool python)
      : run_(run), style_(style), python_(python), words_(python ? kPython : kJson) {}

  void write(const Value& value) {
    run_.step();
    if (const MarkedText* text = text_of(value)) return write_text(*text);
    if (const List* list = list_of(value)) return write_list(*list);
    if (const Map* map = map_of(value)) return write_map(*map);
    add(scalar(value));
  }
  MarkedText take() { return std::move(out_); }

 private:
  std::string scalar(const Value& value) const {
    if (is_none(value)) return words_.none;
    if (const bool* flag = std::get_if<bool>(&value)) return *flag ? words_.yes : words_.no;
    if (const int64_t* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
    if (const double* real = std::get_if<double>(&value)) return real_text(*real);
    if (python_ && is_undefined(value)) return "Undefined";
    run_.fail(std::string(kind_of(value)) + " cannot be written as text");
  }

  void add(std::string_view text, Origin origin = Origin::kTemplate) {
    run_.work(text.size());
    out_.append(text, origin);
  }

  std::string escaped(std::string_view character, char quote) const {
    const char c = character[0];
    if (c == quote || c == '\\') return std::string("\\") + c;
    constexpr std::string_view kFrom = "\n\r\t\f\b", kTo = "nrtfb";
    const size_t known = kFrom.substr(0, python_ ? 3 : 5).find(c);
    if (known != kFrom.npos) return std::string("\\") + kTo[known];
    if (static_cast<unsigned char>(c) < ' ' || (python_ && c == '\x7f'))
      return hexadecimal(python_ ? "\\x%02x" : "\\u%04x", static_cast<unsigned char>(c));
    if (style_.ensure_ascii && character.size() > 1)
      return escaped_code_point(code_point(character));
    return std::string(character);
  }

  // Python prefers ' and takes " for a text that has the one and not the other.
  char quote_of(const std::string& text) const {
    if (!python_) return '"';
    return text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  }

  void write_text(const MarkedText& text) {
    const char quote = quote_of(text.text());
    add({&quote, 1});
    for (size_t at = 0, size = 0; at < text.size(); at += size) {
      size = character_at(text.text(), at);
      add(escaped(std::string_view(text.text()).substr(at, size), quote), text.origin(at));
    }
    add({&quote, 1});
  }

  void write_list(const List& list) {
    write_items("[", "]", list.items.size(), [&](size_t i) { write(list.items[i]); });
  }

  void write_map(const Map& map) {
    std::vector<const std::pair<Text, Value>*> items;
    for (const auto& item : map.items) items.push_back(&item);
    if (style_.sort_keys)
      std::ranges::sort(items, {}, [](const auto* item) { return item->first->text(); });
    write_items("{", "}", items.size(), [&](size_t i) {
      write_text(*items[i]->first);
      add(style_.key_separator);
      write(items[i]->second);
    });
  }

  template <class Item>
  void write_items(const char* begin, const char* end, size_t count, const Item& item) {
    add(begin);
    ++depth_;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) add(style_.item_separator);
      new_line();
      item(i);
    }
    --depth_;
    if (count > 0) new_line();
    add(end);
  }

  void new_line() {
    if (!style_.indent) return;
    const auto spaces = static_cast<size_t>(*style_.indent) * depth_;
    run_.work(spaces);
    add("\n" + std::string(spaces, ' '));
  }

  Run& run_;
  const JsonStyle& style_;
  bool python_;
  const Words& words_;
  MarkedText out_;
  size_t depth_ = 0;
};

MarkedText text_in(Run& run, const Value& value, const JsonStyle& style, bool python) {
  Writer writer(run, style, python);
  writer.write(value);
  return writer.take();
}

}  // namespace

MarkedText json_text(Run& run, const Value& value, const JsonStyle& style) {
  return text_in(run, value, style, false);
}

MarkedText python_text(Run& run, const Value& value) { return text_in(run, value, {}, true); }

}  // namespace perdure::jinja
