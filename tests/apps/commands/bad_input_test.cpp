// SPDX-License-Identifier: Apache-2.0

// Files and configurations that cannot work: one sentence each, and the right exit status.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/apps/program.hpp"

using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

const std::string kModels = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";

// Runs `generate` on the golden model with settings on top; checks status, words of the sentence,
// that it is one line and that nothing came out.
void check_refused(const Words& settings, int status, const Words& parts,
                   const std::string& model = "llama.v0.bin") {
  Words words = Words{"generate", "-p", "a", "-n", "2"} + golden_words(model);
  for (const std::string& setting : settings) words = words + Words{"--set", setting};
  const Outcome outcome = run_perdure(words);
  CAPTURE(outcome.err);
  CHECK(outcome.status == status);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.starts_with("perdure: "));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("a model that is missing, truncated or no model is refused by path") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.bin";
  check_refused({"model.path=" + path}, 1, {path, "No such file"});
  write_all(path, read_all(kModels + "llama.v0.bin").substr(0, 1000));
  check_refused({"model.path=" + path}, 1, {path});
  write_all(path, "short");
  check_refused({"model.path=" + path}, 1, {path});
  write_all(path, "");
  check_refused({"model.path=" + path}, 1, {path});
  fs::create_directory(folder / "empty");
  check_refused({"model.path=" + (folder / "empty")}, 2, {"directory", "has no model"});
}

TEST_CASE("a directory of models that cannot be read is one sentence") {
  const TemporaryFolder folder;
  const std::string locked = folder / "locked";
  fs::create_directory(locked);
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(locked, fs::perms(0));
  const Outcome outcome = run_perdure({"generate", locked, "-p", "x"}, {.as_nobody = true});
  fs::permissions(locked, fs::perms(0700));
  if (outcome.status == 127) {
    MESSAGE("skipped: the program is where other users may not look");
    return;
  }
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "perdure: cannot read the directory " + locked + ": Permission denied\n");
}

TEST_CASE("a tokenizer that is missing, truncated or of another vocabulary is refused by path") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.bin";
  check_refused({"model.tokenizer=" + path}, 1, {path, "No such file"});
  write_all(path, read_all(kModels + "tok_320.bin").substr(0, 100));
  check_refused({"model.tokenizer=" + path}, 1, {path});
  check_refused({"model.tokenizer=" + kModels + "tok_96.bin"}, 1, {"tok_96.bin"});
  check_refused({"model.tokenizer="}, 2, {"model.tokenizer"});
}

TEST_CASE(
    "unknown strategies, options, plugins and instruction sets are refused with the nearest name") {
  check_refused({"attention.strategy=slidingwindow"}, 2, {"slidingwindow", "sliding_window"});
  check_refused({"attention={strategy: sliding_window, windw: 3}"}, 2,
                {"windw", "did you mean 'window'?"});
  check_refused({"attention={strategy: sliding_window, window: none}"}, 2, {"window", "none"});
  check_refused({"attention={strategy: sliding_window, window: -1}"}, 2, {"window"});
  check_refused({"attention.layers={7: {strategy: full}}"}, 2, {"layer 7", "layers 0 to 1"});
  check_refused({"threads.backend=tbbb"}, 2, {"tbbb", "tbb"});
  check_refused({"kernels.prefer=[simdd]"}, 2, {"simdd"});
  check_refused({"kernels.isa=avx9000"}, 2, {"avx9000"});
  check_refused({"kernels.pin={mat_mul: nothing}"}, 2, {"nothing"});
  check_refused({"sampling.tmperature=1"}, 2, {"temperature"});
  check_refused({"plugins.load=[/nowhere/libx.so]"}, 1, {"/nowhere/libx.so"});
}

TEST_CASE("a strategy that the model was not made for is refused") {
  check_refused({"attention.strategy=chunk_lstm"}, 2, {"LSTM weights"});
}

TEST_CASE("an unknown store is refused when it is wanted") {
  const Outcome outcome = run_perdure({"memory", "list", "--set", "store.kind=fil"});
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("file") != std::string::npos);
}

TEST_CASE("a window larger than memory permits is refused with its size") {
  check_refused({"attention={strategy: sliding_window, window: 100000000000}"}, 1,
                {"cannot allocate", "window"});
}
