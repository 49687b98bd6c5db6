// SPDX-License-Identifier: Apache-2.0

#include "core/model/model.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "core/model/formats/weight_values.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

TEST_CASE("a model that is missing, empty or a folder is one sentence with its path") {
  const testing::TemporaryFolder scratch;
  CHECK(contains(error_of([&] { Model::open(scratch / "none.bin"); }), "none.bin"));
  CHECK(contains(error_of([&] { Model::open(scratch / "."); }), scratch / "."));
  write_text(scratch / "empty.bin", "");
  CHECK(contains(error_of([&] { Model::open(scratch / "empty.bin"); }),
                 "empty.bin: the file is empty"));
}

TEST_CASE("weights stay valid when the model is moved") {
  Model first = Model::open(golden("models/llama.v0.bin"));
  const std::vector<float> before = weight_values(*first.find("output_norm.weight"));
  const Model second = std::move(first);
  CHECK(weight_values(*second.find("output_norm.weight")) == before);
}

TEST_CASE(
    "replacing a weight changes its values and the hash of the weights, and replacing it back "
    "restores both") {
  Model model = Model::open(golden("models/llama.v0.bin"));
  const std::string hash = model.weights_hash();
  CHECK(hash.size() == 32);
  const std::vector<float> original = weight_values(*model.find("output_norm.weight"));
  std::vector<float> other = original;
  other[3] += 1.0f;
  model.replace("output_norm.weight", 1, 64, other);
  CHECK(weight_values(*model.find("output_norm.weight")) == other);
  CHECK(model.weights_hash() != hash);
  model.replace("output_norm.weight", 1, 64, original);
  CHECK(model.weights_hash() == hash);
  model.replace("blk.0.mem_init", 2, 64, std::vector<float>(128));
  CHECK(model.find("blk.0.mem_init")->rows == 2);
  CHECK(model.weights_hash() != hash);
}

TEST_CASE("a weight of another size than its values is refused") {
  Model model = Model::open(golden("models/llama.v0.bin"));
  CHECK(error_of([&] { model.replace("w", 2, 3, std::vector<float>(5)); }) ==
        "weight w [2, 3] was given 5 values");
}

TEST_CASE("opening a model takes no memory for its weights") {
  const size_t peak = heap_peak_of([] { Model::open(golden("models/llama.v0.bin")); });
  CHECK(peak < size_t{32} << 10);
}

TEST_CASE(
    "a weight of another type replaces one of F32, and what does not fit its type is refused") {
  Model model = Model::open(golden("models/llama.v0.bin"));
  const Weight half{.dtype = PERDURE_F16, .rows = 1, .columns = 2};
  model.replace("output_norm.weight", half, as_bytes(std::string("\x00\x3c\x00\xc0", 4)));
  CHECK(weight_values(*model.find("output_norm.weight")) == std::vector{1.0f, -2.0f});
  const Weight q80{.dtype = PERDURE_Q80, .rows = 1, .columns = 2, .group_size = 2};
  model.replace("q", q80, as_bytes(std::string("\x02\xfe", 2)), {0.5f});
  CHECK(weight_values(*model.find("q")) == std::vector{1.0f, -1.0f});
  CHECK(contains(error_of([&] { model.replace("q", q80, as_bytes("12")); }),
                 "of type q80 was given 2 bytes and 0 scales"));
  CHECK(contains(error_of([&] { model.replace("q", half, as_bytes("12")); }),
                 "of type f16 was given 2 bytes"));
}

TEST_CASE("a model notices that its file was written to, and not that another took its name") {
  const testing::TemporaryFolder scratch;
  const std::string path = scratch / "m.bin";
  std::filesystem::copy_file(golden("models/llama.v0.bin"), path);
  const Model model = Model::open(path);
  CHECK(model.files().size() == 1);
  CHECK(!model.changed_on_disk());
  std::filesystem::copy_file(path, scratch / "other.bin");
  std::filesystem::rename(scratch / "other.bin", path);
  CHECK(!model.changed_on_disk());

  const Model second = Model::open(path);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(1000) << "overwritten";
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  CHECK(!model.changed_on_disk());
  CHECK(contains(second.changed_on_disk().value_or(""), path + " was written to"));
}
