// SPDX-License-Identifier: Apache-2.0

#include "core/base/write_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

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
