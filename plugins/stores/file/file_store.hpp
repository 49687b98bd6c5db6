// SPDX-License-Identifier: Apache-2.0

// Memories as files of one folder (docs/formats.md, "The `file` store"): NAME@G is generation G of
// session NAME. A save is written beside, synced, renamed and synced again, so that at every moment
// the folder holds the memory before or the memory after, whole. Blocks that are those of the
// newest generation are not written again but named (layout.hpp); the file of a generation that
// goes while others need its blocks becomes NAME@G+, which is no generation.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/api/store.hpp"
#include "plugins/stores/file/layout.hpp"
#include "plugins/stores/file/posix.hpp"

namespace perdure::file_store {

// What a store is opened with, without the words of the configuration.
struct FileStoreSettings {
  std::string path;
  StoreRules rules = {};
  // Where the file system cannot sync a folder: a warning, once, instead of a failed save.
  bool relaxed = false;
  std::function<void(const std::string&)> warn = {};
  uint64_t block_bytes = uint64_t{1} << 20;  // that are shared as a whole
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
  // Errors: Error if anybody may write there. Warns where a group or another user may.
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
  // Returns the generations whose files it shares.
  std::set<uint64_t> write_snapshot(const Descriptor& folder, const Descriptor& file,
                                    const std::string& name, uint64_t base,
                                    const SnapshotSource& snapshot, const std::string& what) const;
  // Makes the new name last, or takes it back.
  void publish(const Descriptor& folder, const std::string& name, uint64_t generation,
               const std::string& what);
  // `shared`: generations that the new one shares files of.
  void remove_old(const Descriptor& folder, const std::string& name,
                  const std::vector<uint64_t>& old, std::set<uint64_t> shared) const;
  // What generations of that name need beside their own files. Errors: Error if one cannot be read.
  std::set<uint64_t> needed_by(const Descriptor& folder, const std::string& name,
                               const std::vector<uint64_t>& generations) const;
  std::set<uint64_t> needed_by_file(const Descriptor& file, const std::string& what) const;
  // What must stay when `generation` goes and `rest` stays, while another program may save.
  std::set<uint64_t> needed_beside_saves(const Descriptor& folder, const std::string& name,
                                         const std::vector<uint64_t>& rest,
                                         uint64_t generation) const;
  // Takes a generation away: its file goes, or stays for those that need it. False: it is there
  // still, see errno.
  bool take_away(const Descriptor& folder, const std::string& name, uint64_t generation,
                 const std::set<uint64_t>& needed) const;
  // Deletes files that no generation needs. Requires: what took away those that needed them is on
  // the disk.
  void remove_unneeded(const Descriptor& folder, const std::string& name,
                       const std::set<uint64_t>& needed) const;
  // The file of a generation, whether or not it still is one.
  Descriptor open_blocks(const Descriptor& folder, const std::string& name,
                         uint64_t generation) const;
  // Of a file of so many bytes; nothing for a plain one. Errors: Error if it cannot be read or is
  // damaged.
  std::optional<Layout> layout_of(const Descriptor& file, uint64_t size,
                                  const std::string& what) const;
  std::vector<std::byte> read_shared(const Descriptor& folder, const std::string& name,
                                     const Descriptor& file, const Layout& layout,
                                     const std::string& what) const;
  void read_at(const Descriptor& file, uint64_t at, std::span<std::byte> bytes,
               const std::string& what) const;
  // Bytes of files that are kept for others, by session.
  std::map<std::string, uint64_t, std::less<>> kept_bytes(const Descriptor& folder) const;
  Descriptor create_temporary(const Descriptor& folder, const std::string& name) const;
  void remove_stale(const Descriptor& folder, const std::string& temporary,
                    const std::string& what) const;
  void write_all(const Descriptor& file, std::span<const std::byte> bytes,
                 const std::string& what) const;
  std::vector<std::byte> read_all(const Descriptor& file, uint64_t size,
                                  const std::string& what) const;
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
  mutable std::set<std::string> told_;  // warnings, each given once
  // Files that are kept for others, of names whose folder was read.
  mutable std::map<std::string, std::set<uint64_t>, std::less<>> kept_;
  friend class SharingWriter;
};

// Takes the lock file `name` in the folder or throws Error "`what`: in use by ...".
std::unique_ptr<StoreLock> take_lock(FileSystem& system, Descriptor folder, const std::string& name,
                                     const std::string& what);

}  // namespace perdure::file_store
