// SPDX-License-Identifier: Apache-2.0

// PyTorch's own files. They are programs for a pickle machine, which nothing here runs: recognised
// only to say what to do.
#include <algorithm>
#include <cstring>

#include "core/api/error.hpp"
#include "core/model/formats/format.hpp"

namespace perdure {
namespace {

// A zip archive, as torch.save writes since version 1.6; before, nothing but the name tells.
bool is_torch_checkpoint(const ModelSource& source) {
  constexpr std::string_view kZip("PK\x03\x04", 4);
  constexpr std::string_view kExtensions[] = {".pth", ".pt"};
  if (source.is_folder()) return false;
  const auto bytes = source.bytes();
  return (bytes.size() >= kZip.size() &&
          std::memcmp(bytes.data(), kZip.data(), kZip.size()) == 0) ||
         std::ranges::any_of(kExtensions,
                             [&](std::string_view e) { return source.path.ends_with(e); });
}

}  // namespace

ModelFormat torch_checkpoint_format() {
  return {.recognises = is_torch_checkpoint, .read = [](ModelSource source) -> Model {
            throw Error(source.path +
                        ": this is a checkpoint of PyTorch, which only PyTorch can read; of RWKV, "
                        "nanoRWKV and MicroRWKV apps/train/train.py convert-rwkv IN.pth "
                        "OUT.safetensors makes a file that can be read here");
          }};
}

}  // namespace perdure
