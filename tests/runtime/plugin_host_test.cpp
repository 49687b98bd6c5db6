// SPDX-License-Identifier: Apache-2.0

// The plugin host, fed with the small libraries of tests/runtime/plugins.
#include "core/runtime/plugin_host.hpp"

#include <doctest/doctest.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "core/api/error.hpp"
#include "core/runtime/plugin_file.hpp"
#include "tests/runtime/plugin_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

PluginRecord record_of(const PluginHost& host, const std::string& origin) {
  host.load_all();
  for (const auto& record : host.records())
    if (record.origin == origin) return record;
  FAIL("no record of " << origin);
  return {};
}

// The first byte behind everything that the loader maps; tables of sections may follow.
uintmax_t end_of_segments(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  file.read(reinterpret_cast<char*>(segments.data()),
            static_cast<std::streamsize>(segments.size() * sizeof(Elf64_Phdr)));
  uintmax_t end = 0;
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD)
      end = std::max<uintmax_t>(end, segment.p_offset + segment.p_filesz);
  return end;
}

const void* linked_good_entry() {
  static const perdure_kernel kernel = [] {
    perdure_kernel k{};
    k.struct_size = sizeof k;
    k.name = "linked_f32_scalar";
    k.op = "linked";
    k.isa = "scalar";
    k.prepare = [](const perdure_node*, void*) -> int { return PERDURE_DECLINED; };
    k.divide = [](const perdure_call*, perdure_work*) {};
    k.run = [](const perdure_call*, int64_t, int64_t, void*) -> int { return PERDURE_OK; };
    return k;
  }();
  static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, &kernel};
  return &plugin;
}
const StaticPlugin kLinkedGood[] = {{"kernels", "good", linked_good_entry}};

std::string kernel_of(const PluginHost& host, const std::string& plugin) {
  for (const auto& set : host.kernel_sets())
    if (set.plugin == plugin) return set.kernels.front().name;
  return "none";
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a plugin in C and one in C++ load by explicit path") {
  const std::string paths[] = {copy("good_kernel"), copy("good_threads")};
  const PluginHost host({}, paths);
  CHECK(record_of(host, paths[0]).loaded);
  CHECK(record_of(host, paths[0]).kind == "kernels");
  CHECK(record_of(host, paths[0]).name == "good");
  CHECK(kernel_of(host, "good") == "test_op_f32_scalar");
  CHECK(host.threads("good").create(4)->max_participants() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an unsuitable library is refused before its code runs") {
  CHECK(holds(refusal(copy("wrong_abi")), "plugin ABI 2"));
  CHECK(holds(refusal(copy("wrong_build_id")),
              "'other-1 abi-1 libother-1 threads-0000', but this program's is '"));
  CHECK(holds(refusal(copy("needs_feature")), "this CPU or its operating system does not offer"));
  CHECK(holds(refusal(copy("two_plugins")), "states 2 plugins"));
  CHECK(holds(refusal(copy("not_a_plugin")), "does not state that it is a perdure plugin"));
  CHECK(holds(refusal(copy("unknown_kind")), "unknown kind 'samplers'"));
  CHECK(std::getenv("PERDURE_TEST_RAN") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "a library for another layout of the standard library is refused") {
  CHECK(holds(refusal(copy("old_strings")), "cxx11-0 threads-"));
  CHECK(holds(refusal(copy("debug_containers")), "-debug cxx11-1 threads-"));
  CHECK(refusal(copy("asserting")) == "loaded");
}

TEST_CASE("a change of one kind's interface refuses no plugin of another kind") {
  const auto hash = [](std::string_view id) { return std::string(id.substr(id.rfind('-') + 1)); };
  CHECK(hash(build_id_of("attention")) == PERDURE_API_HASH_attention);
  CHECK(hash(build_id_of("threads")) == PERDURE_API_HASH_threads);
  CHECK(hash(build_id_of("stores")) == PERDURE_API_HASH_stores);
  CHECK(build_id_of("kernels").empty());
}

TEST_CASE_FIXTURE(Fixture, "a library that cannot be used is refused with its reason") {
  CHECK(holds(refusal(copy("undefined_symbol")), "perdure_test_function_of_no_library"));
  CHECK(holds(refusal(copy("missing_entry")), "'perdure_entry_that_is_not_there'"));
  CHECK(holds(refusal(copy("returns_nothing")), "returned nothing"));
  CHECK(holds(refusal(copy("throws")), "no threads left in the shop"));
  CHECK(holds(refusal(copy("wrong_table")), "its kernel table has ABI 4"));
  CHECK(holds(refusal(copy("short_table")), "8 bytes"));
  CHECK(holds(refusal(copy("duplicate_names")),
              "two of its kernels are called 'test_op_f32_scalar'"));
  CHECK(holds(refusal(copy("empty_op")), "says no operation"));
}

TEST_CASE_FIXTURE(Fixture, "a file or folder that others may write to is refused") {
  const std::string file = copy("good_kernel");
  for (const auto& [who, bit] : {std::pair{"everybody", fs::perms::others_write},
                                 std::pair{"its group", fs::perms::group_write}}) {
    fs::permissions(file, bit, fs::perm_options::add);
    CHECK(holds(refusal(file), who + std::string(" may write to the file; run chmod go-w")));
    fs::permissions(file, bit, fs::perm_options::remove);
    CHECK(refusal(file) == "loaded");
  }
  const fs::path below = folder / "below";
  fs::create_directory(below);
  fs::permissions(below, fs::perms::owner_all);
  fs::rename(file, below / "good_kernel.so");
  for (const fs::path& place : {below, folder}) {
    fs::permissions(place, fs::perms::group_write, fs::perm_options::add);
    CHECK(holds(refusal(below / "good_kernel.so"),
                "its group may write to the folder " + place.string()));
    fs::permissions(place, fs::perms::sticky_bit, fs::perm_options::add);
    CHECK(refusal(below / "good_kernel.so") == "loaded");
    fs::permissions(place, fs::perms::owner_all);
  }
}

TEST_CASE_FIXTURE(Fixture, "a file or folder of another user is refused, one of root is not") {
  if (geteuid() != 0) {
    MESSAGE("skipped: only root can give a file away");
    return;
  }
  const std::string file = copy("good_kernel");
  constexpr uid_t kSomebody = 54321;
  REQUIRE(chown(file.c_str(), kSomebody, 0) == 0);
  CHECK(holds(refusal(file), "belongs to another user (number 54321)"));
  REQUIRE(chown(file.c_str(), 0, 0) == 0);
  REQUIRE(chown(folder.c_str(), kSomebody, 0) == 0);
  CHECK(holds(refusal(file), "the folder " + folder.string() + " belongs to another user"));
  REQUIRE(chown(folder.c_str(), 0, 0) == 0);
  CHECK(refusal(file) == "loaded");
}

TEST_CASE_FIXTURE(Fixture, "the file that was judged is the one that is loaded") {
  const std::string file = copy("good_kernel"), other = copy("good_threads");
  const std::string paths[] = {file};
  const PluginHost host({}, paths);
  fs::rename(other, file);
  CHECK(kernel_of(host, "good") == "test_op_f32_scalar");
}

TEST_CASE_FIXTURE(Fixture, "no code of a library runs before its plugin is requested") {
  const std::string paths[] = {copy("leaves_trace")};
  const PluginHost host({}, paths);
  CHECK_FALSE(host.records().front().loaded);
  CHECK(host.records().front().reason.empty());
  CHECK(std::ranges::count(host.names("threads"), "leaves_trace") == 1);
  host.kernel_sets();
  CHECK(std::getenv("PERDURE_TEST_RAN") == nullptr);
  host.threads("leaves_trace");
  CHECK(std::getenv("PERDURE_TEST_RAN") != nullptr);
  CHECK(host.records().front().loaded);
}

TEST_CASE_FIXTURE(Fixture,
                  "the next plugin of a name takes the place of one that cannot be loaded") {
  const Environment path("PERDURE_PLUGIN_PATH", copy("bad_good"));
  const PluginHost host(kLinkedGood, {});
  CHECK(host.records()[1].shadowed);
  CHECK(kernel_of(host, "good") == "linked_f32_scalar");
  CHECK(holds(host.records()[0].reason, "returned nothing"));
  CHECK(host.records()[1].loaded);
}

TEST_CASE_FIXTURE(Fixture,
                  "a library whose code ends the process is named, and the host continues") {
  const std::map<const char*, const char*> deaths{
      {"abort", "ended the process by signal 6"},
      {"crash", "ended the process by signal 11"},
      {"exit", "ended the process with exit status 0"},
      {"_exit", "ended the process with exit status 3"},
      {"entry exits", "ended the process with exit status 0"},
      {"static destructor", "ended the process by signal 6"},
      {"destructor exits", "ended the process with exit status 4"},
  };
  const std::string file = copy("deadly");
  for (const auto& [death, words] : deaths) {
    CAPTURE(death);
    const Environment environment("PERDURE_TEST_DEATH", death);
    CHECK(holds(refusal(file), words));
    fs::remove_all(folder / "cache");
  }
  CHECK(refusal(file) == "loaded");
}

TEST_CASE_FIXTURE(Fixture, "what a library does to a process is remembered until it changes") {
  const std::string file = copy("deadly");
  {
    const Environment environment("PERDURE_TEST_DEATH", "abort");
    CHECK(holds(refusal(file), "signal 6"));
  }
  CHECK(holds(refusal(file), "signal 6"));
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK(refusal(file) == "loaded");
  const Environment nowhere("XDG_CACHE_HOME", "/dev/null/cache");
  CHECK(refusal(file) == "loaded");
}

TEST_CASE_FIXTURE(Fixture, "an explicit path is tried again, whatever is remembered of it") {
  const std::string paths[] = {copy("deadly")};
  {
    const Environment environment("PERDURE_TEST_DEATH", "crash");
    const PluginHost host({}, paths);
    CHECK(holds(error_of([&] { host.threads("deadly"); }), "cannot load the plugin " + paths[0]));
    CHECK(holds(error_of([&] { host.threads("deadly"); }), "signal 11"));
  }
  CHECK(PluginHost({}, paths).threads("deadly").create(1)->max_participants() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a symbolic link does not hide that its target is open to everybody") {
  const std::string file = copy("good_kernel");
  fs::permissions(file, fs::perms::others_write, fs::perm_options::add);
  fs::create_directory(folder / "links");
  fs::permissions(folder / "links", fs::perms::owner_all);
  fs::create_symlink(file, folder / "links/good.so");
  CHECK(holds(refusal(folder / "links/good.so"), "everybody may write to the file"));
}

TEST_CASE_FIXTURE(Fixture, "what is not a library is refused") {
  CHECK(holds(refusal(folder / "absent.so"), "no such file"));
  REQUIRE(mkfifo((folder / "pipe.so").c_str(), 0600) == 0);
  CHECK(holds(refusal(folder / "pipe.so"), "not a regular file"));
  std::ofstream(folder / "text.so") << "hello";
  fs::permissions(folder / "text.so", fs::perms::owner_all);
  CHECK(holds(refusal(folder / "text.so"), "not a shared library"));
  std::ofstream(folder / "empty.so");
  fs::permissions(folder / "empty.so", fs::perms::owner_all);
  CHECK(holds(refusal(folder / "empty.so"), "not a shared library"));
}

TEST_CASE_FIXTURE(Fixture,
                  "a library that was cut short is refused instead of crashing the loader") {
  const std::string cut = copy("good_kernel", "cut");
  const uintmax_t end = end_of_segments(cut);
  REQUIRE(end > 1000);
  for (const uintmax_t size : {end - 1, end - 100, end / 2, uintmax_t{100}, uintmax_t{10}}) {
    fs::resize_file(cut, size);
    CHECK(holds(refusal(cut), size > 100 ? "the file is damaged" : ""));
    CHECK(refusal(cut) != "loaded");
  }
}

TEST_CASE_FIXTURE(Fixture, "an explicit plugin that is refused is an error") {
  const std::string bad[] = {copy("throws")};
  CHECK(holds(error_of([&] { PluginHost({}, bad).load_all(); }),
              "cannot load the plugin " + bad[0] + ": "));
  const std::string absent[] = {folder / "absent.so"};
  CHECK(holds(error_of([&] { PluginHost({}, absent); }), "no such file"));
  const std::string directory[] = {folder};
  CHECK(holds(error_of([&] { PluginHost({}, directory); }), "not a regular file"));
  const std::string twice[] = {copy("good_kernel"), copy("good_kernel", "same_name")};
  CHECK(holds(error_of([&] { PluginHost({}, twice); }), "shadowed"));
  const std::string again[] = {twice[0], twice[0]};
  CHECK(PluginHost({}, again).kernel_sets().front().plugin == "good");
}

TEST_CASE_FIXTURE(Fixture, "nothing is loaded from the current directory") {
  copy("good_kernel");
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  const std::string relative[] = {"good_kernel.so"};
  CHECK(holds(error_of([&] { PluginHost({}, relative); }), "absolute path"));
  for (const char* place : {"good_kernel.so", "./good_kernel.so", ".", "./"})
    CHECK(holds(refusal(place), "relative path"));
  const Environment empty("PERDURE_PLUGIN_PATH", "::");
  CHECK(kernel_of(PluginHost({}, {}), "good") == "none");
  fs::current_path(before);
}

TEST_CASE_FIXTURE(Fixture,
                  "what is asked for wins over what is built in, what lies in a folder does not") {
  const std::string file = copy("good_kernel");
  const std::string asked[] = {file};
  CHECK(kernel_of(PluginHost(kLinkedGood, asked), "good") == "test_op_f32_scalar");
  {
    const std::string missing = folder / "missing";
    const Environment environment("PERDURE_PLUGIN_PATH", missing + ":" + folder.string());
    const PluginHost host(kLinkedGood, {});
    CHECK(kernel_of(host, "good") == "test_op_f32_scalar");
    CHECK(holds(record_of(host, "built in").reason,
                "shadowed by the plugin of the same name that came first: " + file));
    CHECK_FALSE(record_of(host, missing).loaded);
    CHECK(host.kernel_sets().front().plugin == "good");
  }
  fs::create_directories(folder / "perdure");
  fs::permissions(folder / "perdure", fs::perms::owner_all);
  fs::create_directory(folder / "perdure/plugins");
  fs::permissions(folder / "perdure/plugins", fs::perms::owner_all);
  const std::string lying = folder / "perdure/plugins/good_kernel.so";
  fs::rename(file, lying);
  const Environment environment("XDG_DATA_HOME", folder);
  CHECK(kernel_of(PluginHost({}, {}), "good") == "test_op_f32_scalar");
  const PluginHost host(kLinkedGood, {});
  CHECK(kernel_of(host, "good") == "linked_f32_scalar");
  CHECK(holds(record_of(host, lying).reason,
              "shadowed by the plugin of the same name that came first: built in"));
}

TEST_CASE_FIXTURE(Fixture, "asking for a plugin that is not there says what is") {
  const std::string path = copy("throws");
  const Environment environment("PERDURE_PLUGIN_PATH", path + ":" + copy("good_threads"));
  const PluginHost host({}, {});
  CHECK(holds(error_of([&] { host.threads("god"); }), "did you mean 'good'?"));
  CHECK(holds(error_of([&] { host.threads("throws"); }), "(" + path + ") was refused: "));
  CHECK_THROWS_AS(host.store("none"), UsageError);
  CHECK_THROWS_AS(host.attention("none"), UsageError);
}
