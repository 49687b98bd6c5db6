// SPDX-License-Identifier: Apache-2.0

// What every memory store promises (core/api/store.hpp). A store joins by being linked in: the
// cases run for each. Below them, what the `file` store promises about the files of its folder.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>

#include "core/api/error.hpp"
#include "core/api/store.hpp"
#include "core/engine/snapshot.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::byte>;
// Opens the store at the place of the test.
struct Open {
  std::function<std::unique_ptr<MemoryStore>(StoreRules)> with;
  std::unique_ptr<MemoryStore> operator()() const { return with({}); }
};

const StorePlugin& plugin_of(const StaticPlugin& linked) {
  return *static_cast<const StorePlugin*>(linked.entry());
}

// With what a configuration that says nothing gives.
std::unique_ptr<MemoryStore> open_store(const StorePlugin& plugin, const std::string& path,
                                        StoreRules rules = {}) {
  Options options;
  for (const OptionSpec& spec : plugin.options()) options.set(spec.name, spec.default_value);
  return plugin.open({.path = path, .rules = rules, .options = options, .warn = {}});
}

// Runs `check` for every store plugin, each in a place of its own that does not exist yet.
void for_each_store(const std::function<void(const Open&)>& check) {
  int stores = 0;
  for (const StaticPlugin& linked : linked_plugins()) {
    if (std::string_view(linked.kind) != "stores") continue;
    CAPTURE(linked.name);
    const testing::TemporaryFolder folder;
    check({[&](StoreRules rules) {
      return open_store(plugin_of(linked), folder / "deep/place", rules);
    }});
    ++stores;
  }
  CHECK(stores > 0);
}

Bytes blob(size_t size, int seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 131 + static_cast<size_t>(seed)) & 255);
  return bytes;
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Runs `body` in a process of its own; its result is the exit status.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char* const kBadNames[] = {"",    ".",   "..",          "../x", "a/b", "/etc/passwd",
                                 "a b", "a@1", "caf\xc3\xa9", "a\nb", "*"};

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

}  // namespace

TEST_CASE("a store gives back what was put, of any size, also to a later store object") {
  for_each_store([](const Open& open) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{3000001}}) {
      const Bytes bytes = blob(size, 7);
      const uint64_t generation = open()->put("alice", bytes);
      CHECK(open()->get("alice") == bytes);
      CHECK(open()->get("alice", generation) == bytes);
    }
  });
}

TEST_CASE("generations rise by one, the previous one stays readable, older ones go") {
  for_each_store([](const Open& open) {
    for (int i = 1; i <= 12; ++i)
      CHECK(open()->put("alice", blob(100, i)) == static_cast<uint64_t>(i));
    CHECK(open()->get("alice") == blob(100, 12));
    CHECK(open()->get("alice", 11) == blob(100, 11));
    CHECK(contains(failure([&] { open()->get("alice", 13); }), "generation 13"));
    const auto all = open()->list();
    REQUIRE(all.size() == 2);
    CHECK(all[0].generation == 12);
    CHECK(all[1].generation == 11);
  });
}

TEST_CASE("a store keeps as many generations as its rules say, and the young ones beyond that") {
  for_each_store([](const Open& open) {
    for (int i = 1; i <= 9; ++i) open.with({.keep = 5})->put("alice", blob(100, i));
    CHECK(open()->generations("alice").size() == 5);
    open.with({.keep = 1, .keep_seconds = 3600})->put("alice", blob(100, 10));
    CHECK(open()->generations("alice").size() == 6);
    open.with({.keep = 1})->put("alice", blob(100, 11));
    const auto all = open()->generations("alice");
    REQUIRE(all.size() == 1);
    CHECK(all[0].generation == 11);
    CHECK(all[0].size_bytes == 100);
    CHECK(open()->generations("bob").empty());
  });
}

TEST_CASE("a save that would make the place too large is refused, and deletes nothing") {
  for_each_store([](const Open& open) {
    open()->put("alice", blob(1000, 1));
    open()->put("bob", blob(1000, 1));
    const StoreRules rules{.keep = 1, .max_bytes = 2999};
    const std::string message = failure([&] { open.with(rules)->put("alice", blob(1000, 2), 1); });
    CHECK(contains(message, "store.max_bytes, 2999 bytes"));
    CHECK(open()->list().size() == 2);
    CHECK(open()->get("alice") == blob(1000, 1));
    CHECK(open.with({.max_bytes = 3000})->put("alice", blob(1000, 2), 1) == 2);
  });
}

TEST_CASE("a save that does not continue the newest generation is refused") {
  for_each_store([](const Open& open) {
    auto store = open();
    CHECK_FALSE(failure([&] { store->put("alice", blob(10, 1), 1); }).empty());
    CHECK(store->put("alice", blob(10, 1), 0) == 1);
    CHECK(store->put("alice", blob(10, 2), 1) == 2);
    CHECK_FALSE(failure([&] { store->put("alice", blob(10, 3), 1); }).empty());
    CHECK(open()->put("alice", blob(10, 4), 2) == 3);
    const std::string message = failure([&] { store->put("alice", blob(10, 5), 2); });
    CHECK(contains(message, "another program has saved generation 3 meanwhile"));
    CHECK(open()->get("alice") == blob(10, 4));
    open()->remove("alice");
    CHECK(contains(failure([&] { store->put("alice", blob(10, 5), 2); }), "removed it"));
    CHECK(open()->list().empty());
  });
}

TEST_CASE("a generation that is not the newest can be removed, also twice") {
  for_each_store([](const Open& open) {
    auto store = open.with({.keep = 3});
    for (int i = 1; i <= 3; ++i) store->put("alice", blob(10, i));
    store->remove("alice", 2);
    store->remove("alice", 2);
    CHECK_FALSE(failure([&] { store->remove("alice", 3); }).empty());
    const auto all = store->generations("alice");
    REQUIRE(all.size() == 2);
    CHECK(all[0].generation == 3);
    CHECK(all[1].generation == 1);
    CHECK(store->put("alice", blob(10, 4), 3) == 4);
  });
}

TEST_CASE("a snapshot may come in pieces, and one that fails half way is not stored") {
  for_each_store([](const Open& open) {
    auto store = open();
    const Bytes bytes = blob(5000, 1);
    const std::span<const std::byte> all = bytes;
    store->put("alice", SnapshotSource([&](const auto& piece) {
                 for (size_t at = 0; at < all.size(); at += 1000) piece(all.subspan(at, 1000));
               }));
    CHECK(store->get("alice") == bytes);
    const SnapshotSource fails = [&](const auto& piece) {
      piece(all);
      throw Error("no more");
    };
    CHECK(failure([&] { store->put("alice", fails); }) == "no more");
    CHECK(store->generations("alice").size() == 1);
    CHECK(store->put("alice", bytes, 1) == 2);
  });
}

TEST_CASE("a store lists by name, newest generation first, with sizes and times") {
  for_each_store([](const Open& open) {
    CHECK(open()->list().empty());
    auto store = open();
    store->put("bob", blob(10, 1));
    store->put("alice", blob(20, 1));
    store->put("bob", blob(30, 2));
    const auto all = store->list();
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "alice");
    CHECK(all[0].size_bytes == 20);
    CHECK(all[1].name == "bob");
    CHECK(all[1].generation == 2);
    CHECK(all[1].size_bytes == 30);
    CHECK(all[2].generation == 1);
    CHECK(std::abs(all[0].saved_at - static_cast<int64_t>(::time(nullptr))) < 60);
  });
}

TEST_CASE("reading or removing what is not there is one sentence and creates nothing") {
  for_each_store([](const Open& open) {
    CHECK(contains(failure([&] { open()->get("alice"); }), "'alice'"));
    CHECK(contains(failure([&] { open()->remove("alice"); }), "'alice'"));
    CHECK(open()->list().empty());
  });
}

TEST_CASE("remove takes all generations of its name and no other") {
  for_each_store([](const Open& open) {
    auto store = open();
    for (const char* name : {"a", "a.1", "ab", "a-1"}) {
      store->put(name, blob(10, 1));
      store->put(name, blob(10, 2));
    }
    store->remove("a");
    CHECK(store->list().size() == 6);
    CHECK_THROWS_AS(store->get("a"), Error);
    CHECK(store->get("a.1") == blob(10, 2));
    CHECK(store->put("a", blob(10, 3)) >= 1);
    CHECK(store->get("a") == blob(10, 3));
  });
}

TEST_CASE(
    "names that climb out, are empty, too long or hold other characters are refused everywhere") {
  for_each_store([](const Open& open) {
    auto store = open();
    std::vector<std::string> names(std::begin(kBadNames), std::end(kBadNames));
    names.push_back(std::string(65, 'a'));
    names.push_back(std::string("a\0b", 3));
    for (const std::string& name : names) {
      CAPTURE(name);
      CHECK_THROWS_AS(store->put(name, blob(1, 1)), UsageError);
      CHECK_THROWS_AS(store->get(name), UsageError);
      CHECK_THROWS_AS(store->remove(name), UsageError);
      CHECK_THROWS_AS(store->lock(name), UsageError);
    }
    CHECK(store->list().empty());
    for (const std::string& name :
         {std::string(64, 'a'), std::string("..."), std::string("-.A_9")}) {
      store->put(name, blob(1, 1));
      CHECK(store->get(name) == blob(1, 1));
    }
  });
}

TEST_CASE("a second owner is refused and told who holds the session, until the first lets go") {
  for_each_store([](const Open& open) {
    auto lock = open()->lock("alice");
    const std::string message = failure([&] { open()->lock("alice"); });
    CHECK(contains(message, "process " + std::to_string(::getpid()) + " on "));
    CHECK(contains(message, "'alice'"));
    CHECK(open()->lock("bob") != nullptr);
    CHECK(in_child([&] { return failure([&] { open()->lock("alice"); }) == message ? 0 : 1; }) ==
          0);
    lock.reset();
    CHECK(open()->lock("alice") != nullptr);
    CHECK(open()->lock("alice") != nullptr);
  });
}

TEST_CASE("the owner of a lock may save, and a forked child that exits does not release it") {
  for_each_store([](const Open& open) {
    auto store = open();
    auto lock = store->lock("alice");
    CHECK(store->put("alice", blob(10, 1)) == 1);
    CHECK(in_child([&] {
            lock.reset();
            return 0;
          }) == 0);
    CHECK_FALSE(failure([&] { open()->lock("alice"); }).empty());
  });
}

TEST_CASE("a lock dies with its owner, killed or not") {
  for_each_store([](const Open& open) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto lock = open()->lock("alice");
      [[maybe_unused]] const ssize_t told = ::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK(contains(failure([&] { open()->lock("alice"); }), "process " + std::to_string(child)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(open()->lock("alice") != nullptr);
    ::close(ready[0]);
    ::close(ready[1]);
  });
}

TEST_CASE("of many processes that want one lock at once exactly one holds it at any time") {
  for_each_store([](const Open& open) {
    const testing::TemporaryFolder folder;
    const std::string witness = folder / "held";
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        for (int held = 0; held < 25;) {
          std::unique_ptr<StoreLock> lock;
          if (!failure([&] { lock = open()->lock("alice"); }).empty()) continue;
          const int file = ::open(witness.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
          if (file < 0) ::_exit(1);
          ::close(file);
          ::unlink(witness.c_str());
          ++held;
        }
        ::_exit(0);
      }
      children.push_back(child);
    }
    for (pid_t child : children) {
      int status = -1;
      ::waitpid(child, &status, 0);
      CHECK(status == 0);
    }
  });
}

TEST_CASE(
    "file store: folders are private, files are private, and a save leaves the snapshot alone") {
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "place") << "x";
  for (const std::string& place : {folder / "place", folder / "place/below"}) {
    auto store = file_store(place);
    CHECK(contains(failure([&] { store->put("alice", blob(1, 1)); }), place));
    CHECK(contains(failure([&] { store->lock("alice"); }), place));
    CHECK(contains(failure([&] { store->list(); }), place));
  }
}

TEST_CASE("file store: a save reads the folder once, the later ones of the same store not at all") {
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
  auto store = file_store(folder.path());
  store->put("alice", blob(10, 1), 0);
  auto other = file_store(folder.path());
  other->remove("alice");
  other->put("alice", blob(10, 9));
  CHECK(contains(failure([&] { store->put("alice", blob(10, 2), 1); }), "another program"));
  CHECK(other->get("alice") == blob(10, 9));
}

TEST_CASE("file store: a folder that anybody may write to is refused, a group's is told of once") {
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
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
  const testing::TemporaryFolder folder;
  const char odd[] = "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0PDMRUNS\n";
  Bytes bytes(24);
  std::memcpy(bytes.data(), odd, 24);
  for (int i = 0; i < 3; ++i) {
    file_store(folder / "place")->put("alice", bytes);
    CHECK(file_store(folder / "place")->get("alice") == bytes);
    bytes.insert(bytes.begin(), 24, std::byte{0});
  }
}

TEST_CASE("a damaged table of shared blocks is an error, whatever it says") {
  const testing::TemporaryFolder folder;
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
