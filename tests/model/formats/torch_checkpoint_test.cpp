// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

TEST_CASE("a checkpoint of PyTorch is refused with the command that converts it") {
  const testing::TemporaryFolder folder;
  const std::pair<const char*, std::string> files[] = {
      {"zip.pth", std::string("PK\x03\x04rest", 8)},
      {"renamed.bin", std::string("PK\x03\x04rest", 8)},
      {"old.pt", "\x80\x02\x8a"},
      {"pytorch_model.bin", "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"}};
  for (const auto& [name, text] : files) {
    CAPTURE(name);
    const std::string path = folder / name;
    write_text(path, text);
    const std::string refusal = error_of([&] { Model::open(path); });
    CHECK(contains(refusal, path + ": this is a checkpoint of PyTorch"));
    CHECK(contains(refusal, "apps/train/train.py convert-rwkv IN.pth OUT.safetensors"));
  }
}
