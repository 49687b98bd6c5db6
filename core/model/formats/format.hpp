// SPDX-License-Identifier: Apache-2.0

// The table of model formats: how a file or folder is recognised, and who reads it. A format is one
// file that defines an entry, and one line of the table in format.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/mapped_file.hpp"
#include "core/model/model.hpp"

namespace perdure {

// What `model.path` names.
struct ModelSource {
  std::string path;
  std::optional<MappedFile> file;  // nothing: a folder

  bool is_folder() const { return !file; }
  std::span<const std::byte> bytes() const {
    return file ? file->bytes() : std::span<const std::byte>();
  }
};

struct ModelFormat {
  // By the first bytes, or by the name where the bytes do not tell. Cheap; throws nothing.
  bool (*recognises)(const ModelSource& source) = nullptr;
  // The model, which keeps the files that its weights lie in. Errors: as Model::open.
  Model (*read)(ModelSource source) = nullptr;
};

// Errors: Error if there is nothing at the path or no format fits, and as the format's reader.
Model read_model(const std::string& path);

}  // namespace perdure
