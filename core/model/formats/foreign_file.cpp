// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/foreign_file.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/formats/format.hpp"

namespace perdure {
namespace {

struct Kind {
  size_t offset;
  std::string_view mark;
  const char* sentence;
  bool is_text = false;
};

constexpr Kind kKinds[] = {
    {0, "version https://git-lfs",
     "this is a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
    {0, "<!DOCTYPE", "this is a web page, not the file; download the file itself"},
    {0, "<!doctype", "this is a web page, not the file; download the file itself"},
    {0, "<html", "this is a web page, not the file; download the file itself"},
    {0, "\x1f\x8b", "this is compressed with gzip; unpack it first"},
};

constexpr Kind kNoModels[] = {
    {2, "\x0a\x05<unk>", "this is sentencepiece's tokenizer.model, not a model"},
    {12, "<unk>", "this is a tokenizer.bin, not a model; give it as model.tokenizer"},
    {0, "{", "this is JSON, not a model; name the file with the weights", true},
};

// The first number of a binary file may be a mark by chance; it has a zero byte, and text has none.
bool begins_as_text(std::string_view bytes) {
  return bytes.substr(0, sizeof(uint64_t)).find('\0') == bytes.npos;
}

// Plain text has no control characters but white space; the headers of binary models have zeros.
bool is_plain_text(std::span<const std::byte> bytes) {
  constexpr size_t kShortest = 8, kLooked = 256;
  const auto is_text = [](std::byte b) {
    const auto c = static_cast<unsigned char>(b);
    return c >= 0x20 ? c != 0x7f : c == '\t' || c == '\n' || c == '\r' || c == '\f';
  };
  const auto head = bytes.first(std::min(bytes.size(), kLooked));
  return head.size() >= kShortest && std::all_of(head.begin(), head.end(), is_text);
}

template <size_t N>
std::string find(const Kind (&kinds)[N], std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Kind& kind : kinds)
    if (text.size() >= kind.offset && text.substr(kind.offset).starts_with(kind.mark) &&
        (!kind.is_text || begins_as_text(text)))
      return kind.sentence;
  return "";
}

}  // namespace

std::string foreign_model_file(std::span<const std::byte> bytes) {
  std::string sentence = find(kKinds, bytes);
  if (sentence.empty()) sentence = find(kNoModels, bytes);
  if (sentence.empty() && is_plain_text(bytes)) sentence = "this is a text file, not a model";
  return sentence;
}

void refuse_foreign_file(std::span<const std::byte> bytes, const std::string& path) {
  if (const std::string sentence = find(kKinds, bytes); !sentence.empty())
    throw Error(path + ": " + sentence);
}

ModelFormat foreign_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return !source.is_folder() && !foreign_model_file(source.bytes()).empty();
              },
          .read = [](ModelSource source) -> Model {
            throw Error(source.path + ": " + foreign_model_file(source.bytes()));
          }};
}

}  // namespace perdure
