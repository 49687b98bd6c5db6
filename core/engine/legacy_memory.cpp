// SPDX-License-Identifier: Apache-2.0

#include "core/engine/legacy_memory.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/checked.hpp"
#include "core/base/mapped_file.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/model/formats/foreign_file.hpp"

namespace perdure {
namespace {

// Sizes of a file and where its parts begin, in floats.
struct FileShape {
  int64_t n_layers = 0, mem_len = 0, train_length = 0, columns = 0;

  int64_t memory_of(int64_t layer) const { return layer * mem_len * columns; }
  int64_t keys_of(int64_t layer) const {
    return memory_of(n_layers) + layer * train_length * columns;
  }
  int64_t values_of(int64_t layer) const {
    return keys_of(n_layers) + layer * train_length * columns;
  }
  int64_t n_floats() const { return values_of(n_layers); }
  int64_t size_bytes() const { return n_floats() * 4 + 4; }
};

int64_t memory_rows(const Engine& engine) {
  const auto& options = engine.strategy_options().front().all();
  const auto given = options.find("mem_len");
  const int64_t rows = given == options.end() ? 0 : std::get<int64_t>(given->second);
  return rows != 0 ? rows : engine.spec().info.mem_len;
}

std::string state_name(int64_t layer, const char* name) {
  return "blk." + std::to_string(layer) + "." + name;
}

// Errors: Error if the session has state that such a file cannot hold.
FileShape shape_for(const Engine& engine, const Session& session) {
  const ModelInfo& info = engine.spec().info;
  std::vector<std::string> expected;
  for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) {
    for (const char* name : {"mem_raw", "attn_k", "attn_v"})
      expected.push_back(state_name(layer, name));
  }
  std::vector<std::string> found = session.state_names();
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  if (found != expected) {
    throw Error(
        "memory files of llama2Rnn hold memory attention only: set attention.strategy to memory "
        "for all layers, without ema");
  }
  if (info.num_key_value_heads != info.num_attention_heads) {
    throw Error("memory files of llama2Rnn cannot hold a model with grouped heads (" +
                std::to_string(info.num_attention_heads) + " heads, " +
                std::to_string(info.num_key_value_heads) +
                " key-value heads): use `perdure memory export` without --legacy");
  }
  FileShape shape{info.num_hidden_layers, memory_rows(engine), info.train_length, info.hidden_size};
  if (shape.train_length < 2 * shape.mem_len) {
    throw Error("memory files of llama2Rnn need a model trained at twice its " +
                std::to_string(shape.mem_len) + " memory rows or more, this one was at " +
                std::to_string(shape.train_length));
  }
  checked_mul(checked_mul(shape.n_layers, shape.columns, "the memory"),
              checked_mul(shape.train_length, 3 * 4, "the memory"), "the memory");
  return shape;
}

std::vector<float> floats_at(std::span<const std::byte> file, int64_t first, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::memcpy(values.data(), file.data() + first * 4, values.size() * sizeof(float));
  return values;
}

// Rows of the running chunk that a token may still attend to.
int64_t chunk_rows(int64_t position, int64_t mem_len) { return position % mem_len; }

}  // namespace

void import_legacy_memory(Engine& engine, Session& session, const std::string& path) {
  const FileShape shape = shape_for(engine, session);
  const MappedFile mapped(path);
  const std::span<const std::byte> file = mapped.bytes();
  if (static_cast<int64_t>(file.size()) != shape.size_bytes()) {
    if (!file.empty()) refuse_foreign_file(file, path, Wanted::kSession);
    throw Error(path + " is not a memory of this model: it has " + std::to_string(file.size()) +
                " bytes, expected " + std::to_string(shape.size_bytes()) + " (" +
                std::to_string(shape.n_layers) + " layers, " + std::to_string(shape.mem_len) +
                " memory rows, " + std::to_string(shape.train_length) + " positions of " +
                std::to_string(shape.columns) + ")");
  }
  int32_t position = 0;
  std::memcpy(&position, file.data() + shape.n_floats() * 4, sizeof(position));
  if (position < 0 || position > shape.mem_len) {
    throw Error(path + ": the position at byte " + std::to_string(shape.n_floats() * 4) + " is " +
                std::to_string(position) + ", not within 0 to " + std::to_string(shape.mem_len));
  }
  const int64_t kept = (shape.mem_len + chunk_rows(position, shape.mem_len)) * shape.columns;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    session.write_state(state_name(layer, "mem_raw"), 0,
                        floats_at(file, shape.memory_of(layer), shape.mem_len * shape.columns));
    session.write_state(state_name(layer, "attn_k"), 0,
                        floats_at(file, shape.keys_of(layer), kept));
    session.write_state(state_name(layer, "attn_v"), 0,
                        floats_at(file, shape.values_of(layer), kept));
  }
  session.set_position(position);
  session.impl().tail.clear();
}

void export_legacy_memory(const Engine& engine, const Session& session, const std::string& path,
                          FileRules rules) {
  const FileShape shape = shape_for(engine, session);
  std::vector<std::byte> file(static_cast<size_t>(shape.size_bytes()));
  const auto put = [&](const std::string& state, int64_t rows, int64_t first) {
    const std::vector<float> values = session.read_state(state, 0, rows);
    std::memcpy(file.data() + first * 4, values.data(), values.size() * sizeof(float));
  };
  const int64_t in_chunk = chunk_rows(session.position(), shape.mem_len);
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    put(state_name(layer, "mem_raw"), shape.mem_len, shape.memory_of(layer));
    put(state_name(layer, "attn_k"), shape.mem_len + in_chunk, shape.keys_of(layer));
    put(state_name(layer, "attn_v"), shape.mem_len + in_chunk, shape.values_of(layer));
  }
  const bool at_end = in_chunk == 0 && session.position() > 0;
  const auto position = static_cast<int32_t>(at_end ? shape.mem_len : in_chunk);
  std::memcpy(file.data() + shape.n_floats() * 4, &position, sizeof(position));
  write_file(path, file, rules);
}

}  // namespace perdure
