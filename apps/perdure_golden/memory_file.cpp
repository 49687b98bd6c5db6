// SPDX-License-Identifier: Apache-2.0

// Implements apps/perdure_golden/memory_file.hpp. Layout: mem_cache [L, M, d], key_cache [L, S, d],
// value_cache [L, S, d], int32 pos; rows 0 .. M-1 of a cache are the memory's, rows M .. those of
// the running chunk.
#include "apps/perdure_golden/memory_file.hpp"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "core/api/error.hpp"

namespace perdure::golden {
namespace {

struct MemoryFile {
  std::vector<float> values;
  int32_t position = 0;
};

MemoryFile parse(const std::string& bytes) {
  if (bytes.size() < 4 || bytes.size() % 4 != 0)
    throw Error("a memory file's size is not a multiple of 4 bytes");
  MemoryFile file;
  file.values.resize(bytes.size() / 4 - 1);
  std::memcpy(file.values.data(), bytes.data(), bytes.size() - 4);
  std::memcpy(&file.position, bytes.data() + bytes.size() - 4, 4);
  return file;
}

}  // namespace

ScratchFile::ScratchFile() {
  std::string pattern = (std::filesystem::temp_directory_path() / "perdure_golden.XXXXXX").string();
  const int file = mkstemp(pattern.data());
  if (file < 0) throw Error(pattern + ": no temporary file can be made");
  close(file);
  path_ = pattern;
}

ScratchFile::~ScratchFile() { unlink(path_.c_str()); }

void compare_memory_files(Judge& judge, const ModelInfo& model, const std::string& found_bytes,
                          const std::string& golden_bytes) {
  judge.require(found_bytes.size() == golden_bytes.size(), "the memory file has another size");
  if (found_bytes.size() != golden_bytes.size()) return;
  const MemoryFile found = parse(found_bytes), golden = parse(golden_bytes);
  const auto mem_len = static_cast<size_t>(model.mem_len),
             d = static_cast<size_t>(model.hidden_size);
  const auto n_layers = static_cast<size_t>(model.num_hidden_layers);
  const auto chunk = static_cast<size_t>(golden.position % model.mem_len);
  judge.require(found.position % model.mem_len == golden.position % model.mem_len,
                "the memory file has another position");

  const auto compare = [&](const std::string& what, size_t first_row, size_t rows) {
    judge.state("memory file: " + what, std::span(found.values).subspan(first_row * d, rows * d),
                std::span(golden.values).subspan(first_row * d, rows * d));
  };
  const size_t cache_rows = (golden.values.size() / d - n_layers * mem_len) / (2 * n_layers);
  for (size_t layer = 0; layer < n_layers; ++layer) {
    const std::string suffix = " of layer " + std::to_string(layer);
    // A chunk that is complete is not read again, but it is the memory: all of it then, else what
    // the chunk has.
    compare("memory" + suffix, layer * mem_len, chunk == 0 ? mem_len : chunk);
    const size_t keys = n_layers * mem_len + layer * cache_rows;
    compare("keys" + suffix, keys, mem_len + chunk);
    compare("values" + suffix, keys + n_layers * cache_rows, mem_len + chunk);
  }
}

const char* update_option(int64_t update_mode) {
  if (update_mode == 0) return "segment";
  return update_mode == 1 ? "token" : "never";
}

}  // namespace perdure::golden
