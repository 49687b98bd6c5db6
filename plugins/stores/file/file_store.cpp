// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/file_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/api/error.hpp"
#include "plugins/stores/file/entries.hpp"
#include "plugins/stores/file/messages.hpp"

namespace perdure::file_store {
namespace {

// Deletes the file again unless it was kept.
class Cleanup {
 public:
  Cleanup(FileSystem& system, const Descriptor& folder, std::string name)
      : system_(system), folder_(folder), name_(std::move(name)) {}
  ~Cleanup() {
    if (!name_.empty()) system_.unlink_at(folder_.number(), name_.c_str());
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  void keep() { name_.clear(); }

 private:
  FileSystem& system_;
  const Descriptor& folder_;
  std::string name_;
};

}  // namespace

FileStore::FileStore(FileStoreSettings settings, FileSystem& system)
    : settings_(std::move(settings)), system_(system) {}

uint64_t FileStore::put(std::string_view name_view, const SnapshotSource& snapshot,
                        uint64_t newest) {
  require_name(name_view);
  const std::string name(name_view);
  const std::string what = describe_save(name, path_);
  const Descriptor folder = make_folder();
  std::vector<uint64_t> generations = current(folder, name);
  check_newest(folder, name, generations, newest, what);
  const uint64_t generation = generations.empty() ? 1 : generations.back() + 1;
  if (generation == 0)
    throw Error(what + ": its generations are used up; export and remove it first");

  const std::string temporary = name + "@tmp";
  const Descriptor file = create_temporary(folder, name);
  Cleanup temporary_cleanup(system_, folder, temporary);
  std::set<uint64_t> shared = write_snapshot(
      folder, file, name, generations.empty() ? 0 : generations.back(), snapshot, what);
  sync(file, what, "syncing the file");
  if (system_.rename_at(folder.number(), temporary.c_str(), entry_name(name, generation).c_str()) !=
      0)
    fail(what, "renaming", errno);
  temporary_cleanup.keep();
  publish(folder, name, generation, what);
  remove_old(folder, name, generations, std::move(shared));
  generations.push_back(generation);
  remember(folder, name, std::move(generations));
  return generation;
}

// If the folder cannot be synced nobody knows which memory a restart finds; the new one is taken
// back. Where that fails too, the new one is whole and in its place: it is remembered as this
// object's own, and the sentence does not say that nothing has changed.
void FileStore::publish(const Descriptor& folder, const std::string& name, uint64_t generation,
                        const std::string& what) {
  try {
    sync_folder(folder, what, "syncing the folder");
  } catch (const Error& error) {
    const std::string entry = entry_name(name, generation);
    if (system_.unlink_at(folder.number(), entry.c_str()) == 0 || errno == ENOENT) throw;
    if (system_.rename_at(folder.number(), entry.c_str(), (name + "@tmp").c_str()) == 0) throw;
    remember(folder, name, {generation});
    if (const auto known = known_.find(name); known != known_.end())
      known->second.unacknowledged = true;
    throw Error(std::string(error.what()) + "; generation " + std::to_string(generation) +
                " could not be taken back: it is there, whole, but a power cut may lose it");
  }
}

std::vector<std::byte> FileStore::get(std::string_view name, uint64_t generation) {
  require_name(name);
  const std::string what = describe("read", name, path_);
  const Descriptor folder = open_folder();
  if (generation == 0 && folder) {
    const std::vector<uint64_t> all = scan(folder, name);
    generation = all.empty() ? 0 : all.back();
  }
  if (!folder || generation == 0)
    throw Error(what + ": there is none; `perdure memory list` shows what there is");
  const Descriptor file(open_at(folder, entry_name(name, generation), O_RDONLY | kNever));
  if (!file && errno == ENOENT)
    throw Error(what + ": there is no generation " + std::to_string(generation));
  if (!file) fail(what, "opening", errno);
  require_file(file, what);
  const uint64_t size = bytes_of(file);  // asked once: one that is cut meanwhile is an error
  if (const auto layout = layout_of(file, size, what))
    return read_shared(folder, std::string(name), file, *layout, what);
  return read_all(file, size, what);
}

std::vector<StoredSnapshot> FileStore::list() {
  std::vector<StoredSnapshot> found;
  const Descriptor folder = open_folder();
  if (!folder) return found;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(entry);
    struct stat status;
    if (!parsed || ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (!S_ISREG(status.st_mode)) continue;
    found.push_back({std::string(parsed->session), parsed->generation,
                     static_cast<uint64_t>(status.st_size), status.st_mtime});
  }
  auto kept = kept_bytes(folder);
  std::sort(found.begin(), found.end(), [](const StoredSnapshot& a, const StoredSnapshot& b) {
    return a.name != b.name ? a.name < b.name : a.generation > b.generation;
  });
  for (StoredSnapshot& newest : found) newest.size_bytes += std::exchange(kept[newest.name], 0);
  return found;
}

std::vector<StoredSnapshot> FileStore::generations(std::string_view name_view) {
  require_name(name_view);
  const std::string name(name_view);
  std::vector<StoredSnapshot> found;
  const Descriptor folder = open_folder();
  if (!folder) return found;
  const std::vector<uint64_t> all = scan(folder, name);
  for (auto generation = all.rbegin(); generation != all.rend(); ++generation) {
    struct stat status;
    if (::fstatat(folder.number(), entry_name(name, *generation).c_str(), &status,
                  AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode))
      found.push_back({name, *generation, static_cast<uint64_t>(status.st_size), status.st_mtime});
  }
  if (!found.empty()) found.front().size_bytes += kept_bytes(folder)[name];
  if (!all.empty()) remember(folder, name, all);
  return found;
}

void FileStore::remove(std::string_view name, uint64_t generation) {
  require_name(name);
  const std::string what = describe("remove", entry_name(name, generation), path_);
  const Descriptor folder = open_folder();
  if (!folder) return;
  const std::vector<uint64_t> all = scan(folder, name);
  if (!all.empty() && all.back() == generation)
    throw Error(what + ": it is the newest; `perdure memory remove` takes all of them");
  std::vector<uint64_t> rest = all;
  std::erase(rest, generation);
  const std::string session(name);
  const std::set<uint64_t> needed = needed_beside_saves(folder, session, rest, generation);
  if (!take_away(folder, session, generation, needed)) fail(what, "deleting", errno);
  if (kept_[session].empty()) return;
  sync_folder(folder, what, "syncing the folder");
  remove_unneeded(folder, session, needed);
}

void FileStore::remove(std::string_view name) {
  require_name(name);
  const std::string what = describe("remove", name, path_);
  const Descriptor folder = open_folder();
  const std::vector<uint64_t> all = folder ? scan(folder, name) : std::vector<uint64_t>();
  if (all.empty()) throw Error(what + ": there is none; `perdure memory list` shows what there is");
  known_.erase(std::string(name));
  // A save that was cut short holds the same secrets.
  remove_stale(folder, std::string(name) + "@tmp", what);
  // Oldest first, and synced before the newest goes: a removal that is cut short must not make an
  // old memory the newest. What others need goes last.
  const std::string session(name);
  std::set<uint64_t> needed;
  try {
    needed = needed_by(folder, session, all);
  } catch (const Error&) {  // nobody knows what is needed
    needed.insert(all.begin(), all.end());
  }
  for (const uint64_t generation : all) {
    if (generation == all.back()) sync_folder(folder, what, "syncing the folder");
    if (!take_away(folder, session, generation, needed)) fail(what, "deleting", errno);
  }
  sync_folder(folder, what, "syncing the folder");
  if (kept_[session].empty()) return;
  remove_unneeded(folder, session, {});
  sync_folder(folder, what, "syncing the folder");
}

std::unique_ptr<StoreLock> FileStore::lock(std::string_view name) {
  require_name(name);
  const std::string what = describe("use", name, path_);
  const Descriptor there = open_folder();
  if (there && ::faccessat(there.number(), ".", W_OK, AT_EACCESS) != 0 &&
      (errno == EROFS || errno == EACCES))
    throw ReadOnlyStore(what + ": its folder cannot be written (" +
                        std::generic_category().message(errno) +
                        "); set store.save_every: never to read it all the same");
  return take_lock(system_, make_folder(), std::string(name) + "@lock", what);
}

}  // namespace perdure::file_store
