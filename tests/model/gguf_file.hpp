// SPDX-License-Identifier: Apache-2.0

// GGUF files made by hand: small valid models, and whatever a test wants to be wrong with them.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/formats/gguf.hpp"
#include "tests/model/model_files.hpp"

namespace perdure::test {

// A small llama that llama.cpp wrote in a type ("Q4_K").
inline std::string golden_gguf(const std::string& type) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/gguf/small-" + type + ".gguf";
}

// Bytes of a number as the file has it.
template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
inline std::string raw_text(std::string_view text) {
  return raw<uint64_t>(text.size()) + std::string(text);
}
// An array: `elements` as the file has them.
inline std::string raw_array(GgufType type, uint64_t count, const std::string& elements) {
  return raw(static_cast<uint32_t>(type)) + raw(count) + elements;
}

struct GgufFile {
  struct Key {
    std::string name;
    uint32_t type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> shape;
    uint32_t type = 0;  // F32
    std::string data;
    std::optional<uint64_t> offset = {};  // otherwise behind the tensor before
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> n_tensors = {}, n_keys = {};  // as claimed
  std::vector<Key> keys;
  std::vector<Tensor> tensors;
  size_t alignment = 32;

  // Replaces a key, or adds it.
  void set(const std::string& name, GgufType type, std::string value);
  void set_u32(const std::string& name, uint32_t value) { set(name, GgufType::kU32, raw(value)); }
  void set_f32(const std::string& name, float value) { set(name, GgufType::kF32, raw(value)); }
  void set_text(const std::string& name, std::string_view value) {
    set(name, GgufType::kText, raw_text(value));
  }
  void set_texts(const std::string& name, const std::vector<std::string>& values);
  void set_reals(const std::string& name, const std::vector<float>& values);
  void erase(const std::string& name);
  // The tensor of that name, which must be there.
  Tensor& tensor(const std::string& name);
  // An F32 tensor of values that follow from its name.
  void add(const std::string& name, std::vector<uint64_t> shape);

  std::string text() const;
  Bytes bytes() const { return as_bytes(text()); }
};

// A valid model: 8 columns, 2 heads of 4, 1 of keys and values, 12 in the feed-forward, 1 layer, 6
// tokens.
GgufFile small_gguf(const std::string& architecture = "llama");

}  // namespace perdure::test
