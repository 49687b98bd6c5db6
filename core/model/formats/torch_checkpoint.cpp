// SPDX-License-Identifier: Apache-2.0

// PyTorch's own files. They are programs for a pickle machine, which nothing here runs: recognised
// only to say what to do.
#include <algorithm>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/formats/format.hpp"

namespace perdure {
namespace {

// A zip archive, as torch.save writes since version 1.6, or the number that it pickled first
// before; other pickles are recognised by their name only.
bool is_torch_checkpoint(const ModelSource& source) {
  constexpr std::string_view kMarks[] = {"PK\x03\x04", "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"};
  constexpr std::string_view kExtensions[] = {".pth", ".pt"};
  if (source.is_folder()) return false;
  const std::string_view text(reinterpret_cast<const char*>(source.bytes().data()),
                              source.bytes().size());
  return std::ranges::any_of(kMarks, [&](std::string_view m) { return text.starts_with(m); }) ||
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
