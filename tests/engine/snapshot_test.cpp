// SPDX-License-Identifier: Apache-2.0

// The bytes of snapshots: what is written comes back, and nothing that was damaged in any way is
// accepted.
#include "core/engine/snapshot.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"

using namespace perdure;

namespace {

using Bytes = std::vector<std::byte>;

SnapshotContents sample(int64_t rows) {
  SnapshotContents contents;
  contents.identity = "model: 0123456789abcdef\nstrategy: memory 1\nupdate: segment\n";
  contents.notes = {{"kernels", "scalar"}, {"saved", "2026-01-01"}};
  contents.values = {{"engine.start", int64_t{-3}}, {"documents", std::string("a.txt\n\0b", 8)}};
  contents.position = (int64_t{1} << 40) + 7;
  contents.random_state = 0xfedcba9876543210u;
  contents.tail = {1, 5, -1, 95};
  contents.tensors = {{"blk.0.attn_k", rows, 16, {}, PERDURE_F32, 0, {}, 7, 16},
                      {"blk.0.empty", 0, 16, {}, PERDURE_F32, 0, {}, 7, 2},
                      {"blk.0.mem_raw", 3, 2, {}}};
  for (auto& tensor : contents.tensors) {
    std::mt19937 random(1);
    for (int64_t i = 0; i < tensor.rows * tensor.columns; ++i) {
      tensor.values.push_back(static_cast<float>(static_cast<int32_t>(random())) / 1024.0f);
    }
  }
  contents.tensors.back().values[0] = std::numeric_limits<float>::quiet_NaN();
  contents.tensors.back().values[1] = -0.0f;
  return contents;
}

void check_equal(const SnapshotContents& a, const SnapshotContents& b) {
  CHECK(a.identity == b.identity);
  CHECK(a.notes == b.notes);
  CHECK(a.values == b.values);
  CHECK(a.position == b.position);
  CHECK(a.random_state == b.random_state);
  CHECK(a.tail == b.tail);
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    CHECK(a.tensors[i].name == b.tensors[i].name);
    CHECK(a.tensors[i].rows == b.tensors[i].rows);
    CHECK(a.tensors[i].columns == b.tensors[i].columns);
    CHECK(a.tensors[i].series == b.tensors[i].series);
    CHECK(a.tensors[i].band_rows == b.tensors[i].band_rows);
    REQUIRE(a.tensors[i].values.size() == b.tensors[i].values.size());
    const size_t size = a.tensors[i].values.size() * sizeof(float);
    CHECK((size == 0 ||
           std::memcmp(a.tensors[i].values.data(), b.tensors[i].values.data(), size) == 0));
  }
}

bool refused(std::span<const std::byte> bytes) {
  try {
    decode_snapshot(bytes);
    return false;
  } catch (const Error&) {
    return true;
  }
}

std::string message(std::span<const std::byte> bytes) {
  try {
    decode_snapshot(bytes);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

template <typename T>
void put(Bytes& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

// Makes the checksums of a one-chunk snapshot right again, as an attacker would.
void reseal(Bytes& bytes) {
  const size_t end = bytes.size() - 16;
  put(bytes, 20, static_cast<uint32_t>(end - 32));
  const uint64_t checksum = hash64(std::span<const std::byte>(bytes).subspan(16, end - 24));
  put(bytes, end - 8, checksum);
  put(bytes, end, static_cast<uint64_t>(bytes.size()));
  put(bytes, end + 8, hash64(std::as_bytes(std::span(&checksum, 1))));
}

size_t find(const Bytes& bytes, std::string_view text) {
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  return std::string_view(begin, bytes.size()).find(text);
}

Bytes golden_snapshot(const char* name) {
  std::ifstream file(std::string(PERDURE_SOURCE_DIR "/tests/golden/snapshots/") + name,
                     std::ios::binary);
  REQUIRE(file.good());
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("a snapshot comes back bit for bit, whether it fills a chunk, several or exactly two") {
  for (int64_t rows : {0, 1, 100, 16383, 16384, 40000}) {
    const auto contents = sample(rows);
    check_equal(contents, decode_snapshot(encode_snapshot(contents)));
  }
  auto contents = sample(32000);
  const size_t payload = encode_snapshot(contents).size() - 32 - 2 * 16;
  contents.notes["pad"] = std::string(2 * ((1u << 20) - 16) - payload - 8 - 3, 'x');
  const auto full = encode_snapshot(contents);
  CHECK(full.size() == 32 + (2u << 20));
  check_equal(contents, decode_snapshot(full));
}

TEST_CASE("the header alone has everything but the values") {
  const auto contents = sample(20000);
  auto header = decode_snapshot_header(encode_snapshot(contents));
  REQUIRE(header.tensors.size() == 3);
  CHECK(header.tensors[0].values.empty());
  for (size_t i = 0; i < 3; ++i) header.tensors[i].values = contents.tensors[i].values;
  check_equal(contents, header);
}

TEST_CASE("every flipped bit of a snapshot is detected, whatever its version") {
  for (Bytes bytes : {encode_snapshot(sample(100)), golden_snapshot("version1.snapshot"),
                      golden_snapshot("version2.snapshot"), golden_snapshot("version3.snapshot")}) {
    int undetected = 0;
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      undetected += refused(bytes) ? 0 : 1;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(undetected == 0);
    CHECK_FALSE(refused(bytes));
  }
}

TEST_CASE("10,000 bits flipped at random beyond the first 4 KiB are all detected") {
  Bytes bytes = encode_snapshot(sample(17000));
  REQUIRE(bytes.size() > (1u << 20) + 4096);
  std::mt19937_64 random(2);
  int undetected = 0;
  for (int i = 0; i < 10000; ++i) {
    const size_t bit = 4096 * 8 + random() % ((bytes.size() - 4096) * 8);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    undetected += refused(bytes) ? 0 : 1;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  CHECK(undetected == 0);
}

TEST_CASE("a snapshot cut at any byte is refused") {
  const Bytes bytes = encode_snapshot(sample(10));
  int accepted = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of its own, so that a sanitizer sees every read beyond the cut.
    accepted += refused(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size))) ? 0 : 1;
  }
  CHECK(accepted == 0);
  const Bytes large = encode_snapshot(sample(40000));
  for (size_t size = 0; size < large.size(); size += 4096)
    CHECK(refused(std::span(large).first(size)));
}

TEST_CASE("trailing bytes are refused") {
  Bytes bytes = encode_snapshot(sample(10));
  bytes.push_back(std::byte{0});
  CHECK(refused(bytes));
  const Bytes once = encode_snapshot(sample(10));
  Bytes twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  CHECK(refused(twice));
}

TEST_CASE("chunks of two snapshots in one file are refused although each is valid") {
  auto contents = sample(40000);
  Bytes first = encode_snapshot(contents);
  contents.tensors[0].values[0] += 1;
  const Bytes second = encode_snapshot(contents);
  REQUIRE(first.size() == second.size());
  std::copy(second.begin(), second.begin() + 16 + (1 << 20), first.begin());
  CHECK(message(first).find("do not belong together") != std::string::npos);
}

TEST_CASE("another format version is refused by name, foreign bytes as no snapshot") {
  Bytes bytes = encode_snapshot(sample(10));
  for (const uint32_t version : {0u, 4u, 0x01000000u}) {
    put(bytes, 8, version);
    CHECK(message(bytes).find("format version " + std::to_string(version) + " (byte 8)") !=
          std::string::npos);
  }
  CHECK(message(Bytes(100)).find("not a perdure snapshot") != std::string::npos);
  CHECK(message(Bytes()).find("empty") != std::string::npos);
}

TEST_CASE("impossible counts under valid checksums are refused before memory is taken for them") {
  const Bytes good = encode_snapshot(sample(10));
  const size_t identity = find(good, "model: 0123") - 4;
  const size_t notes = find(good, "kernels") - 8;
  const size_t type = find(good, "blk.0.attn_k") + 12, shape = type + 4;
  const size_t values = find(good, "documents") - 8;
  const size_t tail = find(good, "blk.0.attn_k") - 4 - 4 - 16 - 4;
  Bytes resealed = good;
  reseal(resealed);
  REQUIRE(resealed == good);

  for (size_t at : {identity, notes, notes + 4, values, values + 4, values + 17, values + 21, type,
                    tail, tail + 20, tail + 24, good.size() - 32, good.size() - 28}) {
    for (uint32_t count : {0xffffffffu, 0x80000000u, 0x7fffffffu, 0x100001u, 0x10001u, 1000u}) {
      Bytes bytes = good;
      put(bytes, at, count);
      reseal(bytes);
      CHECK(refused(bytes));
    }
  }
  for (size_t at : {shape, shape + 8, good.size() - 32}) {
    for (int64_t size :
         {int64_t{-1}, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
          int64_t{1} << 59, int64_t{1} << 61, int64_t{1} << 32, int64_t{9}, int64_t{0}}) {
      Bytes bytes = good;
      put(bytes, at, size);
      reseal(bytes);
      CHECK(refused(bytes));
    }
  }
}

TEST_CASE("positions below 0 or beyond 2^62 and names that occur twice are refused") {
  Bytes bytes = encode_snapshot(sample(10));
  const size_t position = find(bytes, "blk.0.attn_k") - 4 - 4 - 16 - 4 - 16;
  const auto message_at = [&](int64_t value) {
    put(bytes, position, value);
    reseal(bytes);
    return message(bytes);
  };
  CHECK(message_at(-1).find("position is negative") != std::string::npos);
  CHECK(message_at((int64_t{1} << 62) + 1).find("beyond 2^62") != std::string::npos);
  CHECK(message_at(std::numeric_limits<int64_t>::max()).find("beyond 2^62") != std::string::npos);
  CHECK(message_at(int64_t{1} << 62).empty());

  auto contents = sample(10);
  contents.tensors[1].name = contents.tensors[0].name;
  CHECK(message(encode_snapshot(contents)).find("'blk.0.attn_k' occurs twice") !=
        std::string::npos);
}

TEST_CASE("contents whose values do not fit their shape cannot be encoded") {
  auto contents = sample(10);
  contents.tensors[0].rows = 11;
  CHECK_THROWS_AS(encode_snapshot(contents), Error);
  contents.tensors[0].rows = -10;
  CHECK_THROWS_AS(encode_snapshot(contents), Error);
}

TEST_CASE("a snapshot is given in pieces of at most 1 MiB that make up the whole") {
  const auto contents = sample(40000);
  Bytes joined;
  size_t longest = 0;
  const auto values_of = [&](const SnapshotRun& run) {
    const SnapshotTensor& tensor = contents.tensors[run.tensor];
    return std::as_bytes(std::span(tensor.values))
        .subspan(static_cast<size_t>(tensor.bytes_of_rows(run.first)),
                 static_cast<size_t>(tensor.bytes_of_rows(run.rows)));
  };
  const auto give_values = [&](const SnapshotRun& run, const ValueSink& values) {
    const auto all = values_of(run);
    values(all.first(all.size() / 12 * 4));
    values(all.subspan(all.size() / 12 * 4));
  };
  write_snapshot(contents, give_values, [&](std::span<const std::byte> piece) {
    longest = std::max(longest, piece.size());
    joined.insert(joined.end(), piece.begin(), piece.end());
  });
  CHECK(longest == 1u << 20);
  CHECK(joined == encode_snapshot(contents));
  const auto too_few = [&](const SnapshotRun& run, const ValueSink& values) {
    const auto all = values_of(run);
    values(all.first(all.size() / 2));
  };
  CHECK_THROWS_AS(write_snapshot(contents, too_few, [](std::span<const std::byte>) {}), Error);
}

TEST_CASE("a tensor of a type that this program does not know is refused by its name") {
  Bytes bytes = encode_snapshot(sample(10));
  put(bytes, find(bytes, "blk.0.attn_k") + 12, uint32_t{99});
  reseal(bytes);
  CHECK(message(bytes).find("tensor 'blk.0.attn_k' has the element type 99") != std::string::npos);
}

TEST_CASE("tensors of every type come back with their bytes and scales, and only whole ones") {
  std::mt19937 random(2);
  for (uint32_t type = PERDURE_F16; type <= PERDURE_Q8_K; ++type) {
    CAPTURE(type);
    auto contents = sample(3);
    SnapshotTensor tensor{"typed", 5, 512, {}, type};
    if (type == PERDURE_Q80) tensor.group_size = 64;
    const int64_t scales = type == PERDURE_Q80 ? 5 * 512 / 64 * 4 : 0;
    REQUIRE(tensor.size_bytes() == 5 * perdure_row_bytes(type, 512) + scales);
    for (int64_t i = 0; i < tensor.size_bytes(); ++i)
      tensor.stored.push_back(static_cast<std::byte>(random() & 255));
    contents.tensors.insert(contents.tensors.begin() + 1, tensor);
    const SnapshotContents back = decode_snapshot(encode_snapshot(contents));
    check_equal(contents, back);
    CHECK(back.tensors[1].type == type);
    CHECK(back.tensors[1].group_size == tensor.group_size);
    CHECK(back.tensors[1].stored == tensor.stored);
    contents.tensors[1].stored.pop_back();
    CHECK_THROWS_AS(encode_snapshot(contents), Error);
    contents.tensors[1].columns = 511;  // no whole blocks or groups; of plain types other bytes
    CHECK_THROWS_AS(encode_snapshot(contents), Error);
    contents.tensors[1].columns = 512;
    contents.tensors[1].group_size = type == PERDURE_Q80 ? 0 : 64;
    CHECK_THROWS_AS(encode_snapshot(contents), Error);
    contents.tensors[1].columns = int64_t{1} << 61;
    contents.tensors[1].group_size =
        type == PERDURE_Q80 ? 1 : 0;  // more scales than can be counted
    CHECK_THROWS_AS(encode_snapshot(contents), Error);
  }
}

TEST_CASE("snapshots of every format version in tests/golden load, and the newest is written") {
  SnapshotContents expected;
  expected.identity =
      "weights: 00112233445566778899aabbccddeeff\nstrategy: memory 1\nmemory.update: segment\n";
  expected.notes = {{"kernels", "scalar"}, {"machine", "x86-64"}};
  expected.position = 4294967301;
  expected.random_state = 81985529216486895u;
  expected.tail = {1, 42, 95};
  expected.tensors = {{"blk.0.attn_k", 2, 3, {1.0f, -2.5f, 0.0f, 3.25f, 1e-30f, 1e30f}},
                      {"blk.0.mem_raw", 1, 2, {0.5f, -0.5f}}};
  check_equal(expected, decode_snapshot(golden_snapshot("version1.snapshot")));
  expected.values = {{"documents", "fables.txt"}, {"engine.segment_start", int64_t{4294967296}}};
  check_equal(expected, decode_snapshot(golden_snapshot("version2.snapshot")));
  expected.tensors[0].series = expected.tensors[0].band_rows = 1;
  expected.tensors.push_back({"blk.0.attn_v", 3, 1, {7, 8, 9}, PERDURE_F32, 0, {}, 1, 2});
  const Bytes newest = golden_snapshot("version3.snapshot");
  check_equal(expected, decode_snapshot(newest));
  CHECK(encode_snapshot(expected) == newest);
}

TEST_CASE("tensors of a series lie band after band, before what is in none") {
  const auto order = [](std::vector<SnapshotTensor> tensors) {
    std::string runs;
    each_run(tensors, [&](const SnapshotRun& run) {
      runs += tensors[run.tensor].name + std::to_string(run.first) + "+" +
              std::to_string(run.rows) + " ";
    });
    return runs;
  };
  const auto tensor = [](const char* name, int64_t rows, uint32_t series, int64_t band_rows) {
    return SnapshotTensor{name, rows, 1, {}, PERDURE_F32, 0, {}, series, band_rows};
  };
  CHECK(order({tensor("a", 2, 0, 0), tensor("k", 9, 2, 4), tensor("s", 3, 1, 2),
               tensor("v", 3, 2, 1), tensor("e", 0, 2, 4), tensor("z", 0, 0, 0)}) ==
        "s0+2 s2+1 k0+4 v0+1 k4+4 v1+1 k8+1 v2+1 a0+2 ");
  CHECK(order({tensor("k", 5, 1, std::numeric_limits<int64_t>::max())}) == "k0+5 ");
}

TEST_CASE("a snapshot begins with the bytes that the one before had, but for its last rows") {
  const auto grown = [](int64_t rows) {
    SnapshotContents contents = sample(rows);
    contents.tensors.push_back(contents.tensors.front());
    contents.tensors.back().name = "blk.0.attn_v";
    contents.notes["length"] = std::string(static_cast<size_t>(rows % 1000), 'x');
    return encode_snapshot(contents);
  };
  const Bytes before = grown(40000), after = grown(40001);
  const auto same = std::mismatch(before.begin(), before.end(), after.begin()).first;
  CHECK(before.size() - static_cast<size_t>(same - before.begin()) < (1u << 20) + 8192);
}

TEST_CASE("bands without rows, bands of Q80 and very many tensors in one series are no trouble") {
  struct Bands {
    uint32_t series;
    int64_t rows;
  };
  for (const Bands bands : {Bands{7, 0}, Bands{7, -1}, Bands{0, 1}}) {
    auto impossible = sample(10);
    impossible.tensors[0].series = bands.series;
    impossible.tensors[0].band_rows = bands.rows;
    CHECK_THROWS_AS(encode_snapshot(impossible), Error);
  }
  auto contents = sample(10);
  contents.tensors.push_back({"q80", 1, 4, {}, PERDURE_Q80, 4, Bytes(8), 1, 1});
  CHECK_THROWS_AS(encode_snapshot(contents), Error);

  contents = sample(200000);
  contents.tensors[0].band_rows = 1;
  while (contents.tensors.size() < (1u << 16))
    contents.tensors.push_back(
        {std::to_string(contents.tensors.size()), 0, 1, {}, PERDURE_F32, 0, {}, 7, 1});
  check_equal(contents, decode_snapshot(encode_snapshot(contents)));
}

TEST_CASE("impossible bands under valid checksums are refused") {
  const Bytes good = encode_snapshot(sample(10));
  const size_t series = find(good, "blk.0.attn_k") + 12 + 4 + 16;
  for (const int64_t rows : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    Bytes bytes = good;
    put(bytes, series + 4, rows);
    reseal(bytes);
    CHECK(message(bytes).find("'blk.0.attn_k' has an impossible shape") != std::string::npos);
  }
  Bytes bytes = good;
  put(bytes, series, uint32_t{0});  // its band is read as the next tensor
  reseal(bytes);
  CHECK(refused(bytes));
}

TEST_CASE("a difference of identities is one sentence, the first lines first") {
  const std::string here = "weights: a\nstrategy: memory 1\nupdate: segment\n";
  CHECK(describe_identity_difference(here, here).empty());
  CHECK(describe_identity_difference(here, "weights: b\nstrategy: full 1\nupdate: segment\n") ==
        "weights 'b' (here 'a'), strategy 'full 1' (here 'memory 1')");
  CHECK(describe_identity_difference(here, "weights: a\nstrategy: memory 1\n") ==
        "no update (here 'segment')");
  CHECK(describe_identity_difference(here, here + "window: 8\n") == "window '8' (here none)");
  CHECK(describe_identity_difference(here, "weights: b\nstrategy: full 1\nx: 1\ny: 2\n") ==
        "weights 'b' (here 'a'), strategy 'full 1' (here 'memory 1'), no update (here 'segment') "
        "and 2 more");
  CHECK_FALSE(
      describe_identity_difference(here, "strategy: memory 1\nweights: a\nupdate: segment\n")
          .empty());
}
