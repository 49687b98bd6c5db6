// SPDX-License-Identifier: Apache-2.0

#include "core/base/write_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include "core/api/error.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("a written file holds exactly the bytes, is private, and replaces what was there") {
  const testing::TemporaryFolder folder;
  for (const std::string& text :
       {std::string("first, and longer"), std::string("second"), std::string()}) {
    write(folder / "file", text);
    CHECK(contents(folder / "file") == text);
  }
  struct stat status;
  REQUIRE(::stat((folder / "file").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a file that cannot be written is named, and nothing is left beside it") {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "taken");
  std::ofstream(folder / "taken/inside") << "x";
  CHECK_THROWS_WITH_AS(write(folder / "taken", "text"),
                       doctest::Contains((folder / "taken").c_str()), Error);
  CHECK_THROWS_AS(write(folder / "missing/file", "text"), Error);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
    ++entries;
  CHECK(entries == 1);
}

TEST_CASE("a new file keeps its hands off what appears in its place meanwhile") {
  const testing::TemporaryFolder folder;
  NewFile file(folder / "file", {.replace = false});
  file.write(std::as_bytes(std::span("mine")));
  std::ofstream(folder / "file") << "theirs";
  CHECK_THROWS_WITH_AS(file.commit(), doctest::Contains("exists"), Error);
  CHECK(contents(folder / "file") == "theirs");
  CHECK_THROWS_AS(NewFile(folder / "file", {.replace = false}), Error);
}

TEST_CASE("a link in the place of a file is replaced, what it leads to is not") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "precious") << "precious";
  std::filesystem::create_symlink(folder / "precious", folder / "file");
  write(folder / "file", "text");
  CHECK(contents(folder / "precious") == "precious");
  CHECK(contents(folder / "file") == "text");
  CHECK_FALSE(std::filesystem::is_symlink(folder / "file"));
}

TEST_CASE("the name of a temporary cannot be foretold, and without a commit nothing is left") {
  const testing::TemporaryFolder folder;
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    const NewFile file(folder / "file");
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      names.insert(entry.path().filename());
  }
  CHECK(names.size() == 20);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file for everybody is as readable as the umask allows") {
  const testing::TemporaryFolder folder;
  const mode_t before = ::umask(022);
  write_file(folder / "file", {}, {.mode = 0666});
  ::umask(before);
  struct stat status;
  REQUIRE(::stat((folder / "file").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("what does not read back as it was written is refused, and nothing is left") {
  const testing::TemporaryFolder folder;
  const std::string text = "weights";
  {
    NewFile file(folder / "file");
    file.write(std::as_bytes(std::span(text)));
    file.verify();
    std::ofstream(file.unfinished_path()) << "weighty";
    CHECK_THROWS_WITH_AS(file.verify(), doctest::Contains("does not read back the same"), Error);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}
