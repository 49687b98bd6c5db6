// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama2c.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/model/formats/weight_values.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

constexpr Llama2cKind kAllKinds[] = {Llama2cKind::kV0, Llama2cKind::kV1, Llama2cKind::kV2,
                                     Llama2cKind::kV2Mem};

std::string refusal(const Bytes& bytes) {
  return error_of([&] { read_llama2c(bytes, "x.bin"); }, bytes.size());
}

// Changes one header field of a valid file and returns the refusal.
std::string refusal_with(Llama2cKind kind, int64_t Llama2cHeader::* field, int64_t value) {
  const Llama2cHeader valid = small_header(kind);
  Llama2cHeader changed = valid;
  changed.*field = value;
  return refusal(llama2c_file(changed, valid));
}

}  // namespace

TEST_CASE(
    "each golden checkpoint is told apart by its header and has the sizes of its description") {
  const auto open = [](const char* name) {
    return Model::open(golden(std::string("models/") + name));
  };
  CHECK(open("llama.v0.bin").spec().format == "llama2.c v0");
  CHECK(open("llama.v1.bin").spec().format == "llama2.c v1");
  CHECK(open("llama.v2.bin").spec().format == "llama2.c v2");
  CHECK(open("llama_unshared.v0.bin").find("output.weight") != nullptr);
  CHECK(open("llama_unshared.v2.bin").find("output.weight") != nullptr);
  CHECK(open("llama.v0.bin").find("output.weight") == nullptr);

  const Model memory = open("memB_gqa.q80.bin");
  const ModelInfo& info = memory.spec().info;
  CHECK(memory.spec().format == "llama2Rnn v2");
  CHECK(info.hidden_size == 64);
  CHECK(info.num_hidden_layers == 3);
  CHECK(info.num_attention_heads == 4);
  CHECK(info.num_key_value_heads == 2);
  CHECK(info.head_size == 16);
  CHECK(info.vocab_size == 96);
  CHECK(info.train_length == 32);
  CHECK(info.mem_len == 6);
  CHECK(memory.spec().intermediate_size == 96);
  CHECK(memory.find("blk.2.mem_init")->rows == 6);
  CHECK(memory.find("blk.2.mem_init")->dtype == PERDURE_F32);
  CHECK(memory.find("blk.0.attn_k.weight")->rows == 32);
  CHECK(memory.find("blk.0.attn_k.weight")->group_size == 32);
  CHECK(memory.find("blk.0.mem_ffn_down.weight")->columns == 96);
  CHECK(memory.find("blk.3.attn_q.weight") == nullptr);
}

TEST_CASE(
    "v0 and v1 of one model hold the same weights, and v2 holds them within half a quantisation "
    "step") {
  const Model v0 = Model::open(golden("models/llama.v0.bin")),
              v1 = Model::open(golden("models/llama.v1.bin")),
              v2 = Model::open(golden("models/llama.v2.bin"));
  REQUIRE(v0.weights().size() == v1.weights().size());
  REQUIRE(v0.weights().size() == v2.weights().size());
  for (const auto& [name, weight] : v0.weights()) {
    CAPTURE(name);
    const std::vector<float> values = weight_values(weight),
                             quantised = weight_values(*v2.find(name));
    CHECK(values == weight_values(*v1.find(name)));
    float worst = 0;
    for (size_t i = 0; i < values.size(); ++i)
      worst = std::max(worst, std::fabs(values[i] - quantised[i]));
    CHECK(worst < 0.02f);
  }
  CHECK(v0.weights_hash() == v1.weights_hash());
  CHECK(v0.weights_hash() != v2.weights_hash());
}

TEST_CASE("small synthetic files of every kind are valid") {
  for (const Llama2cKind kind : kAllKinds) {
    const Bytes bytes = llama2c_file(small_header(kind));
    CHECK(read_llama2c(bytes, "x.bin").weights().size() > 20);
  }
}

TEST_CASE("groups that do not end with the rows are read over the whole tensor") {
  Llama2cHeader header = small_header(Llama2cKind::kV2);
  header.group_size = 8;
  REQUIRE(header.hidden_dim % 8 != 0);
  Bytes bytes = llama2c_file(header);
  size_t at = static_cast<size_t>(kLlama2cHeaderBytes), n_values = 0;
  for (const Llama2cTensor& tensor : llama2c_layout(header)) {
    n_values = static_cast<size_t>(tensor.rows * tensor.columns);
    if (tensor.name == "blk.0.ffn_down.weight") break;
    at += tensor.quantised ? n_values + n_values / 8 * sizeof(float) : n_values * sizeof(float);
  }
  for (size_t i = 0; i < n_values; ++i) bytes[at + i] = static_cast<std::byte>(i % 100);
  for (size_t group = 0; group < n_values / 8; ++group) {
    const float scale = static_cast<float>(group + 1);
    std::memcpy(&bytes[at + n_values + group * sizeof scale], &scale, sizeof scale);
  }
  const Model model = read_llama2c(bytes, "x.bin");
  const Weight& down = *model.find("blk.0.ffn_down.weight");
  CHECK(down.dtype == PERDURE_F32);
  CHECK(down.columns == header.hidden_dim);
  const std::vector<float> values = weight_values(down);
  for (size_t i = 0; i < n_values; ++i)
    CHECK(values[i] == static_cast<float>(i % 100) * static_cast<float>(i / 8 + 1));
  CHECK(model.find("blk.0.attn_q.weight")->dtype == PERDURE_Q80);
}

TEST_CASE("a checkpoint cut anywhere, or with bytes added, is refused with a byte offset") {
  for (const Llama2cKind kind : kAllKinds) {
    Bytes bytes = llama2c_file(small_header(kind));
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::string sentence =
          refusal(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
      REQUIRE(contains(sentence, "x.bin: byte offset "));
    }
    bytes.push_back({});
    CHECK(contains(refusal(bytes), "1 more bytes"));
  }
}

TEST_CASE(
    "header fields that are zero, negative or do not fit each other are refused where they stand") {
  using H = Llama2cHeader;
  const Llama2cKind v0 = Llama2cKind::kV0, v2 = Llama2cKind::kV2, mem = Llama2cKind::kV2Mem;
  CHECK(
      refusal_with(v0, &H::dim, 0x46554747) ==
      "x.bin: byte offset 0: this is a GGUF file; a llama2.c .bin file or .safetensors is needed");
  CHECK(refusal_with(v0, &H::dim, 0) == "x.bin: byte offset 0: dim is 0 but must be at least 1");
  CHECK(refusal_with(v0, &H::hidden_dim, -4) ==
        "x.bin: byte offset 4: hidden_dim is -4 but must be at least 1");
  CHECK(contains(refusal_with(v0, &H::vocab_size, 0), "byte offset 20: vocab_size is 0"));
  CHECK(contains(refusal_with(v2, &H::n_layers, -1), "byte offset 16: n_layers is -1"));
  CHECK(contains(refusal_with(v2, &H::n_layers, 5000), "byte offset 16: n_layers is 5000"));
  CHECK(contains(refusal_with(v2, &H::n_heads, 3),
                 "byte offset 20: n_heads = 3 does not divide dim = 8"));
  CHECK(contains(refusal_with(v2, &H::n_heads, 8),
                 "byte offset 20: the head size dim / n_heads = 1 is odd"));
  CHECK(contains(refusal_with(v0, &H::n_kv_heads, 3),
                 "byte offset 16: n_kv_heads = 3 does not divide n_heads = 2"));
  CHECK(contains(refusal_with(v2, &H::vocab_size, -5), "byte offset 28: vocab_size is -5"));
  CHECK(contains(refusal_with(v2, &H::seq_len, 0), "byte offset 32: seq_len is 0"));
  CHECK(contains(refusal_with(v2, &H::group_size, 7), "the group size 7 does not divide the "));
  CHECK(contains(refusal_with(mem, &H::group_size, -4), "byte offset 41: the group size is -4"));
  CHECK(contains(refusal_with(mem, &H::mem_len, 0), "byte offset 36: mem_len is 0"));
  CHECK(contains(refusal_with(mem, &H::mem_len, 4),
                 "byte offset 32: seq_len = 6 is less than twice mem_len = 4"));
}

TEST_CASE("sizes whose products overflow are refused before anything is allocated") {
  using H = Llama2cHeader;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  for (const Llama2cKind kind : kAllKinds)
    for (const auto field :
         {&H::hidden_dim, &H::vocab_size, &H::n_layers, &H::seq_len, &H::mem_len}) {
      if (field == &H::mem_len && kind != Llama2cKind::kV2Mem) continue;
      if (field == &H::seq_len && kind != Llama2cKind::kV0) continue;
      const int64_t value = field == &H::hidden_dim ? kMost - 3
                            : field == &H::n_layers ? 4096
                                                    : kMost;
      const size_t peak =
          heap_peak_of([&] { CHECK(contains(refusal_with(kind, field, value), "byte offset ")); });
      CHECK(peak < size_t{16} << 20);
    }
  Llama2cHeader huge = small_header(Llama2cKind::kV2);
  huge.dim = huge.hidden_dim = huge.vocab_size = int64_t{1} << 30;
  CHECK(contains(refusal(llama2c_file(huge, small_header(Llama2cKind::kV2))),
                 "the file ends too early"));
}

TEST_CASE("unknown versions and flags are refused, scales that are not numbers are data") {
  Bytes bytes = llama2c_file(small_header(Llama2cKind::kV2));
  Bytes changed = bytes;
  changed[4] = std::byte{3};
  CHECK(contains(refusal(changed), "byte offset 4: version 3 is unknown"));
  changed = bytes;
  changed[36] = std::byte{7};
  CHECK(contains(refusal(changed), "byte offset 36: the shared classifier flag is 7"));
  changed = bytes;
  std::fill(changed.end() - 40, changed.end(), std::byte{0xFF});
  CHECK(refusal(changed).empty());
}

TEST_CASE("real llama2.c models open") {
  for (const char* name :
       {"models/stories260K/stories260K.bin", "models/stories260K/stories260K-v1.bin",
        "models/babyllama/model5000.bin"}) {
    const std::string path = shared_data(name);
    if (!std::filesystem::exists(path)) {
      MESSAGE("skipped, absent: ", path);
      continue;
    }
    CHECK(Model::open(path).weights().size() > 20);
  }
}
