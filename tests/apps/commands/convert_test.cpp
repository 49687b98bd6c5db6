// SPDX-License-Identifier: Apache-2.0

// perdure convert and quantize, and models named as in the cache of Hugging Face's tools.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "core/model/formats/safetensors.hpp"
#include "tests/apps/program.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const std::string kModels = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
const std::string kLlama = kModels + "llama.v0.bin";
const std::string kGguf = PERDURE_SOURCE_DIR "/tests/golden/gguf/small-F32.gguf";

// The bits of the logits after some tokens.
std::string logits_of(const std::string& model, const char* ids = "1 5 9 200 3 7 11 120") {
  const TemporaryFolder folder;
  write_all(folder / "ids", ids);
  const Outcome outcome =
      run_perdure({"logits", "-m", model, "--tokens", folder / "ids", "--out",
                   folder / "l.safetensors", "--set", "kernels.activations=f32"});
  CAPTURE(outcome.err);
  REQUIRE(outcome.status == 0);
  const SafetensorsFile file(folder / "l.safetensors");
  const auto bytes = file.find("logits")->bytes;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Outcome run_ok(const Words& words) {
  Outcome outcome = run_perdure(words);
  CAPTURE(outcome.err);
  CHECK(outcome.status == 0);
  return outcome;
}

std::ptrdiff_t entries_of(const TemporaryFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()), {});
}

}  // namespace

TEST_CASE("every logit of a converted F32 model has the same bits, there and back") {
  const TemporaryFolder folder;
  const std::string before = logits_of(kLlama);
  const Outcome outcome = run_ok({"convert", kLlama, folder / "m.gguf"});
  CHECK(outcome.err.find("and read it back") != std::string::npos);
  CHECK(logits_of(folder / "m.gguf") == before);
  run_ok({"convert", folder / "m.gguf", folder / "back.bin"});
  CHECK(logits_of(folder / "back.bin") == before);
  run_ok({"convert", folder / "m.gguf", folder / "folder"});
  write_all(folder / "folder/notes.txt", std::string(3'000'000, 'x'));
  const Outcome again = run_ok({"convert", folder / "folder", folder / "again.gguf"});
  // The size that is reported is that of the weights.
  CHECK(again.err.find(" MB)") == std::string::npos);
  CHECK(logits_of(folder / "again.gguf") == before);
  run_ok({"quantize", kLlama, folder / "f32.gguf", "--type", "f32", "-q"});
  CHECK(logits_of(folder / "f32.gguf") == before);
}

TEST_CASE("a quantised model is the file that llama.cpp makes, and runs with its own tokenizer") {
  const TemporaryFolder folder;
  run_ok({"quantize", kGguf, folder / "q.gguf", "--type", "Q4_K"});
  CHECK(logits_of(folder / "q.gguf") ==
        logits_of(PERDURE_SOURCE_DIR "/tests/golden/gguf/small-Q4_K.gguf"));
  const Outcome again =
      run_ok({"quantize", folder / "q.gguf", folder / "q8.gguf", "--type", "q8_0"});
  CHECK(again.err.find("is quantised already") != std::string::npos);
}

TEST_CASE("convert and quantize never write over what they read, and over others only with force") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kGguf, folder / "m.gguf");
  const Outcome same =
      run_perdure({"quantize", folder / "m.gguf", folder / "m.gguf", "--type", "q8_0", "--force"});
  CHECK(same.status == 2);
  CHECK(same.err.find("which is being read") != std::string::npos);
  write_all(folder / "mine.gguf", "mine");
  const Words words = {"quantize", folder / "m.gguf", folder / "mine.gguf", "--type", "q8_0"};
  const Outcome exists = run_perdure(words);
  CHECK(exists.status == 2);
  CHECK(exists.err.find("--force") != std::string::npos);
  CHECK(read_all(folder / "mine.gguf") == "mine");
  run_ok(words + Words{"--force"});
  CHECK(read_all(folder / "mine.gguf").starts_with("GGUF"));
  CHECK(entries_of(folder) == 2);
}

TEST_CASE("logits are not written over the weights of a folder that is read") {
  const TemporaryFolder folder;
  run_ok({"convert", kLlama, folder / "m"});
  write_all(folder / "ids", "1 5");
  const std::string weights = folder / "m/model.safetensors", before = read_all(weights);
  const Outcome outcome = run_perdure(
      {"logits", "-m", folder / "m", "--tokens", folder / "ids", "--out", weights, "--force"});
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("which is being read") != std::string::npos);
  CHECK(read_all(weights) == before);
}

TEST_CASE("a full disk ends a conversion with a sentence, and nothing is left") {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_perdure({"convert", kLlama, folder / "m.gguf"}, {.most_file_bytes = 20000});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("m.gguf: writing failed") != std::string::npos);
  CHECK(entries_of(folder) == 0);
}

TEST_CASE("what convert and quantize cannot do is one sentence") {
  const TemporaryFolder folder;
  const auto error = [](const Words& words) {
    const Outcome outcome = run_perdure(words);
    CHECK(outcome.status != 0);
    CHECK(std::ranges::count(outcome.err, '\n') == 1);
    return outcome.err;
  };
  const auto contains = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  const std::string out = folder / "out.gguf";
  contains(error({"quantize", kLlama, out}), "--type TYPE");
  contains(error({"quantize", kLlama, out, "--type", "q2_k"}), "'q2_k' is not a type of weights");
  contains(error({"quantize", kLlama, folder / "m.bin", "--type", "q8_0"}),
           "m.bin: quantize writes GGUF files; choose a name that ends in .gguf");
  contains(error({"convert", kLlama}), "needs a model and the file or folder to write");
  contains(error({"convert", kLlama, out, "--to", "onnx"}), "huggingface, llama2c and safetensors");
  contains(error({"convert", kLlama, folder / "m.safetensors", "--type", "q80"}),
           "'q80' is not a type");
  contains(error({"convert", PERDURE_SOURCE_DIR "/models/fables-rwkv/fables-rwkv.safetensors",
                  folder / "m.safetensors"}),
           "only models of llama's family can be converted");
  contains(error({"convert", kLlama, folder / "out.xyz"}), "add --to huggingface");
  contains(error({"quantize", kLlama, out, "--type", "Q4_K_M"}), "did you mean 'q4_k'?");
  contains(error({"convert", kLlama, folder / "f", "--type", "q8_0"}), "holds f32, f16 and bf16");
  contains(error({"convert", kLlama, folder / "m.bin", "--type", "f16"}), "hold f32 and q80");
  contains(error({"convert", kLlama, out, "--version", "1"}), "for llama2.c's files");
  contains(error({"convert", kModels + "memA.safetensors", out, "--set",
                  "model.tokenizer=" + kModels + "tok_320.bin"}),
           "cannot hold the weight blk.0.mem_");
  CHECK(entries_of(folder) == 0);
}

TEST_CASE("a name with a version is a folder's, and --to makes a folder of any name") {
  const TemporaryFolder folder;
  run_ok({"convert", kLlama, folder / "llama-3.2-1b"});
  run_ok({"convert", kLlama, folder / "out.xyz", "--to", "huggingface", "--type", "F16"});
  for (const char* name : {"llama-3.2-1b", "out.xyz"})
    CHECK(std::filesystem::exists(folder / name + "/config.json"));
}

TEST_CASE("llama2.c's kinds of files follow from the type that is asked for") {
  const TemporaryFolder folder;
  run_ok({"convert", kLlama, folder / "q80.bin", "--type", "Q80"});
  CHECK(read_all(folder / "q80.bin") == read_all(kModels + "llama.v2.bin"));
  run_ok({"convert", kLlama, folder / "v1.bin", "--version", "1"});
  CHECK(read_all(folder / "v1.bin") == read_all(kModels + "llama.v1.bin"));
  run_ok({"convert", kModels + "memA.safetensors", folder / "mem.bin"});
  CHECK(read_all(folder / "mem.bin") == read_all(kModels + "memA.q80.bin"));
}

TEST_CASE("every kind of memory goes into safetensors with its options, logit for logit") {
  const TemporaryFolder folder;
  for (const char* name :
       {"memA.safetensors", "memS.safetensors", "att.safetensors", "pt_lstm.safetensors",
        "pt_mem_noreuse.safetensors", "pt_mem_wm.safetensors", "pt_hybrid_memlayer1.safetensors",
        "llama.v0.bin"}) {
    CAPTURE(name);
    run_ok({"convert", kModels + name, folder / "m.safetensors", "--force"});
    constexpr const char* kIds = "1 5 9 2 3 7 11 12 4 8 6 1 15 3 2 9 5 13";
    CHECK(logits_of(folder / "m.safetensors", kIds) == logits_of(kModels + name, kIds));
  }
  run_ok({"convert", kModels + "memA.q80.bin", folder / "q.safetensors"});
  run_ok({"convert", folder / "q.safetensors", folder / "q.bin"});
  CHECK(read_all(folder / "q.bin") == read_all(kModels + "memA.q80.bin"));
}

TEST_CASE("a safetensors file takes no JSON's place that is not its own") {
  const TemporaryFolder folder;
  write_all(folder / "m.json", "mine");
  const Outcome outcome = run_perdure({"convert", kLlama, folder / "m.safetensors"});
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("m.json") != std::string::npos);
  CHECK(read_all(folder / "m.json") == "mine");
  CHECK(entries_of(folder) == 1);
}

TEST_CASE("hf:owner/name is looked up in the cache, as a word and in a configuration") {
  const TemporaryFolder cache;
  const std::string snapshot = cache / "hub/models--me--small/snapshots/c1";
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_directories(cache / "hub/models--me--small/refs");
  std::filesystem::copy_file(kGguf, snapshot + "/m.gguf");
  write_all(cache / "hub/models--me--small/refs/main", "c1");
  ::setenv("HF_HOME", cache.path().c_str(), 1);
  const Outcome by_word = run_perdure({"generate", "hf:me/small", "-p", "a", "-n", "2", "-q"});
  CHECK(by_word.status == 0);
  write_all(cache / "run.yaml", "model: {path: \"hf:me/small\"}\n");
  const Outcome by_file = run_perdure({"inspect", "model", "-c", cache / "run.yaml"});
  CHECK(by_file.status == 0);
  const Outcome missing = run_perdure({"generate", "hf:me/none", "-p", "a"});
  ::unsetenv("HF_HOME");
  CHECK(missing.status == 1);
  CHECK(missing.err.find("hub/models--me--none; nothing is downloaded here") != std::string::npos);
}
