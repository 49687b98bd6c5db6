// SPDX-License-Identifier: Apache-2.0

// Saving under kill -9: a child saves one memory after the other and acknowledges each; the parent
// kills it at random moments, hundreds of times, in one folder. Whatever the moment, what the child
// acknowledged last or a later save must be the newest memory, and nothing in the folder may be
// unreadable.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "core/engine/snapshot.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using file_store::FileStore;
using file_store::FileStoreSettings;
using file_store::real_file_system;

namespace {

constexpr int kKills = testing::kSanitized ? 100 : 500;

// A memory that says which save it is; sizes vary from 1 KiB to 2 MiB so that kills fall into every
// step.
std::vector<std::byte> memory_of_save(int64_t save) {
  SnapshotContents contents;
  contents.identity = "test: crash\n";
  contents.position = save;
  const int64_t rows = 1 + save * 37 % 512;
  contents.tensors = {
      {"state", rows, 1024, std::vector<float>(static_cast<size_t>(rows * 1024), 0.5f)}};
  return encode_snapshot(contents);
}

// A memory that says which save it is at its end, behind what stays.
std::vector<std::byte> grown_memory(int64_t save) {
  std::vector<std::byte> bytes(static_cast<size_t>(50'000 + save % 200 * 3'000));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / 7);
  const auto* number = reinterpret_cast<const std::byte*>(&save);
  bytes.insert(bytes.end(), number, number + sizeof(save));
  return bytes;
}

int64_t save_of(std::span<const std::byte> bytes) {
  int64_t save = 0;
  std::memcpy(&save, bytes.data() + bytes.size() - sizeof(save), sizeof(save));
  return save;
}

using MemoryOfSave = std::vector<std::byte> (*)(int64_t save);

[[noreturn]] void save_for_ever(const std::string& place, int64_t first, int acknowledge,
                                MemoryOfSave memory) {
  FileStore store(FileStoreSettings{.path = place, .block_bytes = 4096}, real_file_system());
  const auto lock = store.lock("alice");
  for (int64_t save = first;; ++save) {
    store.put("alice", memory(save));
    if (::write(acknowledge, &save, sizeof(save)) != sizeof(save)) ::_exit(1);
  }
}

// Kills a saving child `microseconds` after its `saves`-th acknowledgement; returns the last save
// it acknowledged, or `before`.
int64_t kill_while_saving(const std::string& place, int64_t before, int saves, int microseconds,
                          MemoryOfSave memory = memory_of_save) {
  int channel[2];
  REQUIRE(::pipe(channel) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(channel[0]);
    save_for_ever(place, before + 1, channel[1], memory);
  }
  ::close(channel[1]);
  int64_t last = before;
  int64_t save = 0;
  while (saves-- > 0 && ::read(channel[0], &save, sizeof(save)) == sizeof(save)) last = save;
  ::usleep(static_cast<useconds_t>(microseconds));
  ::kill(child, SIGKILL);
  while (::read(channel[0], &save, sizeof(save)) == sizeof(save)) last = save;
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  return last;
}

}  // namespace

TEST_CASE(
    "after hundreds of kill -9 while saving, nothing is unreadable and nothing acknowledged is "
    "lost") {
  const testing::TemporaryFolder folder;
  const std::string place = folder / "place";
  FileStore store(place, real_file_system());
  std::mt19937 random(20);
  int64_t saved = 0;
  int between_open_and_rename = 0;
  int unacknowledged = 0;
  int64_t acknowledged = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const int64_t before = saved;
    const int64_t last = kill_while_saving(place, before, static_cast<int>(random() % 3),
                                           static_cast<int>(random() % 8000));
    acknowledged += last - before;
    between_open_and_rename += std::filesystem::exists(place + "/alice@tmp") ? 1 : 0;
    for (const StoredSnapshot& stored : store.list()) {
      CHECK_NOTHROW(decode_snapshot(store.get(stored.name, stored.generation)));
    }
    if (last == 0 && store.list().empty()) continue;
    saved = decode_snapshot(store.get("alice")).position;
    CHECK(saved >= last);
    CHECK(saved <= last + 1);
    unacknowledged += saved > last ? 1 : 0;
  }
  MESSAGE(kKills << " kills, " << acknowledged << " acknowledged saves; " << between_open_and_rename
                 << " kills fell between open and rename, " << unacknowledged
                 << " between rename and acknowledgement");
  CHECK(between_open_and_rename > 0);

  const auto lock = store.lock("alice");
  store.put("alice", memory_of_save(saved + 1));
  CHECK_FALSE(std::filesystem::exists(place + "/alice@tmp"));
  CHECK(store.list().size() == 2);
}

TEST_CASE("kill -9 while a growing memory is saved block by block leaves every generation whole") {
  const testing::TemporaryFolder folder;
  const std::string place = folder / "place";
  FileStore store(place, real_file_system());
  std::mt19937 random(21);
  int64_t saved = 0;
  for (int kill = 0; kill < kKills / 2; ++kill) {
    const int64_t last = kill_while_saving(place, saved, static_cast<int>(random() % 4),
                                           static_cast<int>(random() % 4000), grown_memory);
    for (const StoredSnapshot& stored : store.list()) {
      const auto bytes = store.get("alice", stored.generation);
      CHECK(bytes == grown_memory(save_of(bytes)));
    }
    if (last == 0 && store.list().empty()) continue;
    saved = save_of(store.get("alice"));
    CHECK(saved >= last);
    CHECK(saved <= last + 1);
  }
  CHECK(saved > 10);
  uint64_t bytes = 0;  // no file is kept that nobody needs
  for (const auto& entry : std::filesystem::directory_iterator(place)) bytes += entry.file_size();
  CHECK(bytes < 6 * grown_memory(199).size());
}
