// SPDX-License-Identifier: Apache-2.0

// The lock of a session: flock on a file, which the kernel lets go when its owner dies, however it
// dies. The file's text names the owner for the message and decides nothing.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "core/api/error.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "plugins/stores/file/messages.hpp"

namespace perdure::file_store {
namespace {

std::string owner_text() {
  std::array<char, 65> host = {};
  ::gethostname(host.data(), host.size() - 1);
  std::array<char, 32> since = {};
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  std::strftime(since.data(), since.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return "process " + std::to_string(::getpid()) + " on " + host.data() + " since " + since.data();
}

// Anybody may have written the text: it is cut and cleaned before it is shown.
std::string read_owner(const Descriptor& file) {
  std::array<char, 200> text = {};
  const ssize_t size = ::pread(file.number(), text.data(), text.size(), 0);
  std::string owner;
  for (ssize_t i = 0; i < size && text[i] >= ' ' && text[i] <= '~'; ++i) owner += text[i];
  return owner.empty() ? "another process" : owner;
}

class FileLock final : public StoreLock {
 public:
  FileLock(FileSystem& system, Descriptor folder, Descriptor file, std::string name)
      : system_(system),
        folder_(std::move(folder)),
        file_(std::move(file)),
        name_(std::move(name)) {}

  ~FileLock() override {
    // A forked child holds a copy of this object, but the session is its parent's.
    if (::getpid() != owner_ || !is_same_file(folder_, name_.c_str(), file_)) return;
    system_.unlink_at(folder_.number(), name_.c_str());
  }

 private:
  FileSystem& system_;
  Descriptor folder_;
  Descriptor file_;
  std::string name_;
  pid_t owner_ = ::getpid();
};

}  // namespace

std::unique_ptr<StoreLock> take_lock(FileSystem& system, Descriptor folder, const std::string& name,
                                     const std::string& what) {
  const int flags = O_RDWR | O_CREAT | kNever;
  for (;;) {
    Descriptor file(system.open_at(folder.number(), name.c_str(), flags, 0600));
    if (!file && errno == EINTR) continue;
    if (!file) fail(what, "opening the lock", errno);
    if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail(what, "locking", errno);
      throw Error(what + ": it is in use by " + read_owner(file) +
                  "; end that program or choose another name");
    }
    // The last owner may have deleted the file after it was opened here: then the lock is on
    // nothing.
    if (!is_same_file(folder, name.c_str(), file)) continue;
    const std::string owner = owner_text();
    if (::ftruncate(file.number(), 0) != 0 ||
        ::pwrite(file.number(), owner.data(), owner.size(), 0) < 0) {
      ::ftruncate(file.number(), 0);  // a full disk costs the text, not the lock
    }
    return std::make_unique<FileLock>(system, std::move(folder), std::move(file), name);
  }
}

}  // namespace perdure::file_store
