// SPDX-License-Identifier: Apache-2.0

// The raw memory files of llama2Rnn's C program, against files that the original wrote.
#include "core/engine/legacy_memory.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/model/formats/safetensors.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// memA: L layers, M memory rows, S positions of d columns.
constexpr int64_t kLayers = 3, kRows = 8, kLength = 64, kColumns = 64, kVocab = 96;
constexpr size_t kSplit = 21;
const std::string kCase =
    std::string(PERDURE_SOURCE_DIR) + "/tests/golden/llama2rnn/cases/rq_memA_file/";

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

template <typename T>
std::vector<T> golden(const char* name) {
  const SafetensorsFile file(kCase + "golden.safetensors");
  const auto bytes = file.find(name)->bytes;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Engine memory_engine() { return Engine(golden_settings("memA.q80.bin"), linked_plugins()); }

float largest_difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// The floats of a file whose rows the original may read again at this chunk position, and the
// position.
std::vector<float> readable(const std::string& file, int64_t in_chunk) {
  std::vector<float> all(file.size() / 4);
  std::memcpy(all.data(), file.data(), all.size() * 4);
  std::vector<float> kept(all.begin(), all.begin() + kLayers * kRows * kColumns);
  for (int64_t part = 0; part < 2 * kLayers; ++part) {
    const auto first = all.begin() + kLayers * kRows * kColumns + part * kLength * kColumns;
    kept.insert(kept.end(), first, first + (kRows + in_chunk) * kColumns);
  }
  return kept;
}

int32_t stored_position(const std::string& file) {
  int32_t position = 0;
  std::memcpy(&position, file.data() + file.size() - 4, 4);
  return position;
}

std::string failure(Engine& engine, Session& session, const std::string& path) {
  try {
    import_legacy_memory(engine, session, path);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a memory that the original saved continues as in the original") {
  Engine engine = memory_engine();
  Session session = engine.new_session();
  import_legacy_memory(engine, session, kCase + "memory_after_first.bin");
  const auto tokens = golden<int32_t>("tokens");
  const auto expected = golden<float>("logits");
  const auto logits = all_logits(engine, session, std::span(tokens).subspan(kSplit));
  CHECK(largest_difference(logits, std::span(expected).subspan(kSplit * kVocab)) < 1e-3f);
}

TEST_CASE(
    "what is saved after the same tokens equals the original's file in every row that is read "
    "again") {
  const TemporaryFolder folder;
  Engine engine = memory_engine();
  const auto tokens = golden<int32_t>("tokens");
  Session session = engine.new_session();
  size_t read = 0;
  for (const auto& [file, count] :
       {std::pair{"memory_after_first.bin", kSplit}, {"memory_after_second.bin", tokens.size()}}) {
    all_logits(engine, session, std::span(tokens).subspan(read, count - read));
    read = count;
    export_legacy_memory(engine, session, folder / "memory.bin");
    const std::string ours = read_bytes(folder / "memory.bin");
    const std::string theirs = read_bytes(kCase + file);
    REQUIRE(ours.size() == theirs.size());
    CHECK(stored_position(ours) == stored_position(theirs));
    const int64_t in_chunk = session.position() % kRows;
    CHECK(largest_difference(readable(ours, in_chunk), readable(theirs, in_chunk)) < 1e-3f);
  }
}

TEST_CASE("an imported memory is exported with equal bytes, at every chunk position") {
  const TemporaryFolder folder;
  Engine engine = memory_engine();
  const auto tokens = random_tokens(20, kVocab, 5);
  for (size_t count = 0; count <= 2 * kRows + 1; ++count) {
    CAPTURE(count);
    Session session = engine.new_session();
    all_logits(engine, session, std::span(tokens).first(count));
    export_legacy_memory(engine, session, folder / "first.bin");
    const std::string first = read_bytes(folder / "first.bin");
    CHECK(stored_position(first) ==
          (count == 0 ? 0 : static_cast<int32_t>((count - 1) % kRows + 1)));

    Session other = engine.new_session();
    all_logits(engine, other, std::span(tokens).first(13));
    import_legacy_memory(engine, other, folder / "first.bin");
    CHECK(other.tail().empty());
    export_legacy_memory(engine, other, folder / "second.bin");
    CHECK(read_bytes(folder / "second.bin") == first);
    const auto rest = random_tokens(19, kVocab, 6);
    CHECK(all_logits(engine, other, rest) == all_logits(engine, session, rest));
  }
}

TEST_CASE(
    "a file of another size or position is refused by name and leaves the session as it was") {
  const TemporaryFolder folder;
  Engine engine = memory_engine();
  Session session = engine.new_session();
  all_logits(engine, session, random_tokens(11, kVocab, 7));
  const auto before = session.snapshot();
  const std::string good = read_bytes(kCase + "memory_after_first.bin");
  const std::string path = folder / "memory.bin";
  for (const std::string& bytes :
       {std::string(), good.substr(0, 4), good.substr(0, good.size() - 1), good + "x"}) {
    write_bytes(path, bytes);
    const std::string message = failure(engine, session, path);
    CHECK(message.find(path) == 0);
    CHECK(message.find("expected " + std::to_string(good.size())) != std::string::npos);
  }
  for (int32_t position : {-1, 9, 1 << 30, std::numeric_limits<int32_t>::min()}) {
    std::string bytes = good;
    std::memcpy(bytes.data() + bytes.size() - 4, &position, 4);
    write_bytes(path, bytes);
    CHECK(failure(engine, session, path).find("not within 0 to 8") != std::string::npos);
  }
  CHECK_FALSE(failure(engine, session, folder / "missing.bin").empty());
  CHECK(session.snapshot() == before);
}

TEST_CASE("sessions that such a file cannot hold are refused with the reason") {
  const TemporaryFolder folder;
  const std::string path = folder / "memory.bin";
  struct Candidate {
    const char* model;
    const char* option;
    const char* reason;
  };
  const Candidate candidates[] = {
      {"memA.q80.bin", "attention.strategy=full", "memory attention only"},
      {"memB_gqa.q80.bin", "attention.strategy=memory", "grouped heads"},
      {"memA.q80.bin", "attention.layers={'0': {strategy: full}}", "memory attention only"}};
  for (const Candidate& c : candidates) {
    CAPTURE(c.option);
    Engine engine(golden_settings(c.model, {c.option}), linked_plugins());
    Session session = engine.new_session();
    CHECK_THROWS_WITH_AS(export_legacy_memory(engine, session, path), doctest::Contains(c.reason),
                         Error);
    CHECK(failure(engine, session, kCase + "memory_after_first.bin").find(c.reason) !=
          std::string::npos);
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

TEST_CASE("an export that fails leaves the file that was there") {
  const TemporaryFolder folder;
  Engine engine = memory_engine();
  Session session = engine.new_session();
  std::filesystem::create_directory(folder / "memory.bin");
  write_bytes(folder / "memory.bin/inside", "x");
  CHECK_THROWS_AS(export_legacy_memory(engine, session, folder / "memory.bin"), Error);
  CHECK(read_bytes(folder / "memory.bin/inside") == "x");
}
