// SPDX-License-Identifier: Apache-2.0

// What every memory store promises (core/api/store.hpp). A store joins by being linked in: the
// cases run for each. What the `file` store promises beyond: file_store_test.cpp.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "tests/conformance/store_places.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

// Opens the store at the place of the test.
struct Open {
  std::function<std::unique_ptr<MemoryStore>(StoreRules)> with;
  std::unique_ptr<MemoryStore> operator()() const { return with({}); }
};

// Runs `check` for every store plugin, each in a place of its own that does not exist yet.
void for_each_store(const std::function<void(const Open&)>& check) {
  int stores = 0;
  for (const StaticPlugin& linked : linked_plugins()) {
    if (std::string_view(linked.kind) != "stores") continue;
    CAPTURE(linked.name);
    const TemporaryFolder folder;
    check({[&](StoreRules rules) {
      return open_store(plugin_of(linked), folder / "deep/place", rules);
    }});
    ++stores;
  }
  CHECK(stores > 0);
}

const char* const kBadNames[] = {"",    ".",   "..",          "../x", "a/b", "/etc/passwd",
                                 "a b", "a@1", "caf\xc3\xa9", "a\nb", "*"};

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

TEST_CASE("a second owner is refused, with the holder's name, until the first lets go") {
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
    const TemporaryFolder folder;
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
