// SPDX-License-Identifier: Apache-2.0

// A small comparison of golden models in a folder of its own.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "tests/apps/program.hpp"

namespace perdure::testing {

struct SmallComparison {
  TemporaryFolder folder;
  std::string file = folder / "compare.yaml";

  // `section`: what else stands in `compare`.
  explicit SmallComparison(const std::string& section = "") {
    const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
    std::string tokens;
    for (int i = 0; i < 3000; ++i) tokens += std::to_string(3 + i * i % 300) + "\n";
    write_all(folder / "tokens", tokens);
    write_all(file,
              "model: {path: " + models + "llama.v0.bin}\n" + R"(
kernels: {prefer: [scalar]}
threads: {backend: serial, count: 1}
compare:
  title: Small
  entries:
    plain: {attention: {strategy: full}}
    linear: {attention: {strategy: full, rope_scaling: linear}}
    window: {attention: {strategy: sliding_window, window: 8}}
    memory: {attention: {strategy: memory}}
  baseline: plain
  lengths: [16, 32, 64]
  tokens: tokens
)" +
                  (section.empty()
                       ? "  measures: [{loss: {tail: 8}}, {loss: {tail: 8, control: reset}}]\n"
                         "  samples: 20\n"
                       : section));
  }

  Words words(const std::string& out) const {
    return {"compare", "-c", file, "--out", folder / out, "-q"};
  }
  std::string results(const std::string& out) const {
    return read_all(folder / out + "/results.json");
  }
  // Names of the cells that are finished.
  std::set<std::string> cells(const std::string& out) const {
    std::set<std::string> names;
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder / out + "/cells", ignored))
      if (file.path().filename().string().find('.') == std::string::npos)
        names.insert(file.path().filename().string());
    return names;
  }
};

}  // namespace perdure::testing
