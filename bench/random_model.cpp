// SPDX-License-Identifier: Apache-2.0

// Writes llama2.c models of well-known shapes with random weights, and a tokenizer for them, to be
// timed:
//   bench_random_model 15m OUT.v0.bin OUT.v2.bin OUT.v2mem.bin OUT.tokenizer.bin
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/model/formats/llama2c_writer.hpp"

namespace {

struct Shape {
  int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len;
};

// The shapes of the llama2.c family's published models; the vocabulary's matrix is not shared.
const std::map<std::string, Shape> kShapes{{"15m", {288, 768, 6, 6, 6, 32000, 1024}},
                                           {"42m", {512, 1376, 8, 8, 8, 32000, 1024}},
                                           {"110m", {768, 2048, 12, 12, 12, 32000, 1024}}};

template <class T>
void put(std::ofstream& file, const T& value) {
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

// A version 0 file (specification of llama2Rnn, section 1.1): header, then all weights as F32.
void write_v0(const Shape& s, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  for (const int32_t field :
       {s.dim, s.hidden_dim, s.n_layers, s.n_heads, s.n_kv_heads, -s.vocab_size, s.seq_len})
    put(file, field);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  auto matrix = [&](int64_t rows, int64_t columns) {
    std::vector<float> values(static_cast<size_t>(columns));
    for (int64_t r = 0; r < rows; ++r) {
      for (float& v : values) v = normal(random);
      file.write(reinterpret_cast<const char*>(values.data()),
                 static_cast<std::streamsize>(values.size() * 4));
    }
  };
  auto ones = [&](int64_t n) {
    for (int64_t i = 0; i < n; ++i) put(file, 1.0f);
  };
  const int64_t l = s.n_layers, d = s.dim, h = s.hidden_dim, head_size = d / s.n_heads,
                kv = head_size * s.n_kv_heads;
  matrix(s.vocab_size, d);
  ones(l * d);
  matrix(l * d, d);
  matrix(l * kv, d);
  matrix(l * kv, d);
  matrix(l * d, d);
  ones(l * d);
  matrix(l * h, d);
  matrix(l * d, h);
  matrix(l * h, d);
  ones(d);
  matrix(s.seq_len, head_size);  // the old rotation tables, which every reader skips
  matrix(s.vocab_size, d);
}

// A version 2 file with memory (section 1.1): q80 groups of 32, `mem_len` rows of initial memory.
void write_v2_mem(const Shape& s, int32_t mem_len, const std::string& path) {
  constexpr int32_t kGroup = 32;
  std::ofstream file(path, std::ios::binary);
  for (const uint32_t field : {0x616B3432u, 2u}) put(file, field);
  for (const int32_t field :
       {s.dim, s.hidden_dim, s.n_layers, s.n_heads, s.n_kv_heads, s.vocab_size, s.seq_len, mem_len})
    put(file, field);
  put(file, uint8_t{0});
  put(file, kGroup);
  file.seekp(256);
  std::mt19937 random(2);
  const int64_t l = s.n_layers, d = s.dim, h = s.hidden_dim, kv = d / s.n_heads * s.n_kv_heads;
  auto reals = [&](int64_t n, float scale) {
    for (int64_t i = 0; i < n; ++i)
      put(file, scale == 0.0f ? 1.0f : scale * (static_cast<float>(random() % 2001) - 1000.0f));
  };
  auto quantised = [&](int64_t n) {
    for (int64_t i = 0; i < n; ++i)
      put(file, static_cast<int8_t>(static_cast<int>(random() % 255) - 127));
    for (int64_t i = 0; i < n / kGroup; ++i) put(file, 0.0004f);
  };
  reals(4 * l * d, 0.0f);
  reals(l * mem_len * d, 0.001f);
  reals(d, 0.0f);
  quantised(s.vocab_size * d);
  for (const int64_t n : {d * d, kv * d, kv * d, d * d, h * d, d * h, h * d, h * d, d * h, h * d})
    for (int64_t i = 0; i < l; ++i) quantised(n);
  quantised(s.vocab_size * d);
}

void write_tokenizer(const Shape& s, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  put(file, int32_t{16});
  for (int32_t id = 0; id < s.vocab_size; ++id) {
    std::string piece = "t" + std::to_string(id);
    char byte[8];
    std::snprintf(byte, sizeof byte, "<0x%02X>", static_cast<unsigned>(id - 3) & 0xff);
    if (id >= 3 && id < 259) piece = byte;
    if (id < 3)
      piece = std::vector<std::string>{"<unk>", "\n<s>\n", "\n</s>\n"}[static_cast<size_t>(id)];
    if (id == 259) piece = " ";
    put(file, 0.0f);
    put(file, static_cast<int32_t>(piece.size()));
    file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || !kShapes.contains(argv[1])) {
    std::fprintf(
        stderr,
        "usage: bench_random_model 15m|42m|110m V0_FILE V2_FILE V2MEM_FILE TOKENIZER_FILE\n");
    return 2;
  }
  const Shape& shape = kShapes.at(argv[1]);
  write_v0(shape, argv[2]);
  perdure::write_llama2c(perdure::Model::open(argv[2]), perdure::Llama2cKind::kV2, 64, argv[3]);
  write_v2_mem(shape, 64, argv[4]);
  write_tokenizer(shape, argv[5]);
  return 0;
}
