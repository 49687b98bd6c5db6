// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/small_text.hpp"

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/formats/foreign_file.hpp"

namespace perdure {

std::string read_small_text(const std::string& path) {
  constexpr size_t kMostBytes = size_t{1} << 18;
  const MappedFile file(path);
  if (file.bytes().size() > kMostBytes)
    throw Error(path + ": byte offset " + std::to_string(kMostBytes) +
                ": what a model says of itself takes at most 256 KiB");
  refuse_foreign_file(file.bytes(), path, Wanted::kText);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace perdure
