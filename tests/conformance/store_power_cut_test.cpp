// SPDX-License-Identifier: Apache-2.0

// The file store under simulated power cuts: every image that the disk may hold after any moment of
// a workload must hold the memory acknowledged last, or a later one, whole.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "core/api/error.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "tests/support/simulated_disk.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using file_store::FileStore;
using file_store::FileStoreSettings;
using file_store::FileSystem;
namespace fs = std::filesystem;

namespace {

using testing::Bytes;
using testing::Disk;
using testing::Event;
using testing::for_each_image;
using testing::Image;
using testing::RecordingSystem;
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

// A snapshot of a text that grows: what was there stays, and its end is new each time.
void save_grown(FileStore& store, History& history, size_t size, int text = 0) {
  Bytes bytes = blob(size, text);
  const Bytes end = blob(100, static_cast<int>(history.states.size()));
  bytes.insert(bytes.end(), end.begin(), end.end());
  history.attempt(bytes, [&] { store.put("alice", bytes); });
}

void on_full_disk(RecordingSystem& system, const std::function<void()>& change) {
  system.fail_write_after = 1;
  change();
  system.fail_write_after = -1;
}

void without_folder_sync(RecordingSystem& system, const std::function<void()>& change) {
  system.fail_folder_sync = true;
  change();
  system.fail_folder_sync = false;
}

Verdict cut_everywhere(const Workload& workload, bool syncs_files = true,
                       bool syncs_folders = true) {
  const testing::TemporaryFolder folder(fast_folder());
  RecordingSystem system;
  system.syncs_files = syncs_files;
  system.syncs_folders = syncs_folders;
  FileStore store(FileStoreSettings{.path = folder.path(), .block_bytes = 512}, system);
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
       on_full_disk(system, [&] { save(store, history, 3000); });
       save(store, history, 1200);
       save(store, history, 800);
     }},
    {"a folder that could not be synced between saves",
     [](FileStore& store, RecordingSystem& system, History& history) {
       save(store, history, 900);
       save(store, history, 901);
       without_folder_sync(system, [&] { save(store, history, 1100); });
       save(store, history, 1300);
       save(store, history, 800);
     }},
    {"a generation restored, and an old one removed",
     [](FileStore& store, RecordingSystem&, History& history) {
       save(store, history, 900);
       save(store, history, 1700);
       const Bytes first = store.get("alice", 1);
       history.attempt(first, [&] { store.put("alice", first, 2); });
       store.remove("alice", 2);
       save(store, history, 600);
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

const std::map<std::string, Workload> kSharingWorkloads = {
    {"a text that grows",
     [](FileStore& store, RecordingSystem&, History& history) {
       const auto lock = store.lock("alice");
       for (size_t size : {600, 1300, 1400, 1900, 2700}) save_grown(store, history, size);
     }},
    {"a text that is cut back, begun anew and grows again",
     [](FileStore& store, RecordingSystem&, History& history) {
       for (size_t size : {1900, 2500, 700, 1300}) save_grown(store, history, size);
       save_grown(store, history, 200, 1);
       for (size_t size : {800, 1600, 2200}) save_grown(store, history, size, 1);
     }},
    {"a text that grows on a disk that fails now and then",
     [](FileStore& store, RecordingSystem& system, History& history) {
       save_grown(store, history, 1300);
       on_full_disk(system, [&] { save_grown(store, history, 2600); });
       save_grown(store, history, 1900);
       without_folder_sync(system, [&] { save_grown(store, history, 2500); });
       save_grown(store, history, 2600);
       save_grown(store, history, 2700);
     }},
    {"shared generations are removed",
     [](FileStore& store, RecordingSystem&, History& history) {
       for (size_t size : {1300, 1900, 2500}) save_grown(store, history, size);
       store.remove("alice", 2);
       save_grown(store, history, 2600);
       history.attempt(std::nullopt, [&] { store.remove("alice"); });
       for (size_t size : {1300, 1900}) save_grown(store, history, size);
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

TEST_CASE("after a power cut at any moment generations that share blocks are whole") {
  for (const auto& workload : kSharingWorkloads) {
    CAPTURE(workload.first);
    const Verdict verdict = cut_everywhere(workload.second);
    CHECK(verdict.bad == 0);
    CHECK(verdict.images > 50);
    CHECK(cut_everywhere(workload.second, false, true).bad > 0);
  }
}

TEST_CASE("the simulation finds the loss when files or the folder are not really synced") {
  const Workload saves = [](FileStore& store, RecordingSystem&, History& history) {
    for (size_t size : {700, 2600}) save(store, history, size);
  };
  CHECK(cut_everywhere(saves).bad == 0);
  CHECK(cut_everywhere(saves, false, true).bad > 0);
  CHECK(cut_everywhere(saves, true, false).bad > 0);
}
