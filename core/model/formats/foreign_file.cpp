// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/foreign_file.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/formats/format.hpp"

namespace perdure {
namespace {

using namespace std::string_view_literals;

// Stands in the place of any file: something went wrong on its way here.
struct Wrapping {
  std::string_view mark;
  const char* sentence;
};

constexpr std::string_view kPointerMark = "version https://git-lfs";

constexpr Wrapping kWrappings[] = {
    {kPointerMark, "this is a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
    {"\x1f\x8b", "this is compressed with gzip; unpack it first"},
    {"\x28\xb5\x2f\xfd", "this is compressed with zstd; unpack it first"},
    {"\xfd"
     "7zXZ",
     "this is compressed with xz; unpack it first"},
    {"BZh", "this is compressed with bzip2; unpack it first"},
};

// What servers send in the place of a file begins so, in any case and behind any white space.
bool is_web_page(std::string_view bytes) {
  bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  std::string begin(bytes.substr(0, std::string_view("<!doctype").size()));
  for (char& c : begin) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return begin == "<!doctype" || begin.starts_with("<html") || begin.starts_with("<?xml");
}

constexpr unsigned bit(Wanted wanted) { return 1u << static_cast<unsigned>(wanted); }

struct Kind {
  size_t offset;
  std::string_view mark;
  const char* name;
  unsigned fits = 0;  // bits of what it may be wanted as: its reader names what is wrong with it
  bool is_text = false;
};

constexpr Kind kKinds[] = {
    {0, "GGUF", "a GGUF model", bit(Wanted::kModel) | bit(Wanted::kTokenizer)},
    // The upper half of the length of the JSON, which follows.
    {4, "\0\0\0\0{"sv, "a safetensors file", bit(Wanted::kModel)},
    {0, "24ka", "a model of llama2.c or llama2Rnn", bit(Wanted::kModel)},
    {0, "fmgg", "a model of rwkv.cpp", bit(Wanted::kModel)},
    {0, "PK\x03\x04", "a zip archive, as checkpoints of PyTorch are", bit(Wanted::kModel)},
    {0, "\x80\x02\x8a\x0a\x6c\xfc", "a checkpoint of PyTorch", bit(Wanted::kModel)},
    {0, "tjgg", "a file of llama.cpp from before GGUF (ggjt)"},
    {0, "lmgg", "a file of llama.cpp from before GGUF (ggml)"},
    {0, "algg", "an adapter of llama.cpp from before GGUF (ggla)"},
    {2, "\x0a\x05<unk>", "sentencepiece's tokenizer.model", bit(Wanted::kTokenizer)},
    {12, "<unk>", "a tokenizer.bin", bit(Wanted::kTokenizer)},
    {0, "{", "JSON", bit(Wanted::kTokenizer) | bit(Wanted::kText), true},
    {0, "\x89PDM\r\n", "a stored session of perdure", bit(Wanted::kSession)},
    {0,
     "\x7f"
     "ELF",
     "a program or library (ELF)"},
    {0, "\x93NUMPY", "an array of NumPy (.npy)"},
    {0, "\x89HDF\r\n", "an HDF5 file"},
    {0, "\x89PNG", "a picture (PNG)"},
    {0, "\xff\xd8\xff", "a picture (JPEG)"},
    {0, "GIF8", "a picture (GIF)"},
    {8, "WEBP", "a picture (WebP)"},
    {0, "%PDF-", "a PDF document"},
};

struct Place {
  const char* name;
  const char* advice;
};

Place place_of(Wanted wanted) {
  switch (wanted) {
    case Wanted::kModel:
      return {"a model", "name the file with the weights"};
    case Wanted::kTokenizer:
      return {"a tokenizer",
              "name the tokenizer.json, tokenizer.model, tokenizer.bin, GGUF file or vocabulary of "
              "RWKV that belongs to the model"};
    case Wanted::kSession:
      return {"a stored session", "name a file that perdure memory export wrote"};
    case Wanted::kText:
      return {"the text that belongs there", "fetch the file again"};
    case Wanted::kDocument:
      return {"a text", "name a text file in UTF-8"};
  }
  return {};
}

// The first number of a binary file may be a mark by chance; it has a zero byte, and text has none.
bool begins_as_text(std::string_view bytes) {
  return bytes.substr(0, sizeof(uint64_t)).find('\0') == bytes.npos;
}

// Plain text has no control characters but white space; the headers of binary models have zeros.
bool is_plain_text(std::string_view bytes) {
  constexpr size_t kShortest = 8, kLooked = 256;
  const auto is_text = [](char b) {
    const auto c = static_cast<unsigned char>(b);
    return c >= 0x20 ? c != 0x7f : c == '\t' || c == '\n' || c == '\r' || c == '\f';
  };
  return bytes.size() >= kShortest && std::ranges::all_of(bytes.substr(0, kLooked), is_text);
}

bool is_kind(const Kind& kind, std::string_view bytes) {
  return bytes.size() >= kind.offset && bytes.substr(kind.offset).starts_with(kind.mark) &&
         (!kind.is_text || begins_as_text(bytes));
}

// Its name, if it cannot be what is wanted; "": it may.
std::string_view foreign_kind(std::string_view bytes, Wanted wanted) {
  for (const Kind& kind : kKinds)
    if (is_kind(kind, bytes)) return (kind.fits & bit(wanted)) != 0 ? "" : kind.name;
  return wanted != Wanted::kText && is_plain_text(bytes) ? "a text file" : "";
}

// Whether it is read as it is when any text is wanted, whatever text it begins with.
bool may_be_document(std::string_view bytes) {
  constexpr size_t kLongestMark = 16;
  return bytes.size() < kLongestMark || (is_plain_text(bytes) && !bytes.starts_with(kPointerMark));
}

}  // namespace

std::string foreign_file(std::span<const std::byte> bytes, Wanted wanted) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (wanted == Wanted::kDocument && may_be_document(text)) return "";
  if (text.empty()) return "the file is empty; fetch it again";
  if (wanted != Wanted::kDocument && is_web_page(text))
    return "this is a web page, not the file; download the file itself";
  for (const Wrapping& wrapping : kWrappings)
    if (text.starts_with(wrapping.mark)) return wrapping.sentence;
  const std::string_view kind = foreign_kind(text, wanted);
  if (kind.empty()) return "";
  const Place place = place_of(wanted);
  return "this is " + std::string(kind) + ", not " + place.name + "; " + place.advice;
}

void refuse_foreign_file(std::span<const std::byte> bytes, const std::string& path, Wanted wanted) {
  if (const std::string sentence = foreign_file(bytes, wanted); !sentence.empty())
    throw Error(path + ": " + sentence);
}

ModelFormat foreign_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return !source.is_folder() && !foreign_file(source.bytes(), Wanted::kModel).empty();
              },
          .read = [](ModelSource source) -> Model {
            throw Error(source.path + ": " + foreign_file(source.bytes(), Wanted::kModel));
          }};
}

}  // namespace perdure
