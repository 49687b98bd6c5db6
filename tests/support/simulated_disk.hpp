// SPDX-License-Identifier: Apache-2.0

// A disk under power cuts, simulated: a FileSystem that records what a store asks of it, and the
// images that a disk may hold after any moment of the recording: of the changes to the folder since
// its last sync any subset, of the bytes of a file since its last sync any prefix of 512-byte
// sectors, or zeros in their place.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plugins/stores/file/posix.hpp"

namespace perdure::testing {

using Bytes = std::vector<std::byte>;
inline constexpr size_t kSector = 512;

struct Event {
  enum class Kind {
    kCreate,
    kWrite,
    kSyncFile,
    kRename,
    kUnlink,
    kSyncFolder,
    kStarted,
    kAcknowledged
  };
  Kind kind;
  int file = 0;           // number of the file, in order of creation
  std::string name = {};  // of kCreate and kUnlink; the new one of kRename
  std::string from = {};  // of kRename
  Bytes bytes = {};       // of kWrite
  int state = 0;          // of kStarted and kAcknowledged
};

// Runs on the real folder and records. Writes at most 1000 bytes a call, so that a save has many
// moments.
class RecordingSystem final : public file_store::FileSystem {
 public:
  int open_at(int folder, const char* name, int flags, mode_t mode) override {
    const int file = FileSystem::open_at(folder, name, flags, mode);
    if (file < 0) return file;
    if (!live_.count(name) && (flags & O_CREAT) != 0) {
      live_[name] = ++files_;
      events.push_back({Event::Kind::kCreate, files_, name});
    }
    numbers_[file] = live_[name];
    return file;
  }
  ssize_t write(int file, const void* from, size_t size) override {
    if (fail_write_after == 0) {
      errno = ENOSPC;
      return -1;
    }
    --fail_write_after;
    const ssize_t written = FileSystem::write(file, from, std::min<size_t>(size, 1000));
    const auto* begin = static_cast<const std::byte*>(from);
    events.push_back({Event::Kind::kWrite, numbers_[file], {}, {}, Bytes(begin, begin + written)});
    return written;
  }
  int sync(int file) override {
    struct stat status;
    ::fstat(file, &status);
    const bool folder = S_ISDIR(status.st_mode);
    if (folder && fail_folder_sync) {
      errno = EIO;
      return -1;
    }
    if (folder && syncs_folders) events.push_back({Event::Kind::kSyncFolder});
    if (!folder && syncs_files) events.push_back({Event::Kind::kSyncFile, numbers_[file]});
    return 0;
  }
  int rename_at(int folder, const char* from, const char* to) override {
    if (FileSystem::rename_at(folder, from, to) != 0) return -1;
    live_[to] = live_[from];
    live_.erase(from);
    events.push_back({Event::Kind::kRename, live_[to], to, from});
    return 0;
  }
  int unlink_at(int folder, const char* name) override {
    if (FileSystem::unlink_at(folder, name) != 0) return -1;
    live_.erase(name);
    events.push_back({Event::Kind::kUnlink, 0, name});
    return 0;
  }

  std::vector<Event> events;
  int fail_write_after = -1;
  bool fail_folder_sync = false;
  // What the disk honours; false: it says that it synced and did not.
  bool syncs_files = true;
  bool syncs_folders = true;

 private:
  std::map<std::string, int> live_;
  std::map<int, int> numbers_;
  int files_ = 0;
};

struct File {
  Bytes bytes;
  size_t synced = 0;
};

using Folder = std::map<std::string, int>;

// What has happened up to a moment, as far as a disk is concerned.
struct Disk {
  std::map<int, File> files;
  Folder durable;
  std::vector<Event> pending;  // changes of the folder since its last sync
  int started = 0;
  int acknowledged = 0;

  static void apply(Folder& folder, const Event& event) {
    if (event.kind == Event::Kind::kUnlink) {
      folder.erase(event.name);
      return;
    }
    const auto from = folder.find(event.from);
    if (from != folder.end() && from->second == event.file) folder.erase(from);
    folder[event.name] = event.file;
  }

  void happen(const Event& event) {
    switch (event.kind) {
      case Event::Kind::kWrite: {
        Bytes& bytes = files[event.file].bytes;
        bytes.insert(bytes.end(), event.bytes.begin(), event.bytes.end());
        break;
      }
      case Event::Kind::kSyncFile:
        files[event.file].synced = files[event.file].bytes.size();
        break;
      case Event::Kind::kSyncFolder:
        for (const Event& change : pending) apply(durable, change);
        pending.clear();
        break;
      case Event::Kind::kStarted:
        started = event.state;
        break;
      case Event::Kind::kAcknowledged:
        acknowledged = event.state;
        break;
      default:
        pending.push_back(event);
    }
  }
};

using Image = std::map<std::string, Bytes>;

// The ways the unsynced end of a file may come out of a power cut.
inline std::vector<Bytes> torn(const File& file) {
  std::vector<Bytes> forms;
  const auto begin = file.bytes.begin();
  for (size_t size = file.synced; size < file.bytes.size(); size = (size / kSector + 1) * kSector) {
    forms.emplace_back(begin, begin + static_cast<ptrdiff_t>(size));
  }
  forms.push_back(file.bytes);
  if (file.synced < file.bytes.size()) {
    forms.emplace_back(begin, begin + static_cast<ptrdiff_t>(file.synced));
    forms.back().resize(file.bytes.size());
  }
  return forms;
}

// Calls `visit` with every image of the disk at this moment. One file at a time is torn: the store
// never has two unsynced ones, the sessions of a workload take turns.
inline void for_each_image(const Disk& disk, const std::function<void(const Image&)>& visit) {
  for (size_t subset = 0; subset < (size_t{1} << disk.pending.size()); ++subset) {
    Folder folder = disk.durable;
    for (size_t i = 0; i < disk.pending.size(); ++i) {
      if ((subset >> i & 1) != 0) Disk::apply(folder, disk.pending[i]);
    }
    Image image;
    std::string unsynced;
    for (const auto& [name, number] : folder) {
      const auto file = disk.files.find(number);
      if (file != disk.files.end() && file->second.synced < file->second.bytes.size())
        unsynced = name;
      image[name] = file == disk.files.end() ? Bytes() : file->second.bytes;
    }
    if (unsynced.empty()) {
      visit(image);
      continue;
    }
    for (Bytes& form : torn(disk.files.at(folder.at(unsynced)))) {
      image[unsynced] = std::move(form);
      visit(image);
    }
  }
}

}  // namespace perdure::testing
