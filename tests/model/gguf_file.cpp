// SPDX-License-Identifier: Apache-2.0

#include "tests/model/gguf_file.hpp"

#include <algorithm>
#include <functional>

namespace perdure::test {

void GgufFile::set(const std::string& name, GgufType type, std::string value) {
  const Key key{name, static_cast<uint32_t>(type), std::move(value)};
  const auto found = std::ranges::find(keys, name, &Key::name);
  if (found == keys.end())
    keys.push_back(key);
  else
    *found = key;
}

void GgufFile::set_texts(const std::string& name, const std::vector<std::string>& values) {
  std::string elements;
  for (const std::string& value : values) elements += raw_text(value);
  set(name, GgufType::kArray, raw_array(GgufType::kText, values.size(), elements));
}

void GgufFile::set_reals(const std::string& name, const std::vector<float>& values) {
  std::string elements;
  for (const float value : values) elements += raw(value);
  set(name, GgufType::kArray, raw_array(GgufType::kF32, values.size(), elements));
}

void GgufFile::erase(const std::string& name) {
  std::erase_if(keys, [&](const Key& key) { return key.name == name; });
}

GgufFile::Tensor& GgufFile::tensor(const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  if (found == tensors.end()) throw Error("the test's file has no tensor " + name);
  return *found;
}

void GgufFile::add(const std::string& name, std::vector<uint64_t> shape) {
  uint64_t n = 1;
  for (const uint64_t size : shape) n *= size;
  const size_t seed = std::hash<std::string>()(name) % 1000;
  std::string data;
  for (uint64_t i = 0; i < n; ++i)
    data += raw(static_cast<float>((seed + i * 37) % 101) * 0.01f - 0.5f);
  tensors.push_back({name, std::move(shape), 0, std::move(data)});
}

std::string GgufFile::text() const {
  std::string file = magic + raw(version) + raw(n_tensors.value_or(tensors.size())) +
                     raw(n_keys.value_or(keys.size()));
  for (const Key& key : keys) file += raw_text(key.name) + raw(key.type) + key.value;
  std::string data;
  for (const Tensor& t : tensors) {
    file += raw_text(t.name) + raw(static_cast<uint32_t>(t.shape.size()));
    for (const uint64_t n : t.shape) file += raw(n);
    file += raw(t.type) + raw(t.offset.value_or(data.size()));
    data += t.data;
    data.resize((data.size() + alignment - 1) / alignment * alignment);
  }
  file.resize((file.size() + alignment - 1) / alignment * alignment);
  return file + data;
}

GgufFile small_gguf(const std::string& architecture) {
  GgufFile file;
  const std::string prefix = architecture + ".";
  file.set_text("general.architecture", architecture);
  file.set_u32(prefix + "context_length", 64);
  file.set_u32(prefix + "embedding_length", 8);
  file.set_u32(prefix + "block_count", 1);
  file.set_u32(prefix + "feed_forward_length", 12);
  file.set_u32(prefix + "attention.head_count", 2);
  file.set_u32(prefix + "attention.head_count_kv", 1);
  file.set_f32(prefix + "attention.layer_norm_rms_epsilon", 1e-6f);
  file.set_f32(prefix + "rope.freq_base", 10000.0f);
  file.add("token_embd.weight", {8, 6});
  file.add("output_norm.weight", {8});
  file.add("blk.0.attn_norm.weight", {8});
  file.add("blk.0.attn_q.weight", {8, 8});
  file.add("blk.0.attn_k.weight", {8, 4});
  file.add("blk.0.attn_v.weight", {8, 4});
  file.add("blk.0.attn_output.weight", {8, 8});
  file.add("blk.0.ffn_norm.weight", {8});
  file.add("blk.0.ffn_gate.weight", {8, 12});
  file.add("blk.0.ffn_up.weight", {8, 12});
  file.add("blk.0.ffn_down.weight", {12, 8});
  return file;
}

}  // namespace perdure::test
