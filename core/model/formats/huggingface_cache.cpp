// SPDX-License-Identifier: Apache-2.0

// models--OWNER--NAME/refs/BRANCH holds the name of a folder in snapshots, whose files are links to
// blobs.
#include "core/model/formats/huggingface_cache.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/api/error.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "hf:";
constexpr size_t kMostNameBytes = 512;

struct Name {
  std::string repository;  // "owner/name"
  std::string revision = "main";
  std::string file;
};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// Parts between slashes of plain characters, none of which leads out of a folder.
bool is_relative(std::string_view text, std::ptrdiff_t most_slashes) {
  const auto slashes = std::ranges::count(text, '/');
  bool fits = !text.empty() && text.size() <= kMostNameBytes && slashes <= most_slashes;
  for (std::string_view rest = text; fits && !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    fits = std::ranges::all_of(part, is_plain) && !part.empty() && !part.starts_with('.');
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  return fits && !text.ends_with('/');
}

Name parse(const std::string& whole) {
  std::string rest = whole.substr(kPrefix.size());
  Name name;
  if (const size_t colon = rest.find(':'); colon != rest.npos) {
    name.file = rest.substr(colon + 1);
    rest.resize(colon);
  }
  if (const size_t at = rest.find('@'); at != rest.npos) {
    name.revision = rest.substr(at + 1);
    rest.resize(at);
  }
  name.repository = rest;
  if (!is_relative(name.repository, 1) || !is_relative(name.revision, 8) ||
      (whole.ends_with(':') || (!name.file.empty() && !is_relative(name.file, 8))))
    throw UsageError("'" + whole +
                     "' is not the name of a model; write hf:owner/name, hf:owner/name@revision or "
                     "hf:owner/name:FILE.gguf");
  return name;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path cache_folder() {
  if (const std::string folder = variable("HF_HUB_CACHE"); !folder.empty()) return folder;
  if (const std::string home = variable("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  const std::string caches = variable("XDG_CACHE_HOME");
  const fs::path base = caches.empty() ? fs::path(variable("HOME")) / ".cache" : fs::path(caches);
  return base / "huggingface" / "hub";
}

// The first word of a small file; empty if there is none.
std::string first_word(const fs::path& path) {
  std::ifstream file(path);
  char word[128] = {};
  file.width(sizeof word);
  file >> word;
  return word;
}

class Lookup {
 public:
  explicit Lookup(const std::string& whole) : whole_(whole), name_(parse(whole)) {}

  std::string run() const {
    const fs::path folder = cache_folder() / repository_folder();
    if (!exists(folder)) fail_missing("there is no " + folder.string());
    const fs::path snapshot = folder / "snapshots" / revision(folder);
    if (!exists(snapshot)) fail_missing("there is no " + snapshot.string());
    if (!name_.file.empty()) return file_in(snapshot);
    return exists(snapshot / "config.json") ? snapshot.string() : gguf_in(snapshot);
  }

 private:
  static bool exists(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
  }

  [[noreturn]] void fail_missing(const std::string& what) const {
    throw Error(whole_ + " is not in the cache of Hugging Face's tools: " + what +
                "; nothing is downloaded here, `hf download " + name_.repository + "` does it");
  }

  std::string repository_folder() const {
    std::string folder = "models--";
    for (const char c : name_.repository) folder += c == '/' ? "--" : std::string(1, c);
    return folder;
  }

  // A branch stands for a commit; a commit for itself.
  std::string revision(const fs::path& folder) const {
    const fs::path reference = folder / "refs" / name_.revision;
    const std::string commit = first_word(reference);
    if (is_relative(commit, 0)) return commit;
    if (name_.revision == "main") fail_missing("there is no " + reference.string());
    return name_.revision;
  }

  std::string file_in(const fs::path& snapshot) const {
    if (!exists(snapshot / name_.file))
      fail_missing("there is no " + (snapshot / name_.file).string());
    return (snapshot / name_.file).string();
  }

  // Of a split model the first file stands for all.
  static bool is_later_part(const std::string& name) {
    const size_t of = name.rfind("-of-");
    return of != name.npos && of >= 6 && name[of - 6] == '-' &&
           name.compare(of - 5, 5, "00001") != 0;
  }

  std::string gguf_in(const fs::path& snapshot) const {
    std::vector<std::string> files;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(snapshot, ignored)) {
      const std::string file = entry.path().filename().string();
      if (file.ends_with(".gguf") && !is_later_part(file)) files.push_back(file);
    }
    std::ranges::sort(files);
    if (files.empty())
      fail_missing(snapshot.string() + " has neither a config.json nor a GGUF file");
    if (files.size() == 1) return (snapshot / files.front()).string();
    std::string names;
    for (const std::string& file : files) names += (names.empty() ? "" : ", ") + file;
    throw UsageError(whole_ + " has several GGUF files; name one of them (" + whole_ +
                     ":FILE): " + names);
  }

  const std::string& whole_;
  Name name_;
};

}  // namespace

bool is_huggingface_name(std::string_view path) { return path.starts_with(kPrefix); }

std::string resolve_huggingface_name(const std::string& name) { return Lookup(name).run(); }

}  // namespace perdure
