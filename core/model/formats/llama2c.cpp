// SPDX-License-Identifier: Apache-2.0

// Headers are checked field by field, then every tensor is placed by checked arithmetic; nothing is
// copied.
#include "core/model/formats/llama2c.hpp"

#include <cstdlib>
#include <cstring>

#include "core/base/checked.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr int64_t kMostLayers = Metadata::kMostLayers;

[[noreturn]] void fail(const std::string& path, int64_t offset, const std::string& what) {
  throw Error(path + ": byte offset " + std::to_string(offset) + ": " + what);
}

int32_t int_at(std::span<const std::byte> bytes, const std::string& path, int64_t offset) {
  if (static_cast<int64_t>(bytes.size()) < offset + 4)
    fail(path, static_cast<int64_t>(bytes.size()), "the file ends inside its header");
  int32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, 4);
  return value;
}

// Reads the header of one kind of file; offsets stay beside the fields for messages.
class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> bytes, const std::string& path)
      : bytes_(bytes), path_(path) {}

  Llama2cHeader read() {
    constexpr int64_t kGguf = 0x46554747;  // "GGUF", which read as a version 0 makes no sense
    if (integer(0) == kGguf)
      fail(path_, 0, "this is a GGUF file; a llama2.c .bin file or .safetensors is needed");
    if (static_cast<uint32_t>(integer(0)) != kLlama2cMagic) return read_v0();
    const int64_t version = integer(4);
    if (version != 1 && version != 2)
      fail(path_, 4,
           "version " + std::to_string(version) + " is unknown; versions 1 and 2 can be read");
    if (static_cast<int64_t>(bytes_.size()) < kLlama2cHeaderBytes)
      fail(path_, static_cast<int64_t>(bytes_.size()),
           "the file ends inside its header of 256 bytes");
    read_sizes(8);
    if (version == 1) return read_v1();
    return integer(41) == 0 ? read_v2() : read_v2_memory();
  }

 private:
  int64_t integer(int64_t offset) const { return int_at(bytes_, path_, offset); }

  int64_t positive(int64_t offset, const char* name) const {
    const int64_t value = integer(offset);
    if (value < 1)
      fail(path_, offset,
           std::string(name) + " is " + std::to_string(value) + " but must be at least 1");
    return value;
  }

  bool flag(int64_t offset) const {
    const int value = std::to_integer<int>(bytes_[static_cast<size_t>(offset)]);
    if (value > 1)
      fail(path_, offset,
           "the shared classifier flag is " + std::to_string(value) + ", not 0 or 1");
    return value == 1;
  }

  // The seven sizes that all kinds have, and the rules that bind them.
  void read_sizes(int64_t at) {
    h_.dim = positive(at, "dim");
    h_.hidden_dim = positive(at + 4, "hidden_dim");
    h_.n_layers = positive(at + 8, "n_layers");
    h_.n_heads = positive(at + 12, "n_heads");
    h_.n_kv_heads = positive(at + 16, "n_kv_heads");
    h_.seq_len = positive(at + 24, "seq_len");
    const std::string heads = std::to_string(h_.n_heads);
    if (h_.n_layers > kMostLayers)
      fail(path_, at + 8,
           "n_layers is " + std::to_string(h_.n_layers) + ", more than " +
               std::to_string(kMostLayers));
    if (h_.dim % h_.n_heads != 0)
      fail(path_, at + 12,
           "n_heads = " + heads + " does not divide dim = " + std::to_string(h_.dim));
    if (h_.head_size() % 2 != 0)
      fail(path_, at + 12,
           "the head size dim / n_heads = " + std::to_string(h_.head_size()) + " is odd");
    if (h_.n_heads % h_.n_kv_heads != 0)
      fail(path_, at + 16,
           "n_kv_heads = " + std::to_string(h_.n_kv_heads) + " does not divide n_heads = " + heads);
  }

  void read_group_size(int64_t offset) { h_.group_size = positive(offset, "the group size"); }

  Llama2cHeader read_v0() {
    read_sizes(0);
    const int64_t vocab = integer(20);
    if (vocab == 0) fail(path_, 20, "vocab_size is 0");
    h_.vocab_size = std::abs(vocab);
    h_.shared = vocab > 0;
    return h_;
  }

  Llama2cHeader read_v1() {
    h_.kind = Llama2cKind::kV1;
    h_.vocab_size = positive(28, "vocab_size");
    h_.shared = flag(36);
    return h_;
  }

  Llama2cHeader read_v2() {
    h_.kind = Llama2cKind::kV2;
    h_.vocab_size = positive(28, "vocab_size");
    h_.shared = flag(36);
    read_group_size(37);
    return h_;
  }

  Llama2cHeader read_v2_memory() {
    h_.kind = Llama2cKind::kV2Mem;
    h_.vocab_size = positive(28, "vocab_size");
    h_.mem_len = positive(36, "mem_len");
    h_.shared = flag(40);
    read_group_size(41);
    if (h_.seq_len < 2 * h_.mem_len)
      fail(path_, 32,
           "seq_len = " + std::to_string(h_.seq_len) + " is less than twice mem_len = " +
               std::to_string(h_.mem_len) + ", so the memory and a chunk do not fit");
    return h_;
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
  Llama2cHeader h_;
};

// Hands out stretches of the file one after the other.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& path, int64_t offset)
      : bytes_(bytes), path_(path), offset_(offset) {}

  const std::byte* take(int64_t count, int64_t value_bytes, const std::string& what) {
    const int64_t left = static_cast<int64_t>(bytes_.size()) - offset_;
    if (count > left / value_bytes)
      fail(path_, offset_,
           "the file ends too early: " + what + " needs " + std::to_string(count) + " values of " +
               std::to_string(value_bytes) + " bytes, " + std::to_string(left) + " bytes are left");
    const std::byte* at = bytes_.data() + offset_;
    offset_ += count * value_bytes;
    return at;
  }
  int64_t offset() const { return offset_; }
  [[noreturn]] void refuse(const std::string& sentence) const { fail(path_, offset_, sentence); }

 private:
  std::span<const std::byte> bytes_;
  const std::string& path_;
  int64_t offset_;
};

Weight take_weight(Cursor& cursor, const Llama2cTensor& t, int64_t group_size) {
  Weight w{.rows = t.rows, .columns = t.columns};
  const std::string what = t.name.empty() ? "the table of rotations" : t.name;
  const int64_t values = checked_mul(t.rows, t.columns, what.c_str());
  if (!t.quantised) {
    w.data = cursor.take(values, 4, what);
    return w;
  }
  w.dtype = PERDURE_Q80;
  w.group_size = group_size;
  if (values % group_size != 0)
    cursor.refuse("the group size " + std::to_string(group_size) + " does not divide the " +
                  std::to_string(values) + " values of " + what);
  w.data = cursor.take(values, 1, what);
  w.scales = cursor.take(values / group_size, 4, "the scales of " + what);
  return w;
}

// Groups run over the whole tensor. Where they do not end with its rows, kernels cannot read them,
// and the model owns the values as F32.
void add_weight(ModelBuilder& builder, const std::string& name, const Weight& weight) {
  if (weight.dtype != PERDURE_Q80 || weight.columns % weight.group_size == 0)
    return builder.add(name, weight);
  Weight flat = weight;
  flat.rows = 1;
  flat.columns = weight.rows * weight.columns;
  builder.add_owned(name, weight.rows, weight.columns, weight_values(flat));
}

const char* format_name(Llama2cKind kind) {
  switch (kind) {
    case Llama2cKind::kV0:
      return "llama2.c v0";
    case Llama2cKind::kV1:
      return "llama2.c v1";
    case Llama2cKind::kV2:
      return "llama2.c v2";
    case Llama2cKind::kV2Mem:
      return "llama2Rnn v2";
  }
  return "";
}

ModelSpec spec_of(const Llama2cHeader& h, const std::string& path) {
  Metadata m(path, {{"hidden_size", h.dim},
                    {"intermediate_size", h.hidden_dim},
                    {"num_hidden_layers", h.n_layers},
                    {"num_attention_heads", h.n_heads},
                    {"num_key_value_heads", h.n_kv_heads},
                    {"vocab_size", h.vocab_size},
                    {"max_position_embeddings", h.seq_len}});
  if (h.mem_len > 0) m.set("memory_length", h.mem_len);
  return read_spec("llama", m, format_name(h.kind));
}

}  // namespace

Llama2cHeader read_llama2c_header(std::span<const std::byte> bytes, const std::string& path) {
  return HeaderReader(bytes, path).read();
}

Model read_llama2c(std::span<const std::byte> bytes, const std::string& path) {
  const Llama2cHeader header = read_llama2c_header(bytes, path);
  Cursor cursor(bytes, path,
                header.kind == Llama2cKind::kV0 ? kLlama2cV0HeaderBytes : kLlama2cHeaderBytes);
  ModelBuilder builder;
  builder.spec() = spec_of(header, path);
  for (const Llama2cTensor& tensor : llama2c_layout(header)) {
    const Weight weight = take_weight(cursor, tensor, header.group_size);
    if (!tensor.name.empty()) add_weight(builder, tensor.name, weight);
  }
  const int64_t surplus = static_cast<int64_t>(bytes.size()) - cursor.offset();
  if (surplus != 0)
    fail(path, cursor.offset(),
         "the model ends here but the file has " + std::to_string(surplus) + " more bytes");
  return builder.take();
}

ModelFormat llama2c_format() {
  return {.recognises = [](const ModelSource& source) { return !source.is_folder(); },
          .read =
              [](ModelSource source) {
                Model model = read_llama2c(source.bytes(), source.path);
                ModelBuilder::keep(model, std::move(*source.file));
                return model;
              }};
}

}  // namespace perdure
