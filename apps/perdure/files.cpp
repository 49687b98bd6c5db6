// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "core/api/error.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* doing, const std::string& path, int error) {
  throw Error(fmt::format("cannot {} {}: {}", doing, path, std::strerror(error)));
}

struct Descriptor {
  int fd;
  bool owned = true;
  ~Descriptor() {
    if (owned && fd >= 0) close(fd);
  }
};

void sync_path(const std::string& path, const std::string& shown) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0 || fsync(file.fd) != 0) fail("write", shown, errno);
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

std::string read_file(const std::string& path) {
  if (path.empty()) throw UsageError("the name of the file to read is empty; give one");
  const bool standard_input = path == "-";
  const Descriptor file{standard_input ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC),
                        !standard_input};
  if (file.fd < 0) fail("read", path, errno);
  std::string text;
  constexpr size_t kBlock = size_t{1} << 16;
  while (true) {
    const size_t size = text.size();
    text.resize(size + kBlock);
    const ssize_t n = read(file.fd, text.data() + size, kBlock);
    text.resize(size + static_cast<size_t>(n > 0 ? n : 0));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", path, errno);
    if (n == 0) return text;
  }
}

NewFile::NewFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp{}", path_, getpid())) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path_, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw Error(fmt::format("{} is a device or a folder, not a file; choose another name", path_));
}

NewFile::~NewFile() {
  if (!committed_) unlink(temporary_.c_str());
}

void NewFile::commit() {
  sync_path(temporary_, path_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", path_, errno);
  committed_ = true;
  const std::string folder = fs::path(path_).parent_path().string();
  sync_path(folder.empty() ? "." : folder, path_);
}

void write_new_file(const std::string& path, std::span<const std::byte> bytes) {
  if (fs::exists(fs::symlink_status(path)))
    throw Error(fmt::format("{} exists; remove it or choose another name", path));
  NewFile file(path);
  {
    const Descriptor out{
        open(file.temporary_path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (out.fd < 0) fail("write", path, errno);
    while (!bytes.empty()) {
      const ssize_t n = write(out.fd, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write", path, errno);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }
  file.commit();
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
