// SPDX-License-Identifier: Apache-2.0

// The usual wrong files, in the place of a model and of a tokenizer.
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>

#include "core/model/model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
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
    {"m.bin", "\x1f\x8b\x08 packed", "compressed with gzip", "compressed with gzip"},
    {"m.bin", std::string("\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", 16),
     "sentencepiece's tokenizer.model, not a model", "there are 1 tokens where the model has 320"},
    {"config.json", "{\"dim\": 8}", "this is JSON, not a model", "key 'model' is missing"},
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
