// SPDX-License-Identifier: Apache-2.0

// The memory files of runqm as cases compare them: the chunk position and every row that can still
// be read.
#pragma once

#include <cstdint>
#include <string>

#include "apps/perdure_golden/judge.hpp"
#include "core/api/strategy.hpp"

namespace perdure::golden {

// A path in the system's temporary folder that is not shared; the file is deleted with the object.
class ScratchFile {
 public:
  ScratchFile();
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Compares two files' contents; golden files may hold left-overs in rows that the program never
// reads again.
void compare_memory_files(Judge& judge, const ModelInfo& model, const std::string& found,
                          const std::string& golden);

// The value of `attention.update` for runqm's -u.
const char* update_option(int64_t update_mode);

}  // namespace perdure::golden
