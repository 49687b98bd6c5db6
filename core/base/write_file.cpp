// SPDX-License-Identifier: Apache-2.0

#include "core/base/write_file.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "core/api/error.hpp"
#include "core/base/mapped_pages.hpp"

namespace perdure {
namespace {

[[noreturn]] void fail(const std::string& path, const char* step) {
  throw Error("cannot write " + path + ": " + step + " failed (" +
              std::generic_category().message(errno) + ")");
}

[[noreturn]] void fail_existing(const std::string& path) {
  throw Error(path + " exists; remove it or choose another name");
}

// The system's random bytes; before it has any, what no other process has at this moment.
uint64_t unpredictable() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) == sizeof number) return number;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return (static_cast<uint64_t>(now.tv_nsec) << 32) ^ static_cast<uint64_t>(::getpid());
}

std::string temporary_beside(const std::string& path) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name = path + ".tmp-";
  for (uint64_t number = unpredictable(), i = 0; i < 16; ++i, number >>= 4)
    name += kDigits[number & 15];
  return name;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Renames unless there is a `to`. Errors: -1, EEXIST among them.
int rename_new(const char* from, const char* to) {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // A file system without the flag: a link never replaces either.
  if (::link(from, to) != 0) return -1;
  return ::unlink(from);
}

}  // namespace

NewFile::NewFile(std::string path, FileRules rules) : path_(std::move(path)), rules_(rules) {
  struct stat status{};
  if (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw Error(path_ + " is a device or a folder, not a file; choose another name");
  if (!rules_.replace && ::lstat(path_.c_str(), &status) == 0) fail_existing(path_);
  do {
    temporary_ = temporary_beside(path_);
    file_ = Descriptor(::open(temporary_.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, rules_.mode));
  } while (!file_ && (errno == EEXIST || errno == EINTR));
  if (!file_) fail(path_, "creating a file");
}

NewFile::~NewFile() {
  if (!committed_ && file_) ::unlink(temporary_.c_str());
}

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "writing");
    written_.add(bytes.first(static_cast<size_t>(written)));
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void NewFile::verify() {
  if (::fsync(file_.number()) != 0) fail(path_, "syncing");
  const MappedFile file(temporary_);
  Hasher found;
  constexpr size_t kPiece = size_t{1} << 24;
  for (std::span<const std::byte> rest = file.bytes(); !rest.empty();) {
    const auto piece = rest.first(std::min(kPiece, rest.size()));
    found.add(piece);
    release_pages(file, piece);
    rest = rest.subspan(piece.size());
  }
  if (found.hex() != written_.hex())
    throw Error(path_ + ": what was written does not read back the same; check the disk");
}

void NewFile::commit() {
  if (::fsync(file_.number()) != 0) fail(path_, "syncing");
  const auto rename = rules_.replace ? std::rename : rename_new;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno == EEXIST) fail_existing(path_);
    fail(path_, "renaming");
  }
  committed_ = true;
  const Descriptor folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.number()) != 0) fail(path_, "syncing the folder");
}

void write_file(const std::string& path, std::span<const std::byte> bytes, FileRules rules) {
  NewFile file(path, rules);
  file.write(bytes);
  file.commit();
}

}  // namespace perdure
