// SPDX-License-Identifier: Apache-2.0

// perdure memory, and what becomes of memories that are damaged, foreign or in use.
#include <doctest/doctest.h>

#include "apps/perdure/chat/stored_session.hpp"
#include "core/base/json/json.hpp"
#include "core/runtime/plugin_host.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/apps/program.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const Words kModel = golden_words("memC_zero_unshared.q80.bin");

// A store with the session 's' in it: two generations.
struct Store {
  TemporaryFolder folder;
  std::string path = folder / "store";
  Words words = {"--set", "store.path=" + path};

  Store() {
    write("the sun");
    write(" and more");
  }
  Outcome write(const std::string& prompt, const Words& model = kModel,
                const std::string& name = "s") {
    return run_perdure(Words{"generate", "--session", name, "-p", prompt, "-n", "2"} + model +
                       words);
  }
  Outcome memory(const Words& more) { return run_perdure(Words{"memory"} + more + words); }
  Json::List list() {
    const Json stored = Json::parse(memory({"list", "--json"}).out, "out");
    return stored.list();
  }
};

// Turns one byte in the middle of a file.
void damage(const std::string& path) {
  std::string bytes = read_all(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x40);
  write_all(path, bytes);
}

}  // namespace

TEST_CASE("a file that is no session is named as what it is when it is imported") {
  Store store;
  const std::string path = store.folder / "s.session";
  const std::pair<const char*, const char*> files[] = {
      {"version https://git-lfs.github.com/spec/v1\n", "this is a Git LFS pointer, not the file"},
      {"GGUF\x03",
       "this is a GGUF model, not a stored session; name a file that perdure memory "
       "export wrote"},
      {"Once upon a time", "this is a text file, not a stored session"},
      {"", "the file is empty"}};
  for (const auto& [bytes, sentence] : files) {
    CAPTURE(sentence);
    write_all(path, bytes);
    for (const Words& legacy : {Words{}, Words{"--legacy"} + kModel}) {
      if (*bytes == '\0' && !legacy.empty()) continue;  // is told by its size
      const Outcome outcome = store.memory(Words{"import", path, "t"} + legacy);
      CHECK(outcome.status == 1);
      CHECK(outcome.err.find(path + ": " + sentence) != std::string::npos);
    }
  }
}

TEST_CASE("list, inspect and verify say what the store keeps") {
  Store store;
  const Json::List list = store.list();
  REQUIRE(list.size() == 2);
  CHECK(list[0].at("generation").integer() == 2);
  CHECK(list[1].at("generation").integer() == 1);
  CHECK(store.memory({"verify"}).out == "s generation 2: ok\ns generation 1: ok\n");
  const Json newest = Json::parse(store.memory({"inspect", "s", "--json"}).out, "out");
  const Json before =
      Json::parse(store.memory({"inspect", "s", "--json", "--generation", "1"}).out, "out");
  CHECK(newest.at("position").integer() > before.at("position").integer());
  const Outcome text = store.memory({"inspect", "s"});
  CHECK(text.out.find("blk.0.mem_raw") != std::string::npos);
  CHECK(text.out.find("strategy: memory") != std::string::npos);
}

TEST_CASE("inspect shows options in the words of a configuration, not by signs") {
  Store store;
  const Words full = golden_words("llama.v0.bin") +
                     Words{"--set", "attention={strategy: full, log_n: true, distances: clamped}"};
  CHECK(store.write("the sun", full, "f").status == 0);
  const std::string text = store.memory({"inspect", "f"}).out;
  CAPTURE(text);
  CHECK(text.find(" log_n: true\n") != std::string::npos);
  CHECK(text.find(" rope_theta: auto\n") != std::string::npos);
  CHECK(text.find("rope_theta: 0") == std::string::npos);
  CHECK(text.find(" norm eps: 1e-05\n") != std::string::npos);
  CHECK(text.find("near") == std::string::npos);
  CHECK(text.find(" eval_length: none\n") != std::string::npos);
  CHECK(text.find("\n    max_bytes: none\n") != std::string::npos);
  CHECK(text.find("factor: 0.0") == std::string::npos);
  CHECK(text.find("state:\n    max_bytes: auto\n") != std::string::npos);
  // What is compared stays as it is stored.
  const Json json = Json::parse(store.memory({"inspect", "f", "--json"}).out, "out");
  CHECK(json.at("identity").text().find(" rope_theta: 0\n") != std::string::npos);
  const Outcome other = store.write(
      " x", golden_words("llama.v0.bin") + Words{"--set", "attention.rope_theta=500"}, "f");
  CHECK(other.err.find("rope_theta 'auto' (here '500')") != std::string::npos);
}

TEST_CASE("inspect shows the values that a session remembers") {
  Store store;
  const Outcome text = store.memory({"inspect", "s"});
  CHECK(text.out.find("\nvalues\n  generate.next: ") != std::string::npos);
  const Json json = Json::parse(store.memory({"inspect", "s", "--json"}).out, "out");
  CHECK(text.out.find(json.at("values").at("generate.next").text()) != std::string::npos);
}

TEST_CASE("log lists the generations of one memory, and restore makes an old one the newest") {
  Store store;
  const Json log = Json::parse(store.memory({"log", "s", "--json"}).out, "out");
  REQUIRE(log.list().size() == 2);
  const int64_t older = log.list()[1].at("position").integer();
  CHECK(log.list()[0].at("position").integer() > older);
  CHECK(store.memory({"log", "none"}).status == 1);
  CHECK(store.memory({"restore", "s@7"}).status == 1);
  CHECK(store.memory({"restore", "s"}).status == 2);
  CHECK(store.memory({"restore", "s@1"}).status == 0);
  const Json after_log = Json::parse(store.memory({"log", "s", "--json"}).out, "out");
  const Json::List after = after_log.list();
  CHECK(after[0].at("generation").integer() == 3);
  CHECK(after[0].at("position").integer() == older);
  CHECK(store.write(" and on").status == 0);
}

TEST_CASE("store.keep keeps generations, and prune deletes what it does not keep when asked") {
  Store store;
  store.words = store.words + Words{"--set", "store.keep=4"};
  for (int i = 0; i < 4; ++i) store.write(" x");
  CHECK(store.list().size() == 4);
  const auto prune = [&](const Words& more) {
    return run_perdure(Words{"memory", "prune"} + more + store.words +
                       Words{"--set", "store.keep=2"});
  };
  const Outcome dry = prune({"--dry-run"});
  CHECK(dry.status == 0);
  CHECK(dry.out.starts_with("s@"));
  CHECK(dry.err.find("would delete 2 generations") != std::string::npos);
  CHECK(store.list().size() == 4);
  const Outcome absent = prune({"other"});
  CHECK(absent.status == 1);
  CHECK(absent.err.find("there is no session 'other'") != std::string::npos);
  CHECK(prune({}).out == dry.out);
  const Json::List left = store.list();
  REQUIRE(left.size() == 2);
  CHECK(left[0].at("generation").integer() == 6);
  CHECK(left[1].at("generation").integer() == 5);
  const Outcome one = prune({"--set", "store.max_bytes=1"});
  CHECK(one.status == 0);
  CHECK(one.err.find("deleted 1 generation, ") != std::string::npos);
  CHECK(store.list().size() == 1);  // the newest stays
  CHECK(store.memory({"verify"}).out == "s generation 6: ok\n");
}

TEST_CASE("prune deletes until the store is small enough, though generations share their bytes") {
  const TemporaryFolder folder;
  const Words words = {"--set", "store.path=" + (folder / "store"), "--set", "store.keep=9"};
  const PluginHost plugins(linked_plugins(), {});
  const auto store = app::open_store(
      load_settings("", {"store.path=" + (folder / "store"), "store.keep=9"}), plugins);
  constexpr size_t kBlock = size_t{1} << 20;
  std::vector<std::byte> bytes(3 * kBlock, std::byte{1});
  for (int i = 1; i <= 3; ++i) {
    bytes.resize(bytes.size() + kBlock / 2, static_cast<std::byte>(i));
    store->put("s", bytes);
  }
  const auto prune = [&](const Words& more) {
    return run_perdure(Words{"memory", "prune", "--set", "store.max_bytes=4300000"} + more + words);
  };
  CHECK(prune({"--dry-run"}).err.find("would delete 1 generation,") != std::string::npos);
  CHECK(store->list().size() == 3);
  const Outcome outcome = prune({});
  CHECK(outcome.err.find("deleted 2 generations,") != std::string::npos);
  REQUIRE(store->list().size() == 1);
  CHECK(store->get("s") == bytes);
}

TEST_CASE("a store that is full by store.max_bytes refuses a save and keeps what it has") {
  Store store;
  store.words = store.words + Words{"--set", "store.max_bytes=1000"};
  const Outcome outcome = store.write(" x");
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("store.max_bytes, 1000 bytes") != std::string::npos);
  CHECK(store.list().size() == 2);
}

TEST_CASE("an unknown key of the store is named, its own options are checked") {
  Store store;
  CHECK(store.memory({"list", "--set", "store.durabilty=relaxed"})
            .err.find("did you mean 'durability'?") != std::string::npos);
  CHECK(store.memory({"list", "--set", "store.durability=lax"}).status == 2);
  CHECK(store.memory({"list", "--set", "store.durability=relaxed"}).status == 0);
}

TEST_CASE("a memory that another program saves meanwhile is not overwritten") {
  Store store;
  Terminal chat(Words{"chat", "--session", "s"} + kModel + store.words, store.folder / "state");
  REQUIRE(chat.shows("User: "));
  std::filesystem::remove(store.path + "/s@lock");  // a file system without locks
  CHECK(store.write(" from elsewhere").status == 0);
  const std::string bytes = read_all(store.path + "/s@3");
  chat.type("hello\n");
  CHECK(chat.shows("another program has saved generation 3 meanwhile"));
  REQUIRE(chat.shows("User: "));
  chat.type("/quit\n");
  CHECK(chat.wait() == 1);
  CHECK(read_all(store.path + "/s@3") == bytes);
  CHECK_FALSE(std::filesystem::exists(store.path + "/s@4"));
}

TEST_CASE("verify beside a program that saves all the time finds no damage") {
  Store store;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "tell me one more. ";
  write_all(store.folder / "book.txt", text);
  Running busy(Words{"chat", "--session", "s", "-f", store.folder / "book.txt"} + kModel +
               store.words + Words{"--set", "store.save_every_tokens=1"});
  for (int i = 0; i < 20; ++i) {
    const Outcome outcome = store.memory({"verify"});
    CHECK(outcome.err.empty());
    CHECK(outcome.status == 0);
  }
  CHECK_FALSE(busy.has_ended());
}

TEST_CASE("a store that cannot be written can be read with store.save_every: never") {
  Store store;
  namespace fs = std::filesystem;
  for (const auto& entry : fs::directory_iterator(store.path))
    fs::permissions(entry.path(), fs::perms(0444));
  fs::permissions(store.folder.path(), fs::perms(0755));
  fs::permissions(store.path, fs::perms(0555));
  const Words words =
      Words{"generate", "--session", "s", "-p", " x", "-n", "2"} + kModel + store.words;
  const Outcome refused = run_perdure(words, {.as_nobody = true});
  if (refused.status == 127) return;  // the program is where others may not look
  CHECK(refused.status == 1);
  CHECK(refused.err.find("store.save_every: never") != std::string::npos);
  const Outcome read =
      run_perdure(words + Words{"--set", "store.save_every=never"}, {.as_nobody = true});
  CHECK(read.status == 0);
  CHECK(read.out.starts_with(" x"));
  std::filesystem::permissions(store.path, std::filesystem::perms(0700));
  CHECK(store.list().size() == 2);
}

TEST_CASE("an export says what it carries, and --strip leaves that out") {
  Store store;
  const std::string full = store.folder / "full", bare = store.folder / "bare";
  const Outcome outcome = store.memory({"export", "s", full});
  CHECK(outcome.err.find("absolute paths and the system prompt") != std::string::npos);
  CHECK(read_all(full).find(store.path) != std::string::npos);
  const Outcome stripped = store.memory({"export", "s", bare, "--strip"});
  CHECK(stripped.err.find("absolute paths") == std::string::npos);
  CHECK(read_all(bare).find(store.path) == std::string::npos);
  REQUIRE(store.memory({"import", bare, "bare"}).status == 0);
  CHECK(store.write(" more").out == store.write(" more", kModel, "bare").out);
}

TEST_CASE("a stripped export has lost the words of the system prompt, and a full one has not") {
  Store store;
  const std::string full = store.folder / "full", bare = store.folder / "bare";
  const Words told =
      Words{"chat", "--session", "c", "-n", "1", "--set", "chat.system=sing of the sea"} + kModel +
      store.words;
  REQUIRE(run_perdure(told, {.input = "hi\n"}).status == 0);
  REQUIRE(store.memory({"export", "c", full}).status == 0);
  REQUIRE(store.memory({"export", "c", bare, "--strip"}).status == 0);
  CHECK(read_all(full).find("sing of the sea") != std::string::npos);
  CHECK(read_all(bare).find("sing of the sea") == std::string::npos);
}

TEST_CASE("an empty store is no error") {
  const TemporaryFolder folder;
  const Words words = {"--set", "store.path=" + (folder / "none")};
  const Outcome outcome = run_perdure(Words{"memory", "list"} + words);
  CHECK(outcome.status == 0);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.find("no sessions in") != std::string::npos);
  CHECK(run_perdure(Words{"memory", "inspect", "x"} + words).status == 1);
  CHECK(run_perdure(Words{"memory", "remove", "x"} + words).status == 1);
  CHECK(run_perdure(Words{"memory", "verify", "x"} + words).status == 1);
}

TEST_CASE("an exported session is imported elsewhere and continues alike") {
  Store store, other;
  const std::string file = store.folder / "s.memory";
  REQUIRE(store.memory({"export", "s", file}).status == 0);
  REQUIRE(other.memory({"import", file, "moved"}).status == 0);
  CHECK(store.write(" again").out == other.write(" again", kModel, "moved").out);
}

TEST_CASE("export and import replace nothing that exists without --force") {
  Store store;
  const std::string file = store.folder / "s.memory";
  REQUIRE(store.memory({"export", "s", file}).status == 0);
  const std::string bytes = read_all(file);
  CHECK(store.memory({"export", "s", file}).err ==
        "perdure: " + file + " exists; choose another name, or replace it with --force\n");
  CHECK(read_all(file) == bytes);
  write_all(file, "old");
  CHECK(store.memory({"export", "s", file, "--force"}).status == 0);
  CHECK(read_all(file) == bytes);
  CHECK(store.memory({"import", file, "s"}).err ==
        "perdure: session 's' exists; remove it or choose another name\n");
  CHECK(store.list().size() == 2);
}

TEST_CASE("import refuses what is no memory, and stores nothing") {
  Store store;
  const std::string file = store.folder / "s.memory";
  REQUIRE(store.memory({"export", "s", file}).status == 0);
  damage(file);
  const Outcome damaged = store.memory({"import", file, "x"});
  CHECK(damaged.status == 1);
  CHECK(damaged.err.starts_with("perdure: " + file + ": "));
  write_all(file, "no memory");
  CHECK(store.memory({"import", file, "x"}).status == 1);
  CHECK(store.memory({"import", file + ".none", "x"}).status == 1);
  CHECK(store.list().size() == 2);
}

TEST_CASE("the raw files of llama2Rnn's C program go in and out") {
  Store store;
  const std::string raw = store.folder / "raw.bin", again = store.folder / "again.bin";
  REQUIRE(store.memory(Words{"export", "s", raw, "--legacy"} + kModel).status == 0);
  REQUIRE(store.memory(Words{"import", raw, "r", "--legacy"} + kModel).status == 0);
  REQUIRE(store.memory(Words{"export", "r", again, "--legacy"} + kModel).status == 0);
  CHECK(read_all(again) == read_all(raw));
  write_all(raw, read_all(raw) + "x");
  const Outcome outcome = store.memory(Words{"import", raw, "bad", "--legacy"} + kModel);
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find(raw) != std::string::npos);
}

TEST_CASE("remove deletes all generations of one memory") {
  Store store;
  store.write("other", kModel, "t");
  CHECK(store.memory({"remove", "s"}).status == 0);
  const Json::List list = store.list();
  REQUIRE(list.size() == 1);
  CHECK(list[0].at("name").text() == "t");
}

TEST_CASE("an unreadable memory is named, refused and never overwritten") {
  Store store;
  damage(store.path + "/s@2");
  const std::string bytes = read_all(store.path + "/s@2");
  for (const Words& words : {Words{"generate", "--session", "s", "-p", "x", "-n", "1"},
                             Words{"chat", "--session", "s"}}) {
    const Outcome outcome = run_perdure(words + kModel + store.words);
    CHECK(outcome.status == 1);
    CHECK(outcome.err.starts_with("perdure: session 's' (generation 2, in " + store.path +
                                  ") cannot be used and is left unchanged: "));
    CHECK(outcome.err.find("`perdure memory restore s@1`") != std::string::npos);
  }
  CHECK(read_all(store.path + "/s@2") == bytes);
  CHECK(store.list().size() == 2);
  const Outcome verify = store.memory({"verify"});
  CHECK(verify.status == 1);
  CHECK(verify.out.find("s generation 1: ok\n") != std::string::npos);
  CHECK(verify.err == "perdure: 1 of 2 stored generations cannot be read; nothing was changed\n");
  CHECK(store.memory({"export", "s", store.folder / "out"}).status == 1);
  CHECK(store.memory({"export", "s", store.folder / "out", "--generation", "1"}).status == 0);
}

TEST_CASE("a memory of another model or strategy is refused and stays") {
  Store store;
  for (const Words& model :
       {golden_words("llama.v0.bin"), kModel + Words{"--set", "attention.update=never"}}) {
    const Outcome outcome = store.write("x", model);
    CHECK(outcome.status == 1);
    CHECK(outcome.err.find("belongs to another model or configuration") != std::string::npos);
    CHECK(outcome.err.ends_with("; choose another name with --session\n"));
  }
  CHECK(store.list().size() == 2);
  CHECK(store.write(" and on").status == 0);
}

TEST_CASE("a session in use is refused and its holder is named") {
  Store store;
  const PluginHost plugins(linked_plugins(), {});
  const Settings settings = load_settings("", {"store.path=" + store.path});
  const auto lock = app::open_store(settings, plugins)->lock("s");
  const std::string holder = "process " + std::to_string(getpid());
  for (const Words& words : {Words{"generate", "--session", "s", "-p", "x", "-n", "1"},
                             Words{"chat", "--session", "s"}}) {
    const Outcome outcome = run_perdure(words + kModel + store.words);
    CHECK(outcome.status == 1);
    CHECK(outcome.err.find(holder) != std::string::npos);
  }
  CHECK(store.memory({"remove", "s"}).status == 1);
  CHECK(store.list().size() == 2);
}

TEST_CASE("a session name is shown with control characters as their codes") {
  Store store;
  CHECK(
      store.memory({"inspect", "a\n\x1b[2J"}).err.find("'a\\x0a\\x1b[2J' is not a session name") !=
      std::string::npos);
}

TEST_CASE("names that climb out of the store are refused") {
  Store store;
  for (const char* name : {"../s", "a/b", "..", ".", "", "a b", "a\x1b"}) {
    CAPTURE(name);
    const Outcome outcome = store.write("x", kModel, name);
    CHECK(outcome.status == 2);
    CHECK(outcome.err.find("is not a session name") != std::string::npos);
    CHECK(store.memory({"inspect", name}).status == 2);
    CHECK(store.memory({"remove", name}).status == 2);
  }
}

TEST_CASE("a disk that fills while saving is one sentence, and the memory before is kept") {
  Store store;
  const std::string bytes = read_all(store.path + "/s@2");
  const Outcome outcome =
      run_perdure(Words{"generate", "--session", "s", "-p", " x", "-n", "2"} + kModel + store.words,
                  {.most_file_bytes = 8192});
  CHECK(outcome.status == 1);
  CHECK(outcome.out.starts_with(" x"));
  CHECK(outcome.err.find("cannot save session 's'") != std::string::npos);
  CHECK(read_all(store.path + "/s@2") == bytes);
  CHECK(store.memory({"verify"}).status == 0);
}

TEST_CASE("a store in a place that cannot be is one sentence") {
  const TemporaryFolder folder;
  write_all(folder / "file", "");
  const Outcome outcome = run_perdure(Words{"generate", "--session", "s", "-p", "x"} + kModel +
                                      Words{"--set", "store.path=" + (folder / "file") + "/store"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("Not a directory") != std::string::npos);
}

TEST_CASE("export, import and remove say with --json what they did") {
  Store store;
  const std::string file = store.folder / "s.mem";
  const Json exported = Json::parse(store.memory({"export", "s", file, "--json"}).out, "out");
  CHECK(exported.at("name").text() == "s");
  CHECK(exported.at("file").text() == file);
  CHECK(exported.at("bytes").integer() == static_cast<int64_t>(read_all(file).size()));
  const Json imported = Json::parse(store.memory({"import", file, "t", "--json"}).out, "out");
  CHECK(imported.at("name").text() == "t");
  CHECK(imported.at("generation").integer() == 1);
  CHECK(imported.at("position").integer() > 0);
  const Json removed = Json::parse(store.memory({"remove", "s", "--json"}).out, "out");
  CHECK(removed.at("generations_removed").integer() == 2);
  CHECK(store.list().size() == 1);
}
