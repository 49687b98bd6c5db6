// SPDX-License-Identifier: Apache-2.0

// What the `file` store promises about the files of its folder.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>

#include "core/engine/snapshot.hpp"
#include "tests/conformance/store_places.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

const StorePlugin& file_plugin() {
  for (const StaticPlugin& linked : linked_plugins())
    if (std::string_view(linked.kind) == "stores" && std::string_view(linked.name) == "file")
      return plugin_of(linked);
  throw Error("the file store is not linked in");
}

std::unique_ptr<MemoryStore> file_store(const std::string& path, StoreRules rules = {}) {
  return open_store(file_plugin(), path, rules);
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// The shortest table: no run, its own bytes, the mark.
Bytes like_a_table(uint64_t size_bytes) {
  Bytes bytes(size_bytes);
  const uint64_t own_bytes = size_bytes - 24;
  std::memcpy(bytes.data() + size_bytes - 16, &own_bytes, 8);
  std::memcpy(bytes.data() + size_bytes - 8, "PDMRUNS\n", 8);
  return bytes;
}

}  // namespace

TEST_CASE(
    "file store: folders are private, files are private, and a save leaves the snapshot alone") {
  const TemporaryFolder folder;
  auto store = file_store(folder / "deep/place");
  store->put("alice", blob(10, 1));
  CHECK(files_in(folder / "deep/place") == std::vector<std::string>{"alice@1"});
  struct stat status;
  REQUIRE(::stat((folder / "deep/place").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(::stat((folder / "deep").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(::stat((folder / "deep/place/alice@1").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  {
    const auto lock = store->lock("alice");
    CHECK(files_in(folder / "deep/place") == std::vector<std::string>{"alice@1", "alice@lock"});
    REQUIRE(::stat((folder / "deep/place/alice@lock").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  CHECK(files_in(folder / "deep/place") == std::vector<std::string>{"alice@1"});
}

TEST_CASE("file store: symbolic links in the folder are never followed") {
  const TemporaryFolder folder;
  const std::string place = folder / "place";
  const std::string outside = folder / "outside";
  std::ofstream(outside) << "precious";
  auto store = file_store(place);
  store->put("alice", blob(10, 1));
  for (const char* link : {"alice@2", "alice@lock", "alice@tmp", "bob@1"}) {
    fs::create_symlink(outside, place + "/" + link);
  }
  CHECK(contains(failure([&] { store->get("alice"); }), "symbolic link"));
  CHECK(contains(failure([&] { store->get("bob"); }), "symbolic link"));
  CHECK(contains(failure([&] { store->lock("alice"); }), "symbolic link"));
  CHECK(store->list().size() == 1);
  CHECK(store->put("alice", blob(10, 3)) == 3);
  CHECK(store->get("alice") == blob(10, 3));
  CHECK(fs::is_symlink(place + "/alice@2"));
  std::string text;
  std::ifstream(outside) >> text;
  CHECK(text == "precious");
  CHECK(fs::file_size(outside) == 8);
}

TEST_CASE("file store: a link or folder in the place of a first save is named as what it is") {
  const TemporaryFolder folder;
  auto store = file_store(folder.path());
  fs::create_symlink("/dev/null", folder / "alice@1");
  fs::create_directory(folder / "bob@1");
  const std::string link = failure([&] { store->put("alice", blob(10, 1), 0); });
  CHECK(contains(link, "'alice@1' in that folder is a symbolic link"));
  CHECK_FALSE(contains(link, "another program"));
  CHECK(contains(failure([&] { store->put("bob", blob(10, 1), 0); }), "is a folder"));
}

TEST_CASE(
    "file store: folders, fifos and unreadable things in the place of a memory are refused, not "
    "waited for") {
  const TemporaryFolder folder;
  auto store = file_store(folder.path());
  fs::create_directory(folder / "alice@1");
  REQUIRE(::mkfifo((folder / "bob@1").c_str(), 0600) == 0);
  CHECK(contains(failure([&] { store->get("alice"); }), "not a regular file"));
  CHECK(contains(failure([&] { store->get("bob"); }), "not a regular file"));
  CHECK(store->list().empty());
  CHECK(store->put("alice", blob(10, 1)) == 2);
  CHECK(fs::is_directory(folder / "alice@1"));
  std::ofstream(folder / "eve@18446744073709551615") << "x";
  CHECK(contains(failure([&] { store->put("eve", blob(1, 1)); }), "used up"));
}

TEST_CASE(
    "file store: a temporary without a living owner is removed by the next save, one with an owner "
    "is respected") {
  const TemporaryFolder folder;
  auto store = file_store(folder.path());
  std::ofstream(folder / "alice@tmp") << "half a memory";
  CHECK(store->put("alice", blob(10, 1)) == 1);
  CHECK(files_in(folder.path()) == std::vector<std::string>{"alice@1"});

  const int other = ::open((folder / "alice@tmp").c_str(), O_CREAT | O_WRONLY, 0600);
  REQUIRE(::flock(other, LOCK_EX) == 0);
  CHECK(contains(failure([&] { store->put("alice", blob(10, 2)); }), "another process is saving"));
  CHECK(contains(failure([&] { store->remove("alice"); }), "another process is saving"));
  CHECK(fs::exists(folder / "alice@tmp"));
  ::close(other);
  CHECK(store->put("alice", blob(10, 2)) == 2);
}

TEST_CASE(
    "file store: a folder that may not be written is one sentence, and what it holds stays "
    "readable") {
  const TemporaryFolder folder;
  const std::string place = folder / "place";
  file_store(place)->put("alice", blob(10, 1));
  ::chmod(folder.path().c_str(), 0755);
  ::chmod(place.c_str(), 0555);
  ::chmod((place + "/alice@1").c_str(), 0444);
  const int result = in_child([&] {
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 9;
    auto store = file_store(place);
    if (!contains(failure([&] { store->put("alice", blob(10, 2)); }), "Permission denied"))
      return 1;
    if (!contains(failure([&] { store->lock("alice"); }), "Permission denied")) return 2;
    try {
      store->lock("alice");
      return 6;
    } catch (const ReadOnlyStore&) {
    }
    if (!contains(failure([&] { store->remove("alice"); }), "Permission denied")) return 3;
    if (store->get("alice") != blob(10, 1)) return 4;
    if (!contains(failure([&] { file_store(place + "/new")->put("alice", blob(1, 1)); }),
                  "Permission denied")) {
      return 5;
    }
    return 0;
  });
  CHECK(result == 0);
  ::chmod(place.c_str(), 0755);
  CHECK(files_in(place) == std::vector<std::string>{"alice@1"});
}

TEST_CASE("file store: a file in the place of the folder is one sentence") {
  const TemporaryFolder folder;
  std::ofstream(folder / "place") << "x";
  for (const std::string& place : {folder / "place", folder / "place/below"}) {
    auto store = file_store(place);
    CHECK(contains(failure([&] { store->put("alice", blob(1, 1)); }), place));
    CHECK(contains(failure([&] { store->lock("alice"); }), place));
    CHECK(contains(failure([&] { store->list(); }), place));
  }
}

TEST_CASE("file store: a save reads the folder once, the later ones of the same store not at all") {
  const TemporaryFolder folder;
  auto store = file_store(folder.path());
  const int watch = ::inotify_init1(IN_NONBLOCK);
  REQUIRE(::inotify_add_watch(watch, folder.path().c_str(), IN_ACCESS) >= 0);
  const auto was_read = [&] {
    char events[4096];
    return ::read(watch, events, sizeof events) > 0;
  };
  CHECK(store->put("alice", blob(10, 1), 0) == 1);
  CHECK(was_read());
  for (uint64_t i = 2; i <= 5; ++i) CHECK(store->put("alice", blob(10, 2), i - 1) == i);
  CHECK_FALSE(was_read());
  ::close(watch);
}

TEST_CASE("file store: a newest generation that was replaced under the same number is noticed") {
  const TemporaryFolder folder;
  auto store = file_store(folder.path());
  store->put("alice", blob(10, 1), 0);
  auto other = file_store(folder.path());
  other->remove("alice");
  other->put("alice", blob(10, 9));
  CHECK(contains(failure([&] { store->put("alice", blob(10, 2), 1); }), "another program"));
  CHECK(other->get("alice") == blob(10, 9));
}

TEST_CASE(
    "file store: a folder that anybody may write to is refused, a group's gives one warning") {
  const TemporaryFolder folder;
  const std::string place = folder / "place";
  file_store(place)->put("alice", blob(10, 1));
  ::chmod(place.c_str(), 01777);
  for (const auto& action : std::vector<std::function<void()>>{
           [&] { file_store(place)->put("alice", blob(10, 2)); },
           [&] { file_store(place)->get("alice"); }, [&] { file_store(place)->list(); },
           [&] { file_store(place)->lock("alice"); }})
    CHECK(contains(failure(action), "anybody may write there"));
  ::chmod(place.c_str(), 0770);
  std::vector<std::string> warnings;
  Options options;
  options.set("durability", std::string("strict"));
  auto store = file_plugin().open(
      {.path = place, .options = options, .warn = [&](const std::string& sentence) {
         warnings.push_back(sentence);
       }});
  store->put("alice", blob(10, 2));
  store->put("alice", blob(10, 3));
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "the group of the store"));
}

TEST_CASE("one more piece of a long text costs the file store little, and nothing piles up") {
  const TemporaryFolder folder;
  const size_t block = size_t{1} << 20;
  Bytes text = blob(20 * block, 1);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::byte>(i * i >> 7);
  const auto written_by = [&](const Bytes& bytes) {
    const uint64_t generation = file_store(folder / "place")->put("alice", bytes);
    CHECK(file_store(folder / "place")->get("alice") == bytes);
    return fs::file_size(folder / ("place/alice@" + std::to_string(generation)));
  };
  CHECK(written_by(text) == text.size());
  for (int turn = 0; turn < 60; ++turn) {
    text.resize(text.size() + block / 3, std::byte{7});
    text.back() = static_cast<std::byte>(turn);
    CHECK(written_by(text) <= 2 * block);
  }
  uint64_t disk = 0;
  for (const std::string& name : files_in(folder / "place"))
    disk += fs::file_size(folder / ("place/" + name));
  CHECK(disk < 2 * text.size());
  uint64_t listed = 0;
  for (const StoredSnapshot& stored : file_store(folder / "place")->list())
    listed += stored.size_bytes;
  CHECK(listed == disk);
  file_store(folder / "place")->remove("alice");
  CHECK(files_in(folder / "place").empty());
}

TEST_CASE(
    "a block that is damaged spoils every generation that shares it, until it is saved anew") {
  const TemporaryFolder folder;
  const std::string base = folder / "place/alice@1";
  const auto store = file_store(folder / "place", {.keep = 9});
  const auto memory_at = [](int64_t rows) {
    SnapshotContents contents;
    contents.position = rows;
    contents.tensors = {{"k",
                         rows,
                         1024,
                         std::vector<float>(static_cast<size_t>(rows * 1024), 1),
                         PERDURE_F32,
                         0,
                         {},
                         1,
                         16}};
    return encode_snapshot(contents);
  };
  const auto damaged = [&](uint64_t generation) {
    try {
      return decode_snapshot_header(store->get("alice", generation)).position == 0;
    } catch (const Error&) {
      return true;
    }
  };
  for (const int64_t rows : {800, 801, 802}) store->put("alice", memory_at(rows));
  CHECK(fs::file_size(folder / "place/alice@3") < (size_t{1} << 20));
  for (const uint64_t generation : {1, 2, 3}) CHECK_FALSE(damaged(generation));
  std::fstream file(base, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1 << 20).put('x').flush();
  for (const uint64_t generation : {1, 2, 3}) CHECK(damaged(generation));
  store->put("alice", memory_at(803));
  CHECK_FALSE(damaged(4));
  CHECK(damaged(3));
}

TEST_CASE("a generation whose table is damaged does not stop older ones from being deleted") {
  const TemporaryFolder folder;
  Bytes text = blob(size_t{3} << 20, 1);
  const auto put = [&] {
    text.push_back(std::byte{1});
    file_store(folder / "place")->put("alice", text);
  };
  put();
  put();
  std::fstream file(folder / "place/alice@2", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-24 - 24 + 16 + 7, std::ios::end).put('\xff').flush();  // the length of the last run
  CHECK(contains(failure([&] { file_store(folder / "place")->get("alice"); }), "damaged"));
  for (int i = 0; i < 5; ++i) put();
  CHECK(file_store(folder / "place")->list().size() == 2);
  CHECK(files_in(folder / "place").size() <= 4);
  CHECK(file_store(folder / "place")->get("alice") == text);
}

TEST_CASE("bytes that look like a table of shared blocks come back as they were put") {
  const TemporaryFolder folder;
  const uint64_t block = uint64_t{1} << 20;
  for (const uint64_t size : {uint64_t{24}, uint64_t{72}, block - 1, block, block + 4, 2 * block}) {
    CAPTURE(size);
    const Bytes bytes = like_a_table(size);
    for (int i = 0; i < 2; ++i) {
      file_store(folder / "place")->put("alice", bytes);
      CHECK(file_store(folder / "place")->get("alice") == bytes);
    }
  }
}

TEST_CASE(
    "a damaged table of shared blocks gives an error or bytes that are there, whatever it says") {
  const TemporaryFolder folder;
  const std::string path = folder / "place/alice@2";
  Bytes text = blob(size_t{3} << 20, 1);
  file_store(folder / "place")->put("alice", text);
  text.push_back(std::byte{1});
  file_store(folder / "place")->put("alice", text);
  const size_t size = fs::file_size(path);
  CHECK(size < 200);
  for (size_t at = 0; at < size; ++at)
    for (const char value : {'\0', '\xff', '\x10'}) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(static_cast<std::streamoff>(at));
      const char before = static_cast<char>(file.get());
      file.seekp(static_cast<std::streamoff>(at));
      file.put(value);
      file.flush();
      size_t read = 0;
      try {
        read = file_store(folder / "place")->get("alice").size();
      } catch (const Error&) {
      }
      CHECK(read <= 2 * text.size());
      file.seekp(static_cast<std::streamoff>(at));
      file.put(before);
    }
  CHECK(file_store(folder / "place")->get("alice") == text);
  fs::remove(folder / "place/alice@1");
  CHECK(contains(failure([&] { file_store(folder / "place")->get("alice"); }), "blocks"));
  file_store(folder / "place")->put("alice", text);
  CHECK(file_store(folder / "place")->get("alice") == text);
}
