// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama2c_writer.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "core/model/builder.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

TEST_CASE("quantising memA's F32 weights gives the bytes that the original exporter wrote") {
  const testing::TemporaryFolder scratch;
  const std::string path = scratch / "memA.bin";
  write_llama2c(Model::open(golden("models/memA.safetensors")), Llama2cKind::kV2Mem, 64, path);
  CHECK(as_text(read_bytes(path)) == as_text(read_bytes(golden("models/memA.q80.bin"))));
}

TEST_CASE("written from v0, the files v1 and v2 equal the original exporter's byte for byte") {
  const testing::TemporaryFolder scratch;
  const Model llama = Model::open(golden("models/llama.v0.bin"));
  write_llama2c(llama, Llama2cKind::kV1, 0, scratch / "v1");
  CHECK(as_text(read_bytes(scratch / "v1")) == as_text(read_bytes(golden("models/llama.v1.bin"))));
  write_llama2c(llama, Llama2cKind::kV2, 64, scratch / "v2");
  CHECK(as_text(read_bytes(scratch / "v2")) == as_text(read_bytes(golden("models/llama.v2.bin"))));
  write_llama2c(Model::open(golden("models/llama_unshared.v0.bin")), Llama2cKind::kV2, 64,
                scratch / "v2u");
  CHECK(as_text(read_bytes(scratch / "v2u")) ==
        as_text(read_bytes(golden("models/llama_unshared.v2.bin"))));
}

TEST_CASE("a written v0 file holds the same weights") {
  const testing::TemporaryFolder scratch;
  for (const char* name : {"models/llama.v0.bin", "models/llama_unshared.v0.bin"}) {
    const Model model = Model::open(golden(name));
    write_llama2c(model, Llama2cKind::kV0, 0, scratch / "v0");
    CHECK(Model::open(scratch / "v0").weights_hash() == model.weights_hash());
  }
}

TEST_CASE(
    "quantised groups: halves round to even, zeros stay zero, what is no number becomes zero") {
  const Q80Values q = quantize_q80(std::vector<float>{127, 0.5f, 1.5f, -2.5f, 0, 0, 0, 0}, 4);
  CHECK(q.values == std::vector<int8_t>{127, 0, 2, -2, 0, 0, 0, 0});
  CHECK(q.scales == std::vector<float>{1, 0});
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  CHECK(quantize_q80(std::vector<float>{nan, 127, infinity, 1}, 2).values ==
        std::vector<int8_t>{0, 127, 0, 0});
  CHECK(quantize_q80(std::vector<float>{1.8e-43f, -1.8e-43f}, 2).values ==
        std::vector<int8_t>{127, -127});
}

TEST_CASE(
    "a kind of file that would lose a weight or an option is refused, and nothing is written") {
  const testing::TemporaryFolder scratch;
  const auto refusal = [&](const char* model, Llama2cKind kind) {
    return error_of([&] { write_llama2c(Model::open(golden(model)), kind, 64, scratch / "out"); });
  };
  CHECK(contains(refusal("models/memA.safetensors", Llama2cKind::kV1),
                 "cannot hold the weight blk.0.mem_"));
  CHECK(contains(refusal("models/pt_mem_wm_ffn_norm.safetensors", Llama2cKind::kV2Mem),
                 "mem_wm.weight of the model; write a .safetensors file instead"));
  CHECK(contains(refusal("../rwkv/rand_v6/model.safetensors", Llama2cKind::kV0),
                 "only models of llama's family can be converted"));
  CHECK(
      contains(refusal("models/pt_mem_noreuse.safetensors", Llama2cKind::kV2Mem), "mem_k.weight"));
  CHECK(contains(refusal("models/pt_mem_plain.safetensors", Llama2cKind::kV2Mem),
                 "the model has no weight"));
  CHECK_FALSE(std::filesystem::exists(scratch / "out"));
  CHECK(contains(error_of([&] {
                   write_llama2c(Model::open(golden("models/llama.v0.bin")), Llama2cKind::kV1, 0,
                                 scratch / "no/such");
                 }),
                 "no/such: creating a file failed (No such file or directory)"));
}
