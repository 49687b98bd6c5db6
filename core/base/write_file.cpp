// SPDX-License-Identifier: Apache-2.0

#include "core/base/write_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/api/error.hpp"

namespace perdure {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

[[noreturn]] void fail(const std::string& path, const char* step) {
  throw Error("cannot write " + path + ": " + step + " failed (" +
              std::generic_category().message(errno) + ")");
}

void write_synced(const std::string& temporary, std::span<const std::byte> bytes,
                  const std::string& path) {
  const Descriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.number() < 0) fail(path, "creating a file");
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "writing");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  if (::fsync(file.number()) != 0) fail(path, "syncing");
}

}  // namespace

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  try {
    write_synced(temporary, bytes, path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "renaming");
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.number() < 0 || ::fsync(opened.number()) != 0) fail(path, "syncing the folder");
}

}  // namespace perdure
