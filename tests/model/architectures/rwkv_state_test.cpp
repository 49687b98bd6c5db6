// SPDX-License-Identifier: Apache-2.0

// The states that sessions of an RWKV model begin with: those of a checkpoint, and those of a file
// of their own.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/model/architectures/rwkv.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/weight_values.hpp"
#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

constexpr const char* kWithMatrices[] = {"rand_v5.0", "rand_v5.1", "rand_v5.2", "rand_v6",
                                         "rand_v7"};

std::string golden_rwkv(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/" + name + "/model.safetensors";
}

// Shapes of the state file that fits a model.
Shapes shapes_for(const ModelInfo& info) {
  Shapes shapes;
  for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer)
    shapes["blocks." + std::to_string(layer) + ".att.time_state"] = {
        info.num_attention_heads, info.head_size, info.head_size};
  return shapes;
}

// A state file for a golden model, to be changed before it is read.
struct State {
  explicit State(const std::string& name)
      : model(golden_rwkv(name)), shapes(shapes_for(Model::open(model).spec().info)) {}

  // Tensors in the order of their names, values 1, 2, 3, ...
  std::string write() const {
    std::vector<SafetensorsWriter::Declared> declared;
    int64_t n = 0;
    for (const auto& [name, shape] : shapes) {
      declared.push_back({name, "F32", shape});
      int64_t size = 1;
      for (const int64_t s : shape) size *= s;
      n += size;
    }
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
    if (damaged != 0.0f) values.back() = damaged;
    SafetensorsWriter writer(path, declared);
    writer.write(std::as_bytes(std::span(values)));
    writer.close();
    return path;
  }
  Model open() const { return Model::open(model, write()); }
  std::string refusal() const {
    return error_of([&] { open(); });
  }

  perdure::testing::TemporaryFolder folder;
  std::string path = folder / "state.safetensors", model;
  Shapes shapes;
  float first = 1.0f, damaged = 0.0f;
};

std::vector<float> start_of(const Model& model, const std::string& layer) {
  const Weight* weight = model.find("blk." + layer + ".wkv_start");
  REQUIRE(weight != nullptr);
  return weight_values(*weight);
}

}  // namespace

TEST_CASE("a state file is what sessions of versions 5 to 7 begin with, turned") {
  for (const char* version : kWithMatrices) {
    CAPTURE(version);
    const State state(version);
    const Model model = state.open();
    const ModelInfo& info = model.spec().info;
    const int64_t n = info.head_size;
    CHECK(info.sizes.at("rwkv.tuned_states") == 1);
    const std::vector<float> start = start_of(model, "1");
    REQUIRE(std::ssize(start) == info.hidden_size * n);
    const int64_t head = info.num_attention_heads - 1, key = 3, value = 5;
    // The file: layer, head, value, key; the model: layer, head, key, value.
    CHECK(start[static_cast<size_t>((head * n + key) * n + value)] ==
          static_cast<float>(1 + info.hidden_size * n + (head * n + value) * n + key));
  }
}

TEST_CASE("a checkpoint of versions 5 to 7 may bring its first state, one of version 4 may not") {
  const auto with_state = [](const std::string& version, std::vector<int64_t> shape) {
    const Bytes bytes = read_bytes(golden_rwkv(version));
    RwkvFile file{.path = "m", .format = "a test"};
    for (const auto& [name, tensor] : read_safetensors(bytes, "m"))
      file.tensors[name] = {tensor.shape, {.data = tensor.bytes.data()}};
    const std::vector<float> values(size_t{1} << 16, 0.5f);
    for (const char* layer : {"0", "1"})
      file.tensors["blocks." + std::string(layer) + ".att.time_state"] = {shape,
                                                                          {.data = values.data()}};
    const Model model = rwkv_model(file);
    return start_of(model, "0").front();
  };
  for (const char* version : kWithMatrices) {
    const ModelInfo info = Model::open(golden_rwkv(version)).spec().info;
    CHECK(with_state(version, {info.num_attention_heads, info.head_size, info.head_size}) == 0.5f);
  }
  CHECK(error_of([&] { with_state("rand_v4", {1, 32, 32}); }) ==
        "m: the tensor 'blocks.0.att.time_state' cannot be: version 4 keeps vectors, no matrices");
}

TEST_CASE("a state file changes the model's identity by its own hash, not by that of the weights") {
  const Model plain = Model::open(golden_rwkv("rand_v7"));
  State state("rand_v7");
  const Model one = state.open(), again = state.open();
  state.first = 2.0f;
  const Model other = state.open();
  CHECK(plain.spec().initial_state.empty());
  CHECK(one.spec().initial_state == again.spec().initial_state);
  CHECK(one.spec().initial_state != other.spec().initial_state);
  CHECK(one.weights_hash() == plain.weights_hash());
  CHECK(other.weights_hash() == plain.weights_hash());
}

TEST_CASE("a state for another model is refused with the tensor that shows it") {
  State missing("rand_v7");
  missing.shapes.erase("blocks.1.att.time_state");
  CHECK(missing.refusal() == missing.path +
                                 ": the tensor 'blocks.1.att.time_state' is missing; the model has "
                                 "2 layers");
  State deeper("rand_v7");
  deeper.shapes["blocks.2.att.time_state"] = {3, 16, 16};
  CHECK(deeper.refusal() ==
        deeper.path +
            ": the tensor 'blocks.2.att.time_state' is not a state of the model's layers; a state "
            "file has blocks.N.att.time_state for N from 0 to 1 and nothing else");
  State wider("rand_v7");
  wider.shapes["blocks.1.att.time_state"] = {4, 16, 16};
  CHECK(wider.refusal() == wider.path +
                               ": the tensor 'blocks.1.att.time_state' has the shape [4, 16, 16] "
                               "but [3, 16, 16] is needed");
  State flat("rand_v7");
  flat.shapes["blocks.0.att.time_state"] = {3 * 16 * 16};
  CHECK(contains(flat.refusal(), "has the shape [768] but [3, 16, 16] is needed"));
}

TEST_CASE("a state says for which version it is, where its writer knew") {
  const perdure::testing::TemporaryFolder folder;
  const std::string path = folder / "s.safetensors";
  const auto refusal_with = [&](const std::string& metadata) {
    const Bytes bytes = safetensors_file(
        "{\"__metadata__\":{" + metadata +
            "},\"blocks.0.att.time_state\":{\"dtype\":\"F32\",\"shape\":[3,16,16],"
            "\"data_offsets\":[0,3072]},\"blocks.1.att.time_state\":{\"dtype\":\"F32\","
            "\"shape\":[3,16,16],\"data_offsets\":[3072,6144]}}",
        6144);
    write_text(path, as_text(bytes));
    return error_of([&] { Model::open(golden_rwkv("rand_v7"), path); });
  };
  CHECK(refusal_with("\"rwkv_version\":\"6\"") ==
        path + ": this is a state of RWKV 6, but the model is RWKV 7");
  CHECK(refusal_with("\"rwkv_version\":\"7\"").empty());
  CHECK(refusal_with("").empty());
}

TEST_CASE("a state with values that no session could keep is refused") {
  for (const float wrong : {std::numeric_limits<float>::infinity(), std::nanf(""), -2e30f}) {
    State state("rand_v6");
    state.damaged = wrong;
    CHECK(state.refusal() == state.path +
                                 ": the tensor 'blocks.1.att.time_state' has a value that is not "
                                 "finite or beyond 1e30");
  }
}

TEST_CASE("models without such states are refused in one sentence") {
  const State state("rand_v7");
  const std::string path = state.write();
  CHECK_THROWS_WITH_AS(Model::open(golden_rwkv("rand_v4"), path),
                       "model.initial_state: version 4 of RWKV keeps vectors, and a state file has "
                       "matrices for versions 5 to 7",
                       UsageError);
  CHECK_THROWS_WITH_AS(Model::open(golden("models/llama.v0.bin"), path),
                       "model.initial_state is for RWKV models of versions 5 to 7; sessions of a "
                       "'llama' begin with nothing that a file could give",
                       UsageError);
}

TEST_CASE("what is no state file is named as what it is") {
  const perdure::testing::TemporaryFolder folder;
  const auto refusal_of = [&](const char* name, std::string_view bytes) {
    write_text(folder / name, bytes);
    return error_of([&] { Model::open(golden_rwkv("rand_v7"), folder / name); });
  };
  CHECK(contains(refusal_of("s.pth", "PK\x03\x04"), "train.py convert-rwkv IN.pth"));
  CHECK(contains(refusal_of("s.safetensors", "version https://git-lfs"), "is a Git LFS pointer"));
  CHECK(contains(refusal_of("t.safetensors", "12"), "byte offset"));
  CHECK(contains(error_of([&] { Model::open(golden_rwkv("rand_v7"), golden_rwkv("rand_v7")); }),
                 "the tensor 'blocks.0.att.a0' is not a state of the model's layers"));
  CHECK(contains(error_of([&] { Model::open(golden_rwkv("rand_v7"), folder / "none"); }), "none"));
}

TEST_CASE("a state in the place of a model is named as one") {
  const State state("rand_v7");
  CHECK(error_of([&] { Model::open(state.write()); }) ==
        state.path +
            ": this is a state that sessions of a model begin with, not a model; give it as "
            "model.initial_state");
}
