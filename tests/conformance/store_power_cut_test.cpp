// SPDX-License-Identifier: Apache-2.0

// The file store under power cuts, simulated: what it asks of the system is recorded, and for every
// moment every disk image is built that a file system may leave: of the changes to the folder since
// its last sync any subset, of the bytes of a file since its last sync any prefix of 512-byte
// sectors, or zeros in their place. Every image must hold the memory acknowledged last, or a later
// one, whole.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "core/api/error.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using file_store::FileStore;
using file_store::FileSystem;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::byte>;
constexpr size_t kSector = 512;

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
class RecordingSystem final : public FileSystem {
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

class UnsyncedSystem final : public FileSystem {
 public:
  int sync(int) override { return 0; }
};

// One session's history: state n is what the n-th attempt was to leave; nothing for a removal.
class History {
 public:
  explicit History(RecordingSystem& system) : system_(system) { states.push_back(std::nullopt); }

  // Runs one change; a failed one stays unacknowledged.
  void attempt(std::optional<Bytes> after, const std::function<void()>& change) {
    states.push_back(std::move(after));
    const int state = static_cast<int>(states.size()) - 1;
    system_.events.push_back({Event::Kind::kStarted, 0, {}, {}, {}, state});
    try {
      change();
      system_.events.push_back({Event::Kind::kAcknowledged, 0, {}, {}, {}, state});
    } catch (const Error&) {
    }
  }

  std::vector<std::optional<Bytes>> states;

 private:
  RecordingSystem& system_;
};

Bytes blob(size_t size, int seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 131 + static_cast<size_t>(seed) * 77 + 1) & 255);
  return bytes;
}

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
std::vector<Bytes> torn(const File& file) {
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
void for_each_image(const Disk& disk, const std::function<void(const Image&)>& visit) {
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

// In memory where the system has a place for that: thousands of folders come and go.
fs::path fast_folder() {
  return ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
}

struct Verdict {
  int images = 0;
  int bad = 0;
};

// Starts a store on the image, as after the reboot, and looks at what it finds. Every 16th image is
// also saved to.
bool recovers(const Image& image, const History& history, const Disk& disk, bool save) {
  const testing::TemporaryFolder folder(fast_folder());
  for (const auto& [name, bytes] : image) {
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  UnsyncedSystem system;
  FileStore store(folder.path(), system);
  const auto is_state = [&](const std::optional<Bytes>& found, int first, int last) {
    for (int state = first; state <= last; ++state) {
      if (history.states[static_cast<size_t>(state)] == found) return true;
    }
    return false;
  };
  std::optional<Bytes> newest;
  for (const StoredSnapshot& stored : store.list()) {
    const Bytes bytes = store.get(stored.name, stored.generation);
    if (!is_state(bytes, 0, disk.started)) return false;
    if (!newest) newest = bytes;
  }
  if (!is_state(newest, disk.acknowledged, disk.started)) return false;
  if (!save) return true;
  const auto lock = store.lock("alice");
  store.put("alice", blob(10, 1));
  return store.get("alice") == blob(10, 1) && !fs::exists(folder / "alice@tmp");
}

using Workload = std::function<void(FileStore&, RecordingSystem&, History&)>;

void save(FileStore& store, History& history, size_t size) {
  const Bytes bytes = blob(size, static_cast<int>(history.states.size()));
  history.attempt(bytes, [&] { store.put("alice", bytes); });
}

Verdict cut_everywhere(const Workload& workload, bool syncs_files = true,
                       bool syncs_folders = true) {
  const testing::TemporaryFolder folder(fast_folder());
  RecordingSystem system;
  system.syncs_files = syncs_files;
  system.syncs_folders = syncs_folders;
  FileStore store(folder.path(), system);
  History history(system);
  workload(store, system, history);

  Verdict verdict;
  Disk disk;
  for (const Event& event : system.events) {
    disk.happen(event);
    for_each_image(disk, [&](const Image& image) {
      const bool good = recovers(image, history, disk, verdict.images % 16 == 0);
      ++verdict.images;
      verdict.bad += good ? 0 : 1;
    });
  }
  return verdict;
}

const std::map<std::string, Workload> kWorkloads = {
    {"saves of one session under its lock",
     [](FileStore& store, RecordingSystem&, History& history) {
       const auto lock = store.lock("alice");
       for (size_t size : {700, 2600, 1, 3000, 512}) save(store, history, size);
     }},
    {"a lock taken and released around every save",
     [](FileStore& store, RecordingSystem&, History& history) {
       for (size_t size : {700, 1500, 1024}) {
         const auto lock = store.lock("alice");
         save(store, history, size);
       }
     }},
    {"a full disk between saves",
     [](FileStore& store, RecordingSystem& system, History& history) {
       save(store, history, 900);
       system.fail_write_after = 1;
       save(store, history, 3000);
       system.fail_write_after = -1;
       save(store, history, 1200);
       save(store, history, 800);
     }},
    {"a folder that could not be synced between saves",
     [](FileStore& store, RecordingSystem& system, History& history) {
       save(store, history, 900);
       save(store, history, 901);
       system.fail_folder_sync = true;
       save(store, history, 1100);
       system.fail_folder_sync = false;
       save(store, history, 1300);
       save(store, history, 800);
     }},
    {"a removal and a new beginning",
     [](FileStore& store, RecordingSystem&, History& history) {
       save(store, history, 900);
       save(store, history, 1700);
       history.attempt(std::nullopt, [&] { store.remove("alice"); });
       save(store, history, 600);
       save(store, history, 1600);
     }},
};

// Saves, removals and failures in any order; after a failure comes a success.
void random_changes(unsigned seed, FileStore& store, RecordingSystem& system, History& history) {
  std::mt19937 random(seed);
  std::unique_ptr<StoreLock> lock;
  if (seed % 2 == 0) lock = store.lock("alice");
  for (int i = 0; i < 6; ++i) {
    const unsigned kind = random() % 8;
    if (kind == 0) history.attempt(std::nullopt, [&] { store.remove("alice"); });
    system.fail_write_after = kind == 1 ? static_cast<int>(random() % 3) : -1;
    system.fail_folder_sync = kind == 2;
    if (kind == 1 || kind == 2) save(store, history, 1 + random() % 2000);
    system.fail_write_after = -1;
    system.fail_folder_sync = false;
    save(store, history, 1 + random() % 4000);
  }
}

}  // namespace

TEST_CASE("after a power cut at any moment an acknowledged memory or a later one is there, whole") {
  int images = 0;
  for (const auto& workload : kWorkloads) {
    CAPTURE(workload.first);
    const Verdict verdict = cut_everywhere(workload.second);
    CHECK(verdict.bad == 0);
    CHECK(verdict.images > 50);
    images += verdict.images;
  }
  for (unsigned seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    const Verdict verdict = cut_everywhere([seed](auto& store, auto& system, auto& history) {
      random_changes(seed, store, system, history);
    });
    CHECK(verdict.bad == 0);
    images += verdict.images;
  }
  MESSAGE(images << " disk images, all recovered");
}

TEST_CASE("the simulation finds the loss when files or the folder are not really synced") {
  const Workload saves = [](FileStore& store, RecordingSystem&, History& history) {
    for (size_t size : {700, 2600}) save(store, history, size);
  };
  CHECK(cut_everywhere(saves).bad == 0);
  CHECK(cut_everywhere(saves, false, true).bad > 0);
  CHECK(cut_everywhere(saves, true, false).bad > 0);
}
