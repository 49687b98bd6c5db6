// SPDX-License-Identifier: Apache-2.0

#include "core/model/weights_hash.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

std::string hash_of(const Model& model, const WeightsCache& cache) {
  return hash_weights(model.weights(), model.files(), cache);
}

// How often the weights are read while `action` runs.
int64_t reads_of(const std::function<void()>& action) {
  const int64_t before = hashes_computed();
  action();
  return hashes_computed() - before;
}

std::string only_entry(const std::string& folder) {
  return std::filesystem::directory_iterator(folder)->path().string();
}

}  // namespace

TEST_CASE(
    "the weights of an unchanged file are read for their hash once, and of a changed one again") {
  const testing::TemporaryFolder scratch;
  const WeightsCache cache{scratch / "cache/perdure"};
  const std::string path = scratch / "m.bin";
  std::filesystem::copy_file(golden("models/llama.v0.bin"), path);
  const std::string exact = hash_of(Model::open(path), {});
  CHECK(reads_of([&] { CHECK(hash_of(Model::open(path), cache) == exact); }) == 1);
  CHECK(reads_of([&] { CHECK(hash_of(Model::open(path), cache) == exact); }) == 0);

  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(1000) << "overwritten";
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  CHECK(reads_of([&] { CHECK(hash_of(Model::open(path), cache) != exact); }) == 1);
}

TEST_CASE("a replaced weight is never given the hash of the file's own") {
  const testing::TemporaryFolder scratch;
  const WeightsCache cache{scratch / "cache"};
  Model model = Model::open(golden("models/llama.v0.bin"));
  const std::string exact = hash_of(model, cache);
  model.replace("output_norm.weight", 1, 64, std::vector<float>(64, 2.0f));
  const std::string replaced = hash_of(model, cache);
  CHECK(replaced != exact);
  CHECK(replaced == hash_of(model, {}));
  CHECK(reads_of([&] { CHECK(hash_of(model, cache) == replaced); }) == 0);
}

TEST_CASE("a damaged entry, or a cache that cannot be made, costs a reading and nothing else") {
  const testing::TemporaryFolder scratch;
  const Model model = Model::open(golden("models/llama.v0.bin"));
  const std::string exact = hash_of(model, {});
  const WeightsCache cache{scratch / "cache"};
  hash_of(model, cache);
  for (const char* damage :
       {"", "short", "0123456789abcdef0123456789abcdeX", "0123456789abcdef0123456789abcdef0"}) {
    write_text(only_entry(cache.folder), damage);
    CHECK(reads_of([&] { CHECK(hash_of(model, cache) == exact); }) == 1);
  }
  write_text(scratch / "file", "");
  const WeightsCache below_a_file{scratch / "file/cache"};
  CHECK(reads_of([&] { CHECK(hash_of(model, below_a_file) == exact); }) == 1);
}

TEST_CASE("small models and files that changed a moment ago are not cached") {
  const testing::TemporaryFolder scratch;
  const std::string path = scratch / "m.bin";
  std::filesystem::copy_file(golden("models/llama.v0.bin"), path);
  const Model model = Model::open(path);
  for (const WeightsCache& cache : {WeightsCache{scratch / "cache", int64_t{1} << 30},
                                    {scratch / "cache", 0, int64_t{1} << 50}}) {
    hash_of(model, cache);
    CHECK(!std::filesystem::exists(cache.folder));
  }
}
