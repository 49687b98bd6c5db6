// SPDX-License-Identifier: Apache-2.0

// The usual wrong files, in the place of a model and of a tokenizer.
#include <doctest/doctest.h>

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
     "sentencepiece's tokenizer.model, not a model", "llama2.c's tokenizer.py makes"},
    {"config.json", "{\"dim\": 8}", "this is JSON, not a model", "a tokenizer.bin is needed"},
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

TEST_CASE("a checkpoint in Hugging Face's layout is named as that, with what to do") {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  const Bytes bytes = safetensors_file(
      R"({"model.layers.0.self_attn.q_proj.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})",
      16);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  const std::string sentence = error_of([&] { Model::open(path); });
  CHECK(contains(sentence, "Hugging Face's layout"));
  CHECK(contains(sentence, "convert it to GGUF"));
}
