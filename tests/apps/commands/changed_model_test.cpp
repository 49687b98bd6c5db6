// SPDX-License-Identifier: Apache-2.0

// Models of every format that are cut or overwritten while the program has them mapped: a sentence
// and status 1, no signal, no wrong result. The tokens come through a pipe, which the program opens
// once the model is read.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "tests/apps/program.hpp"

using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

const std::string kGolden = PERDURE_SOURCE_DIR "/tests/golden/";
const std::string kLlama2c = kGolden + "llama2rnn/models/";

// What is copied, and the file of it that is changed; a folder with all that lies in it.
struct Format {
  std::string model, file;
};

const Format kFormats[] = {
    {kLlama2c + "llama.v0.bin", ""},
    {kLlama2c + "llama.v1.bin", ""},
    {kLlama2c + "llama.v2.bin", ""},
    {kLlama2c + "memC_zero_unshared.q80.bin", ""},
    {kLlama2c + "memS.safetensors", ""},
    {kGolden + "gguf/small-F32.gguf", ""},
    {kGolden + "gguf/small-Q8_0.gguf", ""},
    {kGolden + "gguf/small-Q4_K.gguf", ""},
    {kGolden + "rwkv/rand_v7", "model.safetensors"},
    {kGolden + "rwkv/bin_v7/model-FP16.bin", ""},
    {kGolden + "microrwkv/small", "model.safetensors"},
    {kGolden + "rmt/abs_rotary_xl", "model.safetensors"},
    {kGolden + "rmt/hf_wrapper_llama", "model.safetensors"},
};

// A copy of a model, with the options beside it.
struct Copy {
  TemporaryFolder folder;
  std::string path;

  explicit Copy(const Format& format) {
    const fs::path from =
        format.file.empty() ? fs::path(format.model) : fs::path(format.model) / format.file;
    for (const fs::path& one :
         {from, fs::path(from).replace_extension(".json"), from.parent_path() / "config.json"})
      if (fs::exists(one)) fs::copy_file(one, folder.path() / one.filename());
    path = folder / from.filename().string();
  }
};

// Waits until the program reads the pipe; -1 if it does not.
int open_pipe(const std::string& path) {
  using namespace std::chrono;
  const auto deadline = steady_clock::now() + seconds(60);
  int file = -1;
  while ((file = open(path.c_str(), O_WRONLY | O_NONBLOCK)) < 0 && steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(5));
  return file;
}

// What becomes of `perdure logits` if `change` is done to the model behind its back.
Outcome outcome_after(const Format& format, const std::function<void(const std::string&)>& change) {
  const Copy copy(format);
  const std::string tokens = copy.folder / "tokens";
  ::mkfifo(tokens.c_str(), 0600);
  auto outcome = std::async(std::launch::async, [&] {
    return run_perdure({"logits", "-m", copy.path, "--tokens", tokens, "--out",
                        copy.folder / "l.safetensors", "-q"});
  });
  const int pipe = open_pipe(tokens);
  REQUIRE(pipe >= 0);
  change(copy.path);
  CHECK(write(pipe, "1 2 3 4 5 6 7 8", 15) == 15);
  close(pipe);
  Outcome ended = outcome.get();
  CHECK_FALSE(fs::exists(copy.folder / "l.safetensors"));
  return ended;
}

void cut(const std::string& path) { fs::resize_file(path, 64); }

void overwrite(const std::string& path) {
  const std::string bytes(fs::file_size(path), '\x3f');
  const int file = open(path.c_str(), O_WRONLY);
  CHECK(pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  close(file);
}

bool is_one_sentence(const std::string& text) {
  const auto lines = std::ranges::count(text, '\n');
  return text.find("perdure: ") < 2 && lines <= (text.starts_with('\n') ? 2 : 1);
}

}  // namespace

TEST_CASE("a model of any format that is cut while it is mapped ends in a sentence") {
  for (const Format& format : kFormats) {
    CAPTURE(format.model);
    const Outcome outcome = outcome_after(format, cut);
    CAPTURE(outcome.err);
    CHECK(outcome.status == 1);
    CHECK(is_one_sentence(outcome.err));
    CHECK((outcome.err.find("was cut short while it was read") != std::string::npos ||
           outcome.err.find("was written to after it was opened") != std::string::npos));
  }
}

TEST_CASE("a model of any format that is overwritten while it is mapped ends in a sentence") {
  for (const Format& format : kFormats) {
    CAPTURE(format.model);
    const Outcome outcome = outcome_after(format, overwrite);
    CAPTURE(outcome.err);
    CHECK(outcome.status == 1);
    CHECK(is_one_sentence(outcome.err));
    CHECK(outcome.err.find("was written to after it was opened") != std::string::npos);
  }
}

TEST_CASE("generate says at its end that the model was overwritten") {
  const Copy copy({kLlama2c + "llama.v0.bin", ""});
  const std::string prompt = copy.folder / "prompt";
  ::mkfifo(prompt.c_str(), 0600);
  auto outcome = std::async(std::launch::async, [&] {
    return run_perdure(Words{"generate", "-f", prompt, "-n", "5"} + golden_words("llama.v0.bin") +
                       Words{"--set", "model.path=" + copy.path});
  });
  const int pipe = open_pipe(prompt);
  REQUIRE(pipe >= 0);
  overwrite(copy.path);
  CHECK(write(pipe, "Once", 4) == 4);
  close(pipe);
  const Outcome ended = outcome.get();
  CHECK(ended.status == 1);
  CHECK(ended.err.find("was written to after it was opened") != std::string::npos);
}
