// SPDX-License-Identifier: Apache-2.0

// The folder of a store and the files in it: opened, made, read, written and synced.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/api/error.hpp"
#include "plugins/stores/file/entries.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "plugins/stores/file/messages.hpp"

namespace perdure::file_store {

Descriptor FileStore::open_folder() const {
  Descriptor folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno != ENOENT)
    fail("cannot use the store " + path_, "opening the folder", errno);
  if (folder) check_folder(folder);
  return folder;
}

void FileStore::check_folder(const Descriptor& folder) const {
  struct stat status;
  if (::fstat(folder.number(), &status) != 0) return;
  if ((status.st_mode & S_IWOTH) != 0)
    throw Error("cannot use the store " + path_ +
                ": anybody may write there and replace sessions; `chmod o-w` it, or set another "
                "store.path");
  if ((status.st_mode & S_IWGRP) != 0)
    warn("the group of the store " + path_ +
         " may write there and replace sessions; `chmod g-w` "
         "it unless you want that");
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    warn("the store " + path_ + " belongs to another user, who may replace sessions");
}

void FileStore::warn(const std::string& sentence) const {
  if (settings_.warn && told_.insert(sentence).second) settings_.warn(sentence);
}

Descriptor FileStore::make_folder() const {
  Descriptor folder = open_folder();
  if (folder) return folder;
  const std::string what = "cannot use the store " + path_;
  for (size_t end = path_.find('/', 1);; end = path_.find('/', end + 1)) {
    const std::string part = path_.substr(0, end);
    if (::mkdir(part.c_str(), 0700) == 0) {
      // A new folder lasts once its parent is synced.
      const size_t slash = part.find_last_of('/');
      const Descriptor parent(::open(slash == 0 ? "/" : part.substr(0, slash).c_str(),
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!parent) fail(what, "opening its parent", errno);
      sync_folder(parent, what, "syncing its parent");
    } else if (errno != EEXIST) {
      fail(what, "making the folder", errno);
    }
    if (end == std::string::npos) break;
  }
  folder = open_folder();
  if (!folder) fail(what, "opening the folder", ENOENT);
  return folder;
}

std::vector<std::string> FileStore::entries(const Descriptor& folder) const {
  const std::string what = "cannot read the store " + path_;
  const int copy = ::openat(folder.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) fail(what, "opening the folder", errno);
  DIR* stream = ::fdopendir(copy);
  if (stream == nullptr) fail(what, "opening the folder", errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) names.emplace_back(entry->d_name);
  const int error = errno;
  ::closedir(stream);
  if (error != 0) fail(what, "reading the folder", error);
  return names;
}

std::vector<uint64_t> FileStore::scan(const Descriptor& folder, std::string_view name) const {
  std::vector<uint64_t> found;
  std::set<uint64_t> kept;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(entry), gone = parse_entry(kept_entry(entry));
    if (parsed && parsed->session == name) found.push_back(parsed->generation);
    if (gone && gone->session == name) kept.insert(gone->generation);
  }
  kept_[std::string(name)] = std::move(kept);
  std::sort(found.begin(), found.end());
  return found;
}

// Whoever saves makes the next generation, and deletes from the oldest on: if the newest that is
// known is there, and the next is not, nobody has saved.
std::vector<uint64_t> FileStore::current(const Descriptor& folder, const std::string& name) const {
  const auto known = known_.find(name);
  if (known == known_.end() || known->second.unacknowledged) return scan(folder, name);
  const uint64_t newest = known->second.generations.back();
  if (!is_file_at(folder, entry_name(name, newest), known->second.newest) ||
      exists_at(folder, entry_name(name, newest + 1)))
    return scan(folder, name);
  return known->second.generations;
}

void FileStore::remember(const Descriptor& folder, const std::string& name,
                         std::vector<uint64_t> generations) {
  Known known{std::move(generations), {}};
  std::erase_if(known.generations, [&](uint64_t generation) {
    return !exists_at(folder, entry_name(name, generation));
  });
  if (known.generations.empty() ||
      ::fstatat(folder.number(), entry_name(name, known.generations.back()).c_str(), &known.newest,
                AT_SYMLINK_NOFOLLOW) != 0)
    known_.erase(name);
  else
    known_[name] = std::move(known);
}

void FileStore::check_newest(const Descriptor& folder, const std::string& name,
                             const std::vector<uint64_t>& old, uint64_t newest,
                             const std::string& what) const {
  if (newest == kAnyGeneration) return;
  const uint64_t found = old.empty() ? 0 : old.back();
  const auto known = known_.find(name);
  const bool mine = known != known_.end() && known->second.generations.back() == found &&
                    is_file_at(folder, entry_name(name, found), known->second.newest);
  if (mine && known->second.unacknowledged && newest < found) return;
  const bool replaced = known != known_.end() && !mine && found != 0;
  if (found == newest && !replaced) return;
  const std::string odd = found == 0 ? "" : oddity(folder, entry_name(name, found));
  if (!odd.empty())
    throw Error(what + ": '" + entry_name(name, found) + "' in that folder is " + odd +
                ", which no store has put there; move it away");
  throw Error(what + ": another program has " +
              (found == 0 ? "removed it" : "saved generation " + std::to_string(found)) +
              " meanwhile, and this one continues generation " + std::to_string(newest) +
              "; start again from what is saved, or save under another "
              "name");
}

std::map<std::string, uint64_t, std::less<>> FileStore::kept_bytes(const Descriptor& folder) const {
  std::map<std::string, uint64_t, std::less<>> bytes;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(kept_entry(entry));
    struct stat status;
    if (parsed && ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
      bytes[std::string(parsed->session)] += static_cast<uint64_t>(status.st_size);
  }
  return bytes;
}

uint64_t FileStore::room(const Descriptor& folder) const {
  uint64_t left = settings_.rules.max_bytes;
  if (left == 0) return UINT64_MAX;
  for (const std::string& entry : entries(folder)) {
    struct stat status;
    if (::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode))
      left -= std::min(left, static_cast<uint64_t>(status.st_size));
  }
  return left;
}

int FileStore::open_at(const Descriptor& folder, const std::string& name, int flags) const {
  int file = -1;
  do {
    file = system_.open_at(folder.number(), name.c_str(), flags, 0600);
  } while (file < 0 && errno == EINTR);
  return file;
}

// A writer holds a lock on its temporary, so one without a holder was left by a process that died.
Descriptor FileStore::create_temporary(const Descriptor& folder, const std::string& name) const {
  const std::string what = describe_save(name, path_);
  const std::string temporary = name + "@tmp";
  for (int attempt = 0; attempt < 2; ++attempt) {
    Descriptor file(open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | kNever));
    if (file) {
      // Between the two calls another process may have taken it for stale.
      if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0 &&
          is_same_file(folder, temporary.c_str(), file))
        return file;
      break;
    }
    if (errno != EEXIST) fail(what, "creating a file", errno);
    remove_stale(folder, temporary, what);
  }
  throw Error(what + ": another process is saving it; try again");
}

void FileStore::remove_stale(const Descriptor& folder, const std::string& temporary,
                             const std::string& what) const {
  const Descriptor stale(open_at(folder, temporary, O_RDONLY | kNever));
  if (!stale && errno == ENOENT) return;
  if (!stale && errno != ELOOP) fail(what, "opening a left-over file", errno);
  if (stale && ::flock(stale.number(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(what + ": another process is saving it; try again");
  }
  if (system_.unlink_at(folder.number(), temporary.c_str()) != 0)
    fail(what, "deleting a left-over file", errno);
}

void FileStore::write_all(const Descriptor& file, std::span<const std::byte> bytes,
                          const std::string& what) const {
  while (!bytes.empty()) {
    const ssize_t written = system_.write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(what, "writing", written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void FileStore::read_at(const Descriptor& file, uint64_t at, std::span<std::byte> bytes,
                        const std::string& what) const {
  if (::lseek(file.number(), static_cast<off_t>(at), SEEK_SET) < 0) fail(what, "reading", errno);
  while (!bytes.empty()) {
    const ssize_t part = system_.read(file.number(), bytes.data(), bytes.size());
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) fail(what, "reading", part < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(part));
  }
}

std::vector<std::byte> FileStore::read_all(const Descriptor& file, uint64_t size,
                                           const std::string& what) const {
  std::vector<std::byte> bytes = room_for(size, what);
  read_at(file, 0, bytes, what);
  return bytes;
}

// Once only: after a failed fsync the kernel has marked the pages clean, and a second one would
// "succeed".
void FileStore::sync(const Descriptor& file, const std::string& what, const char* step) const {
  if (system_.sync(file.number()) != 0) fail(what, step, errno);
}

void FileStore::sync_folder(const Descriptor& folder, const std::string& what,
                            const char* step) const {
  if (system_.sync(folder.number()) == 0) return;
  const bool cannot = errno == EINVAL || errno == ENOTSUP || errno == ENOSYS;
  if (!cannot || !settings_.relaxed) {
    fail(what, step, errno);
  }
  warn("the file system of the store " + path_ +
       " cannot sync a folder: a power cut may lose what was saved last");
}

}  // namespace perdure::file_store
