// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "core/api/error.hpp"
#include "core/base/descriptor.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* doing, const std::string& path, int error) {
  throw Error(fmt::format("cannot {} {}: {}", doing, path, std::strerror(error)));
}

// Whether `input` ("-": standard input) is the file with this status, under whatever name.
bool is_file(const struct stat& file, const std::string& input) {
  struct stat status{};
  const int result = input == "-" ? fstat(STDIN_FILENO, &status) : stat(input.c_str(), &status);
  return result == 0 && S_ISREG(status.st_mode) && status.st_dev == file.st_dev &&
         status.st_ino == file.st_ino;
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

std::string read_file(const std::string& path) {
  if (path.empty()) throw UsageError("the name of the file to read is empty; give one");
  const bool standard_input = path == "-";
  const Descriptor opened(standard_input ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!standard_input && !opened) fail("read", path, errno);
  const int file = standard_input ? STDIN_FILENO : opened.number();
  std::string text;
  constexpr size_t kBlock = size_t{1} << 16;
  while (true) {
    const size_t size = text.size();
    text.resize(size + kBlock);
    const ssize_t n = read(file, text.data() + size, kBlock);
    text.resize(size + static_cast<size_t>(n > 0 ? n : 0));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", standard_input ? "standard input" : path, errno);
    if (n == 0) return text;
  }
}

void require_output(const std::string& path, bool force, std::span<const std::string> inputs) {
  if (path.empty()) throw UsageError("the name of the file to write is empty; give one");
  struct stat output{};
  if (lstat(path.c_str(), &output) != 0) return;
  const bool links = S_ISLNK(output.st_mode);
  if (links && stat(path.c_str(), &output) != 0) output.st_ino = 0;
  for (const std::string& input : inputs)
    if (is_file(output, input))
      throw UsageError(fmt::format(
          "{} is the same file as {}, which is being read; choose another name", path, input));
  if (!force && (links || S_ISREG(output.st_mode)))
    throw UsageError(
        fmt::format("{} exists; choose another name, or replace it with --force", path));
}

std::vector<std::string> files_read(const Model& model, const Settings& settings) {
  std::vector<std::string> files{settings.model.path, settings.model.tokenizer};
  for (const MappedFile& file : model.files()) files.push_back(file.path());
  for (const std::string& file : std::vector(files))
    files.push_back(fs::path(file).replace_extension(".json").string());
  files.push_back(settings.model.initial_state);
  return files;
}

std::vector<int32_t> parse_tokens(std::string_view text, int64_t vocab_size,
                                  const std::string& name) {
  std::vector<int32_t> tokens;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    if (is_space(*at)) {
      ++at;
      continue;
    }
    int32_t token = -1;
    const auto [stop, error] = std::from_chars(at, end, token);
    const bool whole = error == std::errc() && (stop == end || is_space(*stop));
    if (!whole || token < 0 || token >= vocab_size)
      throw Error(fmt::format("{}: at byte {} there is no token id between 0 and {}", name,
                              at - text.data(), vocab_size - 1));
    tokens.push_back(token);
    at = stop;
  }
  return tokens;
}

}  // namespace perdure::app
