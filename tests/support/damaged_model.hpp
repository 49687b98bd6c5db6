// SPDX-License-Identifier: Apache-2.0

// A golden model one of whose weights is no number.
#pragma once

#include <cmath>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.hpp"

namespace perdure::testing {

// Copies tests/golden's llama.v0.bin into the folder with NaN in the embedding of token `token`,
// which is its row of the classifier as well: every logit row has a NaN there. Returns the path.
inline std::string model_with_nan(const TemporaryFolder& folder, int32_t token) {
  constexpr int kHeader = 28;  // seven 32-bit numbers, the first of them the width
  const std::string path = folder / "nan.bin";
  {
    std::ifstream from(PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/llama.v0.bin",
                       std::ios::binary);
    std::ofstream(path, std::ios::binary) << from.rdbuf();
  }
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  int32_t width = 0;
  file.read(reinterpret_cast<char*>(&width), sizeof width);
  const float nan = std::nanf("");
  file.seekp(kHeader + std::streamoff{4} * width * token);
  file.write(reinterpret_cast<const char*>(&nan), sizeof nan);
  return path;
}

}  // namespace perdure::testing
