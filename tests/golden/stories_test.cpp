// SPDX-License-Identifier: Apache-2.0

// Two small models that others trained, in the folder PERDURE_DATA or beside the checkout: the
// greedy text of llama2.c's own program, letter by letter. They are not part of this tree; without
// them the tests say so and pass.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "plugins/linked_plugins.hpp"

using namespace perdure;

namespace {

std::string data_folder() {
  const char* folder = std::getenv("PERDURE_DATA");
  return folder ? folder : PERDURE_SOURCE_DIR "/../shared/data";
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// llama2.c's generate loop without a prompt: BOS, then always the largest logit, until `steps` or
// BOS.
std::string greedy_text(const std::string& model, const std::string& tokenizer, int steps) {
  Engine engine(
      load_settings("", {"model.path=\"" + model + "\"", "model.tokenizer=\"" + tokenizer + "\"",
                         "attention.strategy=full", "threads.count=1", "kernels.prefer=[scalar]"}),
      linked_plugins());
  Session session = engine.new_session();
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  std::string text;
  int32_t token = Llama2cTokenizer::kBos;
  for (int i = 0; i < steps; ++i) {
    engine.feed(session, {&token, 1}, logits);
    const auto next =
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (next == Llama2cTokenizer::kBos) break;
    text += engine.tokenizer().decode(token, next);
    token = next;
  }
  return text + "\n";
}

void check_greedy(const std::string& model, const std::string& tokenizer, const std::string& golden,
                  int steps) {
  const std::string folder = data_folder() + "/models/";
  if (!std::filesystem::exists(folder + model)) {
    MESSAGE("skipped: there is no " << folder << model);
    return;
  }
  const std::string text = greedy_text(folder + model, folder + tokenizer, steps);
  CHECK(text.size() > 100);
  CHECK(text == read_file(folder + golden));
}

// The logits behind each of `tokens`.
std::vector<float> all_logits(const std::string& model, const std::vector<int32_t>& tokens) {
  Engine engine(load_settings("", {"model.path=\"" + model + "\"", "attention.strategy=full",
                                   "threads.count=1", "kernels.prefer=[scalar]"}),
                linked_plugins());
  Session session = engine.new_session();
  std::vector<float> all;
  const Feed feed[] = {{&session, tokens, Feed::Logits::kAll}};
  engine.feed(feed, [&](size_t, size_t, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
  });
  return all;
}

}  // namespace

TEST_CASE("stories260K tells llama2.c's greedy story from its GGUF file") {
  check_greedy("stories260K/stories260K.gguf", "stories260K/stories260K.gguf",
               "stories260K/greedy-t0-n512.txt", 512);
}

TEST_CASE("stories260K has the logits of its llama2.c file in its GGUF file") {
  const std::string stem = data_folder() + "/models/stories260K/stories260K";
  if (!std::filesystem::exists(stem + ".gguf")) {
    MESSAGE("skipped: there is no " << stem << ".gguf");
    return;
  }
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 100; ++i) tokens.push_back(i == 0 ? 1 : i * 173 % 512);
  const std::vector<float> gguf = all_logits(stem + ".gguf", tokens);
  const std::vector<float> llama2c = all_logits(stem + ".bin", tokens);
  CHECK(gguf.size() == 100 * 512);
  CHECK((gguf == llama2c));
}

TEST_CASE("stories260K tells llama2.c's greedy story from its v0 file") {
  check_greedy("stories260K/stories260K.bin", "stories260K/tok512.bin",
               "stories260K/greedy-t0-n512.txt", 512);
}

TEST_CASE("stories260K tells llama2.c's greedy story from its v1 file") {
  check_greedy("stories260K/stories260K-v1.bin", "stories260K/tok512.bin",
               "stories260K/greedy-t0-n512.txt", 512);
}

TEST_CASE("babyllama tells llama2.c's greedy story") {
  check_greedy("babyllama/model5000.bin", "babyllama/tok105.bin", "babyllama/greedy-t0-n256.txt",
               256);
}
