// SPDX-License-Identifier: Apache-2.0

// The file store when the system fails it: every call of a save is made to fail in turn, in every
// way it can. A save then either succeeds in full or says so, and what was saved before is as it
// was.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/api/error.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using file_store::FileStore;
using file_store::FileStoreSettings;
using file_store::FileSystem;

namespace {

using Bytes = std::vector<std::byte>;

// How calls fail: with this errno; 0: reads and writes move only half of what was asked.
struct Fault {
  int error = 0;
  int first = 0;         // number of the first failing call, from 1
  bool lasting = false;  // all later calls fail too
};

class FaultySystem final : public FileSystem {
 public:
  explicit FaultySystem(Fault fault) : fault_(fault) {}

  int open_at(int folder, const char* name, int flags, mode_t mode) override {
    return fails() ? -1 : FileSystem::open_at(folder, name, flags, mode);
  }
  ssize_t read(int file, void* to, size_t size) override {
    return fails() ? -1 : FileSystem::read(file, to, shortened(size));
  }
  ssize_t write(int file, const void* from, size_t size) override {
    return fails() ? -1 : FileSystem::write(file, from, shortened(size));
  }
  int sync(int file) override {
    syncs_after_failure += sync_failed_ ? 1 : 0;
    if (fails()) {
      sync_failed_ = true;
      return -1;
    }
    return FileSystem::sync(file);
  }
  int rename_at(int folder, const char* from, const char* to) override {
    return fails() ? -1 : FileSystem::rename_at(folder, from, to);
  }
  int unlink_at(int folder, const char* name) override {
    return fails() ? -1 : FileSystem::unlink_at(folder, name);
  }

  void repair() {
    fault_ = {};
    sync_failed_ = false;
  }

  bool fired = false;
  int syncs_after_failure = 0;

 private:
  bool fails() {
    ++calls_;
    now_ = fault_.first > 0 && (fault_.lasting ? calls_ >= fault_.first : calls_ == fault_.first);
    fired = fired || now_;
    if (!now_ || fault_.error == 0) return false;
    errno = fault_.error;
    return true;
  }
  size_t shortened(size_t size) const { return now_ ? (size + 1) / 2 : size; }

  Fault fault_;
  int calls_ = 0;
  bool now_ = false;
  bool sync_failed_ = false;
};

class UnsyncedSystem final : public FileSystem {
 public:
  int sync(int) override { return 0; }  // the disk is not what is tested here
};

Bytes blob(size_t size, int seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 131 + static_cast<size_t>(seed)) & 255);
  return bytes;
}

// A folder in which `saves` memories of alice were saved; the n-th is blob(5000, n).
struct Place {
  explicit Place(int saves) : saved(saves) {
    for (int i = 1; i <= saves; ++i) good.put("alice", blob(5000, i));
  }
  bool has_temporary() const { return std::filesystem::exists(folder / "place/alice@tmp"); }

  testing::TemporaryFolder folder;
  UnsyncedSystem system;
  FileStore good{folder / "place", system};
  int saved;
};

// The newest memory and, if it was there, the one before it are what they were.
void check_old_memory(Place& place) {
  if (place.saved == 0) {
    CHECK(place.good.list().empty());
    return;
  }
  CHECK(place.good.get("alice") == blob(5000, place.saved));
  if (place.saved > 1)
    CHECK(place.good.get("alice", place.saved - 1) == blob(5000, place.saved - 1));
}

// Saves under the fault; false once the save needs fewer calls than that.
bool check_save(int saves_before, Fault fault) {
  CAPTURE(saves_before);
  CAPTURE(fault.error);
  CAPTURE(fault.first);
  Place place(saves_before);
  FaultySystem system(fault);
  FileStore store(place.folder / "place", system);
  const Bytes fresh = blob(7000, 99);
  bool saved = false;
  try {
    const uint64_t generation = store.put("alice", fresh, static_cast<uint64_t>(saves_before));
    saved = true;
    CHECK(place.good.get("alice") == fresh);
    CHECK(place.good.get("alice", generation) == fresh);
    if (saves_before > 0)
      CHECK(place.good.get("alice", generation - 1) == blob(5000, saves_before));
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(fault.error != 0);
    CHECK(text.find(place.folder / "place") != std::string::npos);
    CHECK(text.find(std::generic_category().message(fault.error)) != std::string::npos);
    // The new memory may be there after a failure, but then the sentence says so.
    const bool there = !place.good.list().empty() && place.good.get("alice") == fresh;
    CHECK(there == (text.find("could not be taken back: it is there, whole") != std::string::npos));
    CHECK((fault.lasting || !there));
    if (!there) check_old_memory(place);
    if (!fault.lasting) CHECK_FALSE(place.has_temporary());
  }
  CHECK(system.syncs_after_failure == 0);
  system.repair();
  const uint64_t newest = static_cast<uint64_t>(saves_before) + (saved ? 1 : 0);
  CHECK_NOTHROW(store.put("alice", blob(100, 1), newest));  // the same session, once all is well
  CHECK(place.good.get("alice") == blob(100, 1));
  place.good.put("alice", fresh);
  CHECK(place.good.get("alice") == fresh);
  CHECK_FALSE(place.has_temporary());
  return system.fired;
}

int check_every_call(int saves_before, int error, bool lasting) {
  int call = 1;
  while (check_save(saves_before, {error, call, lasting})) ++call;
  return call - 1;
}

}  // namespace

TEST_CASE("if any call of a save fails, success is not reported and the old session is intact") {
  for (int saves_before : {0, 1, 3}) {
    for (int error : {ENOSPC, EIO, EROFS, EDQUOT, EINTR, 0}) {
      const int calls = check_every_call(saves_before, error, false);
      CHECK(calls >= 5);
    }
  }
}

TEST_CASE(
    "a disk that fails from some call on leaves a whole memory, and a later save repairs the "
    "rest") {
  for (int saves_before : {0, 1, 3}) {
    for (int error : {ENOSPC, EIO, EROFS}) check_every_call(saves_before, error, true);
  }
}

TEST_CASE("if any call of a save that shares blocks fails, what is stored stays readable") {
  const auto grown = [](int n) {
    Bytes bytes = blob(static_cast<size_t>(1000 + 700 * n), 0);
    const Bytes end = blob(50, n);
    bytes.insert(bytes.end(), end.begin(), end.end());
    return bytes;
  };
  for (const bool lasting : {false, true})
    for (const int error : {ENOSPC, EIO, EINTR, 0}) {
      bool fired = !(lasting && error == EINTR);  // nobody is interrupted for ever
      for (int call = 1; fired; ++call) {
        CAPTURE(error);
        CAPTURE(call);
        const testing::TemporaryFolder folder;
        UnsyncedSystem sound;
        FileStore good(FileStoreSettings{.path = folder / "place", .block_bytes = 512}, sound);
        for (int n = 1; n <= 4; ++n) good.put("alice", grown(n));
        FaultySystem system({error, call, lasting});
        FileStore store(FileStoreSettings{.path = folder / "place", .block_bytes = 512}, system);
        bool saved = false;
        try {
          store.put("alice", grown(5), 4);
          saved = true;
        } catch (const Error&) {
        }
        const auto all = good.list();
        REQUIRE(all.size() >= 2);
        CHECK((!saved || all[0].generation == 5));
        for (const StoredSnapshot& stored : all)
          CHECK(good.get("alice", stored.generation) == grown(static_cast<int>(stored.generation)));
        fired = system.fired;
        system.repair();
        if (!lasting) CHECK_NOTHROW(store.put("alice", grown(6), saved ? 5 : 4));
      }
    }
}

TEST_CASE("interrupted and short writes are carried on with, an interrupted sync is a failure") {
  // Calls of a save into an existing folder: open, write, sync, rename, sync.
  const auto put_with = [](Fault fault) {
    Place place(1);
    FaultySystem system(fault);
    FileStore(place.folder / "place", system).put("alice", blob(7000, 99));
  };
  CHECK_NOTHROW(put_with({EINTR, 1}));
  CHECK_NOTHROW(put_with({EINTR, 2}));
  CHECK_NOTHROW(put_with({0, 2, true}));
  CHECK_THROWS_AS(put_with({EINTR, 3}), Error);
  CHECK_THROWS_AS(put_with({EIO, 5}), Error);
}

TEST_CASE("a generation that was neither made durable nor taken back is reported, and continued") {
  Place place(2);
  FaultySystem system({EIO, 5, true});  // from the sync of the folder on
  FileStore store(place.folder / "place", system);
  CHECK_THROWS_WITH_AS(store.put("alice", blob(7000, 99), 2),
                       doctest::Contains("generation 3 could not be taken back"), Error);
  CHECK(place.good.get("alice") == blob(7000, 99));
  CHECK(place.good.get("alice", 2) == blob(5000, 2));
  system.repair();
  CHECK(store.put("alice", blob(10, 1), 2) == 4);
  CHECK(place.good.get("alice") == blob(10, 1));
  // Whoever else saves in between is noticed all the same.
  FaultySystem again({EIO, 5, true});
  FileStore other(place.folder / "place", again);
  CHECK_THROWS_AS(other.put("alice", blob(7000, 98), 4), Error);
  place.good.put("alice", blob(10, 2));
  again.repair();
  CHECK_THROWS_WITH_AS(other.put("alice", blob(10, 3), 4), doctest::Contains("another program"),
                       Error);
}

TEST_CASE("a take-back that fails once is made by another way") {
  class Folder final : public FileSystem {
   public:
    int sync(int file) override {
      struct stat status;
      ::fstat(file, &status);
      return S_ISDIR(status.st_mode) ? fail() : 0;
    }
    int unlink_at(int folder, const char* name) override {
      return std::string(name) == "alice@3" ? fail() : FileSystem::unlink_at(folder, name);
    }
    static int fail() {
      errno = EIO;
      return -1;
    }
  };
  Place place(2);
  Folder system;
  FileStore store(place.folder / "place", system);
  CHECK_THROWS_WITH_AS(store.put("alice", blob(7000, 99), 2),
                       doctest::Contains("saved generations are unchanged"), Error);
  check_old_memory(place);
}

TEST_CASE("a file system that cannot sync folders fails a save, or gives one warning if relaxed") {
  class NoFolders final : public FileSystem {
   public:
    int sync(int file) override {
      struct stat status;
      ::fstat(file, &status);
      if (!S_ISDIR(status.st_mode)) return 0;
      errno = error;
      return -1;
    }
    int error = EINVAL;
  };
  Place place(1);
  NoFolders system;
  CHECK_THROWS_WITH_AS(FileStore(place.folder / "place", system).put("alice", blob(10, 2)),
                       doctest::Contains("store.durability: relaxed"), Error);
  check_old_memory(place);
  std::vector<std::string> warnings;
  FileStore relaxed(
      FileStoreSettings{.path = place.folder / "place",
                        .relaxed = true,
                        .warn = [&](const std::string& sentence) { warnings.push_back(sentence); }},
      system);
  CHECK(relaxed.put("alice", blob(10, 2), 1) == 2);
  CHECK(relaxed.put("alice", blob(10, 3), 2) == 3);
  CHECK(warnings.size() == 1);
  system.error = EIO;  // a disk that fails is no such file system
  CHECK_THROWS_AS(relaxed.put("alice", blob(10, 4), 3), Error);
}

TEST_CASE("a full disk says what to do") {
  Place place(1);
  FaultySystem system({ENOSPC, 2});
  FileStore store(place.folder / "place", system);
  try {
    store.put("alice", blob(10, 1));
    FAIL("saved on a full disk");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) ==
          "cannot save session 'alice' in " + place.folder / "place" +
              " (saved generations are unchanged): writing failed (No space left on "
              "device); free some space and try again");
  }
}

TEST_CASE("if any call of a read fails, wrong bytes are never returned") {
  for (int error : {EIO, EINTR, ENOMEM, 0}) {
    bool fired = true;
    for (int call = 1; fired; ++call) {
      Place place(2);
      FaultySystem system({error, call});
      FileStore store(place.folder / "place", system);
      try {
        const Bytes found = store.get("alice");
        CHECK(found == blob(5000, 2));
      } catch (const Error& failed) {
        CHECK(std::string(failed.what()).find("cannot read session 'alice'") == 0);
      }
      fired = system.fired;
    }
  }
}

TEST_CASE("a memory file that is cut while it is read is an error, not a shorter memory") {
  class ShrinkingSystem final : public FileSystem {
   public:
    ssize_t read(int file, void* to, size_t size) override {
      const ssize_t result = FileSystem::read(file, to, std::min<size_t>(size, 1000));
      std::filesystem::resize_file(path, 1500);
      return result;
    }
    std::string path;
  };
  Place place(1);
  ShrinkingSystem system;
  system.path = place.folder / "place/alice@1";
  CHECK_THROWS_AS(FileStore(place.folder / "place", system).get("alice"), Error);
}

TEST_CASE("a lock that cannot be made is refused, one that was interrupted is not") {
  Place place(1);
  FaultySystem system({EROFS, 1});
  CHECK_THROWS_AS(FileStore(place.folder / "place", system).lock("alice"), Error);
  FaultySystem interrupted({EINTR, 1});
  CHECK(FileStore(place.folder / "place", interrupted).lock("alice") != nullptr);
}
