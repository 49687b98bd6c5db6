// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_probe.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/write_file.hpp"
#include "core/runtime/child_process.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

// Libraries of accelerators take seconds to load from a cold disk.
constexpr std::chrono::milliseconds kLimit{10'000};

fs::path cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/')
    return fs::path(cache) / "perdure/probes";
  if (const char* home = std::getenv("HOME"); home && *home == '/')
    return fs::path(home) / ".cache/perdure/probes";
  return {};
}

// One file for each path, so that the folder does not grow with every rebuild.
fs::path cache_file(const PluginFile& file) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  Hasher name;
  name.add(file.path());
  return folder / name.hex();
}

// The state of the file that an outcome holds for, and how it was tried (2: to the end of the
// program).
std::string state_line(const PluginFile& file) {
  const FileStamp& s = file.stamp();
  std::string line = "2 " + std::string(build_id_of("attention"));
  for (const auto number : {static_cast<int64_t>(s.device), static_cast<int64_t>(s.inode),
                            s.size_bytes, s.modified_ns, s.changed_ns})
    line += " " + std::to_string(number);
  return line;
}

std::optional<std::string> remembered(const PluginFile& file) {
  std::ifstream cache(cache_file(file));
  std::string state, outcome;
  if (!std::getline(cache, state) || state != state_line(file)) return std::nullopt;
  if (!std::getline(cache, outcome)) return std::nullopt;
  return outcome;
}

void remember(const PluginFile& file, const std::string& outcome) {
  const fs::path path = cache_file(file);
  if (path.empty()) return;
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  const std::string text = state_line(file) + "\n" + outcome + "\n";
  try {
    write_file(path, std::as_bytes(std::span(text)));
  } catch (const Error&) {  // the next run tries the library again
  }
}

}  // namespace

std::string probe_plugin(PluginFile& file, bool try_again) {
  if (const auto known = remembered(file); known && (known->empty() || !try_again)) return *known;
  const std::string outcome = outcome_in_child([&] { std::move(file).rehearse(); }, kLimit);
  remember(file, outcome);
  return outcome;
}

}  // namespace perdure
