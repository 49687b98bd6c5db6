// SPDX-License-Identifier: Apache-2.0

// Types of weights: the golden GGUF files were quantised by llama.cpp, with --pure.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/base/dtype.hpp"
#include "core/base/hash.hpp"
#include "core/model/conversion/gguf_document.hpp"
#include "core/model/formats/ggml_blocks.hpp"
#include "core/model/formats/weight_values.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

bool always(int64_t) { return true; }

void quantize(const Model& model, perdure_dtype dtype, const std::string& path) {
  GgufDocument document = gguf_document(model, "");
  set_types(document, dtype);
  const bool written = write_gguf(document, model, path, {}, always);
  REQUIRE(written);
}

struct Golden {
  const char* name;
  perdure_dtype dtype;
  uint64_t decoded;  // hash of blk.0.ffn_down.weight as ggml de-quantises it
};

constexpr Golden kGolden[] = {
    {"F16", PERDURE_F16, 0x35b8d3b8e5b3275c},   {"BF16", PERDURE_BF16, 0x0eb4784e795d1749},
    {"Q8_0", PERDURE_Q8_0, 0x2b64d75cec6353e5}, {"Q4_0", PERDURE_Q4_0, 0x6dff085238b286f9},
    {"Q4_1", PERDURE_Q4_1, 0x0ad46e28d240e5b4}, {"Q5_0", PERDURE_Q5_0, 0x996df7c347f35bd4},
    {"Q5_1", PERDURE_Q5_1, 0xeb7eba6bbc3dbb01}, {"Q4_K", PERDURE_Q4_K, 0x4fcb9a514213d540},
    {"Q5_K", PERDURE_Q5_K, 0x2dec5be1da1566dd}, {"Q6_K", PERDURE_Q6_K, 0x2fafb7418952cb55},
};

// A model of one layer in a file of its own.
struct SmallModel {
  TemporaryFolder folder;
  GgufFile file = small_gguf();

  Model open() const {
    write_text(folder / "m.gguf", file.text());
    return Model::open(folder / "m.gguf");
  }
};

}  // namespace

TEST_CASE("every type is written bit for bit as llama.cpp writes it") {
  const TemporaryFolder scratch;
  const Model model = Model::open(golden_gguf("F32"));
  for (const Golden& golden : kGolden) {
    CAPTURE(golden.name);
    const std::string path = scratch / (std::string(golden.name) + ".gguf");
    quantize(model, golden.dtype, path);
    const Bytes written = read_bytes(path), expected = read_bytes(golden_gguf(golden.name));
    const Gguf ours(written, "ours"), theirs(expected, "theirs");
    REQUIRE(ours.tensors().size() == theirs.tensors().size());
    for (const auto& [name, tensor] : theirs.tensors()) {
      CAPTURE(name);
      const GgufTensor& made = ours.tensors().at(name);
      CHECK(made.dtype == tensor.dtype);
      CHECK(made.shape == tensor.shape);
      CHECK(as_text(made.bytes) == as_text(tensor.bytes));
    }
  }
}

TEST_CASE("quantising keeps every key, and says what the file is now") {
  const TemporaryFolder scratch;
  quantize(Model::open(golden_gguf("F32")), PERDURE_Q4_K, scratch / "q.gguf");
  const Bytes before = read_bytes(golden_gguf("F32")), after = read_bytes(scratch / "q.gguf");
  const Gguf source(before, "before"), written(after, "after");
  for (const auto& [key, value] : source.metadata()) {
    CAPTURE(key);
    if (key == "general.file_type" || key == "general.quantization_version") continue;
    REQUIRE(written.find(key) != nullptr);
    CHECK(as_text(written.find(key)->bytes) == as_text(value.bytes));
  }
  CHECK(written.whole("general.file_type") == 15);
}

TEST_CASE("a file of Q5_K is of llama.cpp's file type 17, and one of Q6_K of 18") {
  const TemporaryFolder scratch;
  const Model model = Model::open(golden_gguf("F32"));
  for (const auto& [dtype, file_type] : {std::pair{PERDURE_Q5_K, 17}, {PERDURE_Q6_K, 18}}) {
    quantize(model, dtype, scratch / "q.gguf");
    const Bytes written = read_bytes(scratch / "q.gguf");
    CHECK(Gguf(written, "q").whole("general.file_type") == file_type);
  }
}

TEST_CASE("stored values are read as ggml de-quantises them") {
  for (const Golden& golden : kGolden) {
    CAPTURE(golden.name);
    const Model model = Model::open(golden_gguf(golden.name));
    const std::vector<float> values = weight_values(*model.find("blk.0.ffn_down.weight"));
    CHECK(hash64(std::as_bytes(std::span(values))) == golden.decoded);
  }
}

TEST_CASE("blocks of subnormal, equal and zero values have no undefined numbers") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  for (const float value : {0.0f, tiny, -tiny, 1e-39f, -3.0f, 1e30f}) {
    std::vector<float> values(256, value), decoded(256);
    values[7] = -value;
    for (const Golden& golden : kGolden) {
      std::vector<std::byte> bytes(
          static_cast<size_t>(perdure_row_bytes(golden.dtype, std::ssize(values))));
      encode_row(golden.dtype, values, bytes);
      decode_row(golden.dtype, bytes, decoded);
      if (std::fabs(value) < 1) CHECK(std::fabs(decoded[0]) < 1e-30f);
      if (value == -3.0f) CHECK(decoded[0] == doctest::Approx(-3).epsilon(0.15));
    }
  }
}

TEST_CASE("rows that are no whole number of blocks stay what they are, and it is said") {
  const SmallModel small;
  const Model model = small.open();
  GgufDocument document = gguf_document(model, "");
  set_types(document, PERDURE_Q8_0);
  for (const StreamedTensor& tensor : document.tensors) CHECK(tensor.dtype == PERDURE_F32);
  REQUIRE(document.notes.size() == 1);
  CHECK(
      document.notes[0] ==
      "'token_embd.weight' stays f32: its rows of 8 values are not a whole number of blocks of 32 "
      "(and so do 7 more)");
}

TEST_CASE("a value that a type cannot hold is refused by tensor and row, and nothing is left") {
  SmallModel small;
  const float large = 1e6f;
  std::memcpy(small.file.tensor("blk.0.ffn_up.weight").data.data() + 3 * 8 * sizeof(float), &large,
              sizeof large);
  const Model model = small.open();
  const std::string error =
      error_of([&] { quantize(model, PERDURE_F16, small.folder / "out.gguf"); });
  CHECK(contains(error, "row 3 of the tensor 'blk.0.ffn_up.weight' holds the value 1000000"));
  CHECK(contains(error, "f16 cannot hold"));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(small.folder.path()))
    ++files;
  CHECK(files == 1);
}

TEST_CASE("no number is refused where blocks would make it one") {
  const TemporaryFolder folder;
  GgufFile file = small_gguf();
  file.tensors.clear();
  for (const GgufFile::Tensor& t : small_gguf().tensors) {
    std::vector<uint64_t> shape = t.shape;
    for (uint64_t& size : shape) size *= 32;
    if (t.name == "token_embd.weight") shape[1] = 6;
    file.add(t.name, shape);
  }
  for (const char* key : {"embedding_length", "feed_forward_length"})
    file.set_u32("llama." + std::string(key), key[0] == 'e' ? 256 : 384);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(file.tensor("blk.0.attn_k.weight").data.data(), &nan, sizeof nan);
  write_text(folder / "m.gguf", file.text());
  const Model model = Model::open(folder / "m.gguf");
  const std::string error = error_of([&] { quantize(model, PERDURE_Q4_K, folder / "out.gguf"); });
  CHECK(contains(error, "row 0 of the tensor 'blk.0.attn_k.weight' holds the value nan"));
  quantize(model, PERDURE_BF16, folder / "bf16.gguf");
}

TEST_CASE("what is stopped leaves nothing, and an existing file stays") {
  const TemporaryFolder folder;
  write_text(folder / "out.gguf", "mine");
  const Model model = Model::open(golden_gguf("F32"));
  GgufDocument document = gguf_document(model, "");
  int pieces = 0;
  CHECK_FALSE(
      write_gguf(document, model, folder / "out.gguf", {}, [&](int64_t) { return ++pieces < 3; }));
  CHECK(as_text(read_bytes(folder / "out.gguf")) == "mine");
  CHECK(contains(error_of([&] {
                   write_gguf(document, model, folder / "out.gguf", {.replace = false}, always);
                 }),
                 "exists"));
  CHECK(as_text(read_bytes(folder / "out.gguf")) == "mine");
}

TEST_CASE("types are named as kernels name them, others are refused with the list") {
  CHECK(parse_stored_type("q5_k") == PERDURE_Q5_K);
  CHECK(parse_stored_type("Q4_K") == PERDURE_Q4_K);
  for (const char* mixture : {"q4_k_m", "Q4_K_S"})
    CHECK(contains(error_of([&] { parse_stored_type(mixture); }), "did you mean 'q4_k'?"));
  CHECK(contains(error_of([] { parse_stored_type("q2_k"); }), "q8_0, q4_0, q4_1"));
}
