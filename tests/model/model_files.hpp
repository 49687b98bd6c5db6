// SPDX-License-Identifier: Apache-2.0

// What the tests of this room share: golden files, synthetic files, the sentence of an Error, the
// peak of the heap.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/error.hpp"
#include "core/model/formats/llama2c_layout.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure::test {

using Bytes = std::vector<std::byte>;

inline std::string golden(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/llama2rnn/" + name;
}

// Models and tokenizers of the mission that are not in this repository; may be absent.
inline std::string shared_data(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/../shared/data/" + name;
}

inline Bytes as_bytes(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return Bytes(first, first + text.size());
}

inline Bytes read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return as_bytes(std::string((std::istreambuf_iterator<char>(file)), {}));
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

// The shapes of a safetensors file's tensors.
inline Shapes shapes_of(const std::string& path) {
  Shapes shapes;
  const SafetensorsFile file(path);
  for (const auto& [name, tensor] : file.tensors()) shapes[name] = tensor.shape;
  return shapes;
}

// A safetensors file of F32 zeros.
inline void write_zeros(const std::string& path, const Shapes& shapes) {
  std::vector<SafetensorsWriter::Declared> declared;
  size_t n_bytes = 0;
  for (const auto& [name, shape] : shapes) {
    declared.push_back({name, "F32", shape});
    size_t n = sizeof(float);
    for (const int64_t size : shape) n *= static_cast<size_t>(size);
    n_bytes += n;
  }
  SafetensorsWriter writer(path, declared);
  writer.write(std::vector<std::byte>(n_bytes));
  writer.close();
}

inline void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// The sentence of the Error that `action` throws; empty if it throws none. Checks what every
// refusal promises: less than a second of this thread (and one more for every 2 MB of the file), at
// most 64 MiB of heap beside `file_bytes`, and one line, however the file words what it is about.
std::string error_of(const std::function<void()>& action, size_t file_bytes = 0);

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

// A llama2.c file of zeros with `header`'s sizes; invalid sizes are written as they are, data as
// far as the layout of `layout_of` goes.
Bytes llama2c_file(const Llama2cHeader& header, const Llama2cHeader& layout_of);
inline Bytes llama2c_file(const Llama2cHeader& header) { return llama2c_file(header, header); }
// A small valid header of a kind.
Llama2cHeader small_header(Llama2cKind kind);

// The bytes of a safetensors file from its JSON header and as many zero bytes.
Bytes safetensors_file(std::string_view header, size_t data_bytes);

// The most bytes of heap that were in use at once while `action` ran, above what was in use before.
size_t heap_peak_of(const std::function<void()>& action);

}  // namespace perdure::test
