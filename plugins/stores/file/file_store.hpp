// SPDX-License-Identifier: Apache-2.0

// Memories as files of one folder (docs/formats.md, "The `file` store"): NAME@G is generation G of
// session NAME. A save is written beside, synced, renamed and synced again, so that at every moment
// the folder holds the memory before or the memory after, whole.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/api/store.hpp"
#include "plugins/stores/file/posix.hpp"

namespace perdure::file_store {

// What a store is opened with, without the words of the configuration.
struct FileStoreSettings {
  std::string path;
  StoreRules rules = {};
  // A file system that cannot sync a folder is told of once instead of failing every save.
  bool relaxed = false;
  std::function<void(const std::string&)> warn = {};
};

// Contracts: MemoryStore.
class FileStore final : public MemoryStore {
 public:
  // `system` must outlive the store and its locks.
  FileStore(FileStoreSettings settings, FileSystem& system);
  FileStore(std::string path, FileSystem& system)
      : FileStore(FileStoreSettings{.path = std::move(path)}, system) {}

  using MemoryStore::put;
  uint64_t put(std::string_view name, const SnapshotSource& snapshot,
               uint64_t newest = kAnyGeneration) override;
  std::vector<std::byte> get(std::string_view name, uint64_t generation = 0) override;
  std::vector<StoredSnapshot> list() override;
  std::vector<StoredSnapshot> generations(std::string_view name) override;
  void remove(std::string_view name) override;
  void remove(std::string_view name, uint64_t generation) override;
  std::unique_ptr<StoreLock> lock(std::string_view name) override;

 private:
  Descriptor open_folder() const;  // owns nothing if there is no folder
  Descriptor make_folder() const;
  // Errors: Error if anybody may write there. What a group or another user may do is told once.
  void check_folder(const Descriptor& folder) const;
  void warn(const std::string& sentence) const;
  std::vector<std::string> entries(const Descriptor& folder) const;
  // The generations of a name, ascending, read from the folder.
  std::vector<uint64_t> scan(const Descriptor& folder, std::string_view name) const;
  // The same without reading it, where what is known of the name still holds.
  std::vector<uint64_t> current(const Descriptor& folder, const std::string& name) const;
  void remember(const Descriptor& folder, const std::string& name,
                std::vector<uint64_t> generations);
  void check_newest(const Descriptor& folder, const std::string& name,
                    const std::vector<uint64_t>& old, uint64_t newest,
                    const std::string& what) const;
  // Bytes that a save may still add to the folder.
  uint64_t room(const Descriptor& folder) const;
  void write_snapshot(const Descriptor& folder, const Descriptor& file,
                      const SnapshotSource& snapshot, const std::string& what) const;
  // Makes the new name last, or takes it back.
  void publish(const Descriptor& folder, const std::string& name, uint64_t generation,
               const std::string& what);
  void remove_old(const Descriptor& folder, const std::string& name,
                  const std::vector<uint64_t>& old) const;
  Descriptor create_temporary(const Descriptor& folder, const std::string& name) const;
  void remove_stale(const Descriptor& folder, const std::string& temporary,
                    const std::string& what) const;
  void write_all(const Descriptor& file, std::span<const std::byte> bytes,
                 const std::string& what) const;
  std::vector<std::byte> read_all(const Descriptor& file, const std::string& what) const;
  int open_at(const Descriptor& folder, const std::string& name, int flags) const;
  void sync(const Descriptor& file, const std::string& what, const char* step) const;
  void sync_folder(const Descriptor& folder, const std::string& what, const char* step) const;

  // What this object knows of a name: it read or wrote the newest of these generations.
  struct Known {
    std::vector<uint64_t> generations;  // ascending, not empty
    struct stat newest;
    bool unacknowledged = false;  // the newest could be neither made durable nor taken back
  };

  FileStoreSettings settings_;
  const std::string& path_ = settings_.path;
  FileSystem& system_;
  std::map<std::string, Known, std::less<>> known_;
  mutable std::set<std::string> told_;  // warnings
};

// Throws UsageError unless `name` is [A-Za-z0-9._-]{1,64} and neither "." nor "..".
void require_name(std::string_view name);

// Throws Error: `what` failed at `step` with this errno, and what to do about it.
[[noreturn]] void fail(const std::string& what, const char* step, int error);

// Takes the lock file `name` in the folder or throws Error "`what`: in use by ...".
std::unique_ptr<StoreLock> take_lock(FileSystem& system, Descriptor folder, const std::string& name,
                                     const std::string& what);

}  // namespace perdure::file_store
