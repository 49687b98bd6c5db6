// SPDX-License-Identifier: Apache-2.0

// core/base: buffers, mapped files, checked sizes, hashes, CPU features.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "core/api/error.hpp"
#include "core/api/types.h"
#include "core/base/buffer.hpp"
#include "core/base/checked.hpp"
#include "core/base/cpu.hpp"
#include "core/base/hash.hpp"
#include "core/base/mapped_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace perdure;

namespace {

// A file that goes away with the test.
struct TemporaryFile {
  fs::path path;
  explicit TemporaryFile(const std::string& content) {
    static int counter = 0;
    path = fs::temp_directory_path() /
           ("perdure_base_" + std::to_string(getpid()) + "_" + std::to_string(counter++));
    std::ofstream(path, std::ios::binary) << content;
  }
  ~TemporaryFile() { fs::remove(path); }
};

bool all_zero(const std::byte* data, size_t size) {
  for (size_t i = 0; i < size; ++i)
    if (data[i] != std::byte{0}) return false;
  return true;
}

}  // namespace

TEST_CASE("a buffer is zeroed, aligned to 64 bytes and exactly as long as asked for") {
  for (const size_t size : {size_t{1001}, size_t{3000001}}) {
    Buffer buffer(size);
    CHECK(buffer.size() == size);
    CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(all_zero(buffer.data(), buffer.size()));
    buffer.data()[size - 1] = std::byte{1};
  }
}

TEST_CASE("moving a buffer keeps its address and empties the source") {
  Buffer a(64);
  const std::byte* address = a.data();
  Buffer b(std::move(a));
  CHECK(b.data() == address);
  CHECK(a.data() == nullptr);
  Buffer c;
  c = std::move(b);
  CHECK(c.data() == address);
  CHECK(Buffer(0).data() == nullptr);
}

TEST_CASE("a buffer that no machine can hold is an error with its size, not a crash") {
  const size_t huge = std::numeric_limits<size_t>::max() - 10;
  CHECK_THROWS_WITH_AS(Buffer{huge}, doctest::Contains(std::to_string(huge).c_str()), Error);
}

TEST_CASE("a reserved buffer grows in place and fresh memory reads as zero") {
  for (const bool promised : {true, false}) {
    ReservedBuffer buffer(size_t{1} << 40, promised);
    const std::byte* address = buffer.data();
    buffer.commit(0, 10);
    CHECK(all_zero(buffer.data(), 10));
    buffer.data()[9] = std::byte{7};
    const size_t far = size_t{1} << 39, size = size_t{16} << 20;
    buffer.commit(far, size);
    CHECK(all_zero(buffer.data() + far, size));
    buffer.commit(0, 1 << 20);
    CHECK(buffer.data() == address);
    CHECK(buffer.data()[9] == std::byte{7});
    CHECK(all_zero(buffer.data() + 10, (1 << 20) - 10));
  }
}

TEST_CASE("memory that a reserved buffer has given back reads as zero") {
  ReservedBuffer buffer(size_t{1} << 20);
  buffer.commit(0, size_t{1} << 20);
  std::fill_n(buffer.data(), size_t{1} << 20, std::byte{7});
  buffer.release(1 << 16, 1 << 16);
  CHECK(buffer.data()[(1 << 16) - 1] == std::byte{7});
  CHECK(all_zero(buffer.data() + (1 << 16), 1 << 16));
  CHECK(buffer.data()[1 << 17] == std::byte{7});
}

TEST_CASE("whole pages are given back, and not a byte beside them") {
  std::vector<std::byte> bytes(size_t{1} << 20, std::byte{7});
  release_pages(std::span(bytes).subspan(100, bytes.size() - 200));
  CHECK(bytes[99] == std::byte{7});
  CHECK(bytes[bytes.size() - 100] == std::byte{7});
  CHECK(all_zero(bytes.data() + (1 << 17), 1 << 19));
  std::ranges::fill(bytes, std::byte{7});
  for (size_t size = 0; size < 4096; ++size) release_pages(std::span(bytes).subspan(1, size));
  CHECK(std::ranges::count(bytes, std::byte{7}) == 1 << 20);
}

TEST_CASE("memory is what the control groups leave, of version 2 and 1, the least of all above") {
  const testing::TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::filesystem::path file = folder.path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  };
  const auto limit = [&](const std::string& groups) {
    write("cgroup", groups);
    return control_group_bytes((folder.path() / "cgroup").string(), folder.path().string());
  };
  write("a/memory.max", "3000000\n");
  write("a/b/memory.max", "max\n");
  write("memory/c/memory.limit_in_bytes", "2000000\n");
  write("memory/c/d/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(limit("0::/a/b\n") == 3'000'000);
  CHECK(limit("0::/elsewhere\n") == INT64_MAX);
  CHECK(limit("4:cpu,memory:/c/d\n0::/\n") == 2'000'000);
  CHECK(limit("4:cpu:/c/d\nnonsense\n") == INT64_MAX);
  write("memory.max", "1000000\n");  // inside a container
  CHECK(limit("0::/a/b\n") == 1'000'000);
  CHECK(limit("0::/\n") == 1'000'000);
  CHECK(control_group_bytes("/nowhere", "/nowhere") == INT64_MAX);
  CHECK(physical_memory_bytes() > 0);
}

TEST_CASE("a reserved buffer over its capacity is an error that changes nothing") {
  ReservedBuffer buffer(4096);
  buffer.commit(0, 100);
  CHECK_THROWS_AS(buffer.commit(0, buffer.capacity() + 1), Error);
  CHECK_THROWS_AS(buffer.commit(buffer.capacity(), 1), Error);
  CHECK_THROWS_AS(buffer.commit(4096, std::numeric_limits<size_t>::max()), Error);
  const std::byte* address = buffer.data();
  ReservedBuffer moved(std::move(buffer));
  CHECK(moved.data() == address);
  CHECK(buffer.data() == nullptr);
  CHECK_THROWS_AS(ReservedBuffer{std::numeric_limits<size_t>::max() / 2}, Error);
}

TEST_CASE("a mapped file shows the bytes of the file") {
  const TemporaryFile file("hello\0world");
  const MappedFile mapped(file.path.string());
  CHECK(mapped.bytes().size() == fs::file_size(file.path));
  CHECK(static_cast<char>(mapped.bytes()[1]) == 'e');
  CHECK(mapped.path() == file.path.string());
}

TEST_CASE("an empty file maps to an empty span") {
  const TemporaryFile file("");
  CHECK(MappedFile(file.path.string()).bytes().empty());
}

TEST_CASE("what cannot be mapped is an error that names the path and the reason") {
  const std::string missing = (fs::temp_directory_path() / "perdure_no_such_file").string();
  CHECK_THROWS_WITH_AS(MappedFile{missing},
                       ("cannot read " + missing + ": No such file or directory").c_str(), Error);
  const std::string folder = fs::temp_directory_path().string();
  CHECK_THROWS_WITH_AS(MappedFile{folder}, doctest::Contains("directory"), Error);
  CHECK_THROWS_WITH_AS(MappedFile{"/dev/null"}, doctest::Contains("not a regular file"), Error);
}

TEST_CASE("sizes that overflow or are negative are refused by name") {
  const int64_t most = std::numeric_limits<int64_t>::max();
  CHECK(checked_mul(6, 7, "x") == 42);
  CHECK(checked_add(most - 1, 1, "x") == most);
  CHECK_THROWS_WITH_AS(checked_mul(most, 2, "the table"), "the table is too large", Error);
  CHECK_THROWS_AS(checked_add(most, 1, "x"), Error);
  CHECK_THROWS_AS(checked_mul(-1, -1, "x"), Error);
}

TEST_CASE("hashes are XXH3 and do not depend on how the bytes were cut") {
  CHECK(hash64(std::string_view{}) ==
        0x2D06800538D394C2u);  // the published value of XXH3_64bits("")
  const std::string text = "to last, to go on existing";
  CHECK(hash64(text) == hash64(std::as_bytes(std::span(text))));
  Hasher whole, parts;
  CHECK(whole.hex() ==
        "99aa06d3014798d86001c324468d497f");  // the published value of XXH3_128bits("")
  whole.add(text);
  parts.add(std::string_view(text).substr(0, 3));
  parts.add(std::as_bytes(std::span(text).subspan(3)));
  CHECK(whole.hex() == parts.hex());
  CHECK(whole.hex().size() == 32);
}

TEST_CASE("CPU features have names and AVX-512 extensions imply AVX-512") {
  CHECK(cpu_feature_names(0).empty());
  CHECK(cpu_feature_names(PERDURE_CPU_AVX2 | PERDURE_CPU_FMA) == "avx2, fma");
  const uint64_t bits = cpu_features();
  if (bits & (PERDURE_CPU_AVX512_VNNI | PERDURE_CPU_AVX512_BF16))
    CHECK((bits & PERDURE_CPU_AVX512) != 0);
}
