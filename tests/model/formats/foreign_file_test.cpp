// SPDX-License-Identifier: Apache-2.0

// The usual wrong files, in the place of a model and of a tokenizer.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/model/formats/foreign_file.hpp"
#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

struct WrongFile {
  std::string name, bytes;
  const char *as_model, *as_tokenizer;
};

const WrongFile kFiles[] = {
    {"m.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
     "this is a Git LFS pointer, not the file itself; fetch it with git lfs pull",
     "this is a Git LFS pointer"},
    {"m.safetensors", "version https://git-lfs.github.com/spec/v1\n", "this is a Git LFS pointer",
     "this is a Git LFS pointer"},
    {"m.bin", "<!DOCTYPE html><html>", "this is a web page", "this is a web page"},
    {"m.bin", "\r\n  <HTML>", "this is a web page", "this is a web page"},
    {"m.bin", "<?xml version='1.0'?><Error>", "this is a web page", "this is a web page"},
    {"m.bin", "\x1f\x8b\x08 packed", "compressed with gzip", "compressed with gzip"},
    {"m.bin", std::string("\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", 16),
     "sentencepiece's tokenizer.model, not a model", "there are 1 tokens where the model has 320"},
    {"config.json", "{\"dim\": 8}", "this is JSON, not a model", "key 'model' is missing"},
    {"m.bin", "", "the file is empty", "the file is empty"},
    {"tokenizer.json", "", "the file is empty", "the file is empty"},
    {"m.bin", std::string("\x7f\x45LF\x02\x01\x01\0\0\0", 10),
     "this is a program or library (ELF), not a model; name the file with the weights",
     "this is a program or library (ELF), not a tokenizer; name the tokenizer.json, "},
    {"m.bin", std::string("tjgg\x03\0\0\0\0\x7d\0\0", 12),
     "this is a file of llama.cpp from before GGUF (ggjt), not a model", "(ggjt), not a tokenizer"},
    {"m.npy", std::string("\x93NUMPY\x01\0v\0", 10),
     "this is an array of NumPy (.npy), not a model",
     "this is an array of NumPy (.npy), not a tokenizer"},
    {"m.bin", "\x89PNG\r\n\x1a\n", "this is a picture (PNG), not a model",
     "this is a picture (PNG), not a tokenizer"},
    {"m.bin", "\xff\xd8\xff\xe0 JFIF", "a picture (JPEG)", "a picture (JPEG)"},
    {"m.bin", std::string("RIFF\x10\0\0\0WEBP", 12), "a picture (WebP)", "a picture (WebP)"},
    {"m.bin", "%PDF-1.7", "this is a PDF document, not a model", "a PDF document, not a tokenizer"},
    {"m.bin", "PK\x03\x04rest", "this is a checkpoint of PyTorch",
     "this is a zip archive, as checkpoints of PyTorch are, not a tokenizer"},
    {"m.bin", "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9", "this is a checkpoint of PyTorch",
     "this is a checkpoint of PyTorch, not a tokenizer"},
    {"m.bin", std::string("\x89PDM\r\n\x1a\n\x02\0", 10),
     "this is a stored session of perdure, not a model",
     "this is a stored session of perdure, not a tokenizer"},
    {"m.bin", "\x28\xb5\x2f\xfd packed", "compressed with zstd", "compressed with zstd"},
    {"vocab.txt", "the\nof\nand\nto\nin\n", "this is a text file, not a model",
     "this is a text file, not a tokenizer"},
};

bool is_said(const std::string& sentence, const std::string& path, const char* part) {
  return sentence.starts_with(path + ": ") && contains(sentence, part) &&
         !contains(sentence, "byte offset");
}

}  // namespace

TEST_CASE("the usual wrong files are named as what they are, not by their fields") {
  const testing::TemporaryFolder folder;
  for (const WrongFile& file : kFiles) {
    CAPTURE(file.bytes);
    const std::string path = folder / file.name;
    std::ofstream(path, std::ios::binary) << file.bytes;
    CHECK(is_said(error_of([&] { Model::open(path); }), path, file.as_model));
    ModelInfo info;
    info.vocab_size = 320;
    CHECK(is_said(error_of([&] { open_tokenizer(path, info); }), path, file.as_tokenizer));
  }
  const std::string tokenizer = golden("models/tok_320.bin");
  CHECK(is_said(error_of([&] { Model::open(tokenizer); }), tokenizer, "this is a tokenizer.bin"));
}

TEST_CASE("a model in the place of a tokenizer is named as a model") {
  ModelInfo info;
  info.vocab_size = 320;
  const auto refusal = [&](const std::string& path) {
    return error_of([&] { open_tokenizer(path, info); });
  };
  const std::string tensors = golden("models/memS.safetensors");
  CHECK(
      is_said(refusal(tensors), tensors, "this is a safetensors file, not a tokenizer; name the"));
  const std::string llama2c = golden("models/llama.v2.bin");
  CHECK(is_said(refusal(llama2c), llama2c, "this is a model of llama2.c or llama2Rnn, not a tok"));
  const testing::TemporaryFolder folder;
  const std::string gguf = folder / "m.gguf";
  write_text(gguf, as_text(GgufFile().bytes()));
  CHECK(is_said(refusal(gguf), gguf,
                "'tokenizer.ggml.tokens' is missing: this GGUF file has no "
                "tokenizer; give the model's tokenizer as model.tokenizer"));
}

TEST_CASE("the files beside a model are named as what they are, where they are others") {
  const testing::TemporaryFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\n";
  for (const char* name :
       {"generation_config.json", "tokenizer_config.json", "chat_template.jinja"}) {
    CAPTURE(name);
    const std::string path = folder / name;
    const auto refusal = [&] {
      return error_of([&] {
        read_tokenizer_config(folder.path().string());
        read_generation_ends(folder.path().string(), 8);
      });
    };
    write_text(path, pointer);
    CHECK(is_said(refusal(), path, "this is a Git LFS pointer, not the file itself"));
    write_text(path, "\x89PNG\r\n\x1a\n");
    CHECK(is_said(refusal(), path, "this is a picture (PNG), not the text that belongs there"));
    std::filesystem::remove(path);
  }
}

TEST_CASE("a document may be any text, and is no other file") {
  const auto said = [](std::string_view bytes) {
    return foreign_file(std::as_bytes(std::span(bytes)), Wanted::kDocument);
  };
  for (const char* text :
       {"", "a", "BZh is a mark", "GGUF is a file format of llama.cpp.",
        "{\"a\": 1, \"b\": [2, 3]}", "<!doctype html><html><p>a page</p></html>",
        "%PDF-1.7 is how such a file begins", "\xef\xbb\xbfthe sun is up\r\nthe sun",
        "\xe5\xa4\xaa\xe9\x99\xbd a \xff byte more"})
    CHECK(said(text) == "");
  CHECK(said("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n") ==
        "this is a Git LFS pointer, not the file itself; fetch it with git lfs pull");
  CHECK(said(std::string("\x1f\x8b\x08\0\0\0\0\0\0\3packed..", 18)).find("gzip") !=
        std::string::npos);
  CHECK(said(as_text(GgufFile().bytes())) ==
        "this is a GGUF model, not a text; name a text file in UTF-8");
}

TEST_CASE("a text in the place of a model is named as a text") {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "story.bin";
  write_text(path, "Once upon a time\nthere was a cat whose name nobody knew.\n");
  CHECK(is_said(error_of([&] { Model::open(path); }), path, "this is a text file, not a model"));
}

TEST_CASE("a binary file whose first byte is a brace is not taken for JSON") {
  const testing::TemporaryFolder folder;
  constexpr uint64_t kBrace = '{';
  Bytes model = read_bytes(golden("models/memS.safetensors"));
  uint64_t length = 0;
  std::memcpy(&length, model.data(), sizeof length);
  const uint64_t spaces = (kBrace - length) & 0xFF;
  model.insert(model.begin() + static_cast<long>(sizeof length + length), spaces, std::byte{' '});
  length += spaces;
  std::memcpy(model.data(), &length, sizeof length);
  REQUIRE(model[0] == std::byte{kBrace});
  write_text(folder / "m.safetensors", as_text(model));
  write_text(folder / "m.json", as_text(read_bytes(golden("models/memS.json"))));
  CHECK(error_of([&] { Model::open(folder / "m.safetensors"); }).empty());

  Bytes tokenizer = read_bytes(golden("models/tok_320.bin"));
  tokenizer[0] = std::byte{kBrace};
  write_text(folder / "tokenizer.bin", as_text(tokenizer));
  ModelInfo info;
  info.vocab_size = 320;
  CHECK(error_of([&] { open_tokenizer(folder / "tokenizer.bin", info); }).empty());
}

TEST_CASE("a file of a Hugging Face folder is named as that, with what to do") {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  write_zeros(path, {{"model.layers.0.self_attn.q_proj.weight", {2, 2}}});
  CHECK(error_of([&] { Model::open(path); }) ==
        path +
            ": this is a file of a Hugging Face folder; name the folder, with its config.json, "
            "as the model");
}
