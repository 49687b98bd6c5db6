// SPDX-License-Identifier: Apache-2.0

// Memories as files of one folder (docs/formats.md, "The `file` store"): NAME@G is generation G of
// session NAME. A save is written beside, synced, renamed and synced again, so that at every moment
// the folder holds the memory before or the memory after, whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/api/store.hpp"
#include "plugins/stores/file/posix.hpp"

namespace perdure::file_store {

// Contracts: MemoryStore. Generations kept per session: the newest and the one before.
class FileStore final : public MemoryStore {
 public:
  // `system` must outlive the store and its locks.
  FileStore(std::string path, FileSystem& system);

  uint64_t put(std::string_view name, std::span<const std::byte> snapshot) override;
  std::vector<std::byte> get(std::string_view name, uint64_t generation = 0) override;
  std::vector<StoredSnapshot> list() override;
  void remove(std::string_view name) override;
  std::unique_ptr<StoreLock> lock(std::string_view name) override;

 private:
  Descriptor open_folder() const;  // owns nothing if there is no folder
  Descriptor make_folder() const;
  std::vector<std::string> entries(const Descriptor& folder) const;
  std::vector<uint64_t> generations(const Descriptor& folder,
                                    std::string_view name) const;  // ascending
  Descriptor create_temporary(const Descriptor& folder, const std::string& name) const;
  void remove_stale(const Descriptor& folder, const std::string& temporary,
                    const std::string& what) const;
  void write_all(const Descriptor& file, std::span<const std::byte> bytes,
                 const std::string& what) const;
  std::vector<std::byte> read_all(const Descriptor& file, const std::string& what) const;
  int open_at(const Descriptor& folder, const std::string& name, int flags) const;
  void sync(const Descriptor& file, const std::string& what, const char* step) const;

  std::string path_;
  FileSystem& system_;
};

// Throws UsageError unless `name` is [A-Za-z0-9._-]{1,64} and neither "." nor "..".
void require_name(std::string_view name);

// Throws Error: `what` failed at `step` with this errno, and what to do about it.
[[noreturn]] void fail(const std::string& what, const char* step, int error);

// Takes the lock file `name` in the folder or throws Error "`what`: in use by ...".
std::unique_ptr<StoreLock> take_lock(FileSystem& system, Descriptor folder, const std::string& name,
                                     const std::string& what);

}  // namespace perdure::file_store
