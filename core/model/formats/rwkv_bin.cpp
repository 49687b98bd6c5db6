// SPDX-License-Identifier: Apache-2.0

// The header, then record after record; every count is checked against the bytes that are left
// before anything is made of it.
#include "core/model/formats/rwkv_bin.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/model/architectures/metadata.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"

namespace perdure {
namespace {

constexpr uint32_t kMagic = 0x67676d66;
constexpr double kVersion5Eps = 1e-5;  // what rwkv.cpp computes with
// Far above any model; they bound what a small malicious file could ask for.
constexpr int64_t kMostLayers = Metadata::kMostLayers;
constexpr int64_t kMostNameBytes = 64;
constexpr int64_t kMostTensorsPerLayer = 48, kMostOtherTensors = 16;

// The numbers of the format's types, with what they are here.
struct FileType {
  const char* name;
  int dtype;
};
constexpr int kRemoved = -1, kUnreadable = -2;
constexpr FileType kTypes[] = {
    {"FP32", PERDURE_F32},  {"FP16", PERDURE_F16},  {"Q4_0", PERDURE_Q4_0}, {"Q4_1", PERDURE_Q4_1},
    {"Q4_1_O", kRemoved},   {"Q4_2", kRemoved},     {"Q4_3", kRemoved},     {"Q5_0", PERDURE_Q5_0},
    {"Q5_1", PERDURE_Q5_1}, {"Q8_0", PERDURE_Q8_0}, {"Q8_1", kUnreadable},
};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {
    file_.path = path;
    file_.converted = true;
    file_.group_norm_eps = [](int64_t version, int64_t) {
      return version == 5 ? kVersion5Eps : kRwkvGroupNormEps;
    };
  }

  RwkvFile run() {
    read_header();
    while (at_ < size()) read_record();
    check_sizes();
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(int64_t offset, const std::string& what) const {
    throw Error(path_ + ": byte offset " + std::to_string(offset) + ": " + what);
  }

  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }

  int64_t integer(const char* what) {
    int32_t value = 0;
    if (size() - at_ < static_cast<int64_t>(sizeof value))
      fail(at_, std::string("the file ends inside ") + what);
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += static_cast<int64_t>(sizeof value);
    return value;
  }

  int64_t positive(const char* name, const char* where) {
    const int64_t offset = at_, value = integer(where);
    if (value < 1)
      fail(offset, std::string(name) + " is " + std::to_string(value) + " but must be at least 1");
    return value;
  }

  // The next integer as a type that can be read.
  const FileType& type(const char* where) {
    const int64_t offset = at_, number = integer(where);
    if (number < 0 || number >= std::ssize(kTypes))
      fail(offset, "the type " + std::to_string(number) + " is unknown");
    const FileType& type = kTypes[number];
    if (type.dtype == kRemoved)
      fail(offset, std::string("the type ") + type.name +
                       " was removed from the format; convert and quantise the model again");
    if (type.dtype == kUnreadable)
      fail(offset, std::string("the type ") + type.name + " is not one of weights");
    if (version_ == 100 && type.dtype > PERDURE_F16)
      fail(offset, std::string("version 100 with the type ") + type.name +
                       " had another layout; convert and quantise the model again");
    return type;
  }

  void read_header() {
    constexpr const char* kHeader = "the header of 24 bytes";
    if (static_cast<uint32_t>(integer(kHeader)) != kMagic)
      fail(0, "an rwkv.cpp file must begin with the bytes 66 6d 67 67");
    version_ = integer(kHeader);
    if (version_ != 100 && version_ != 101)
      fail(4,
           "version " + std::to_string(version_) + " is unknown; versions 100 and 101 can be read");
    n_vocab_ = positive("n_vocab", kHeader);
    n_embed_ = positive("n_embed", kHeader);
    n_layers_ = positive("n_layer", kHeader);
    if (n_layers_ > kMostLayers)
      fail(16, "n_layer is " + std::to_string(n_layers_) + ", more than " +
                   std::to_string(kMostLayers));
    const FileType& of_file = type(kHeader);
    file_.format = "rwkv.cpp " + std::to_string(version_) + ", " + of_file.name;
  }

  void read_record() {
    constexpr const char* kRecord = "the header of a tensor";
    const int64_t start = at_;
    const int64_t n_dimensions = integer(kRecord);
    if (n_dimensions < 1 || n_dimensions > 3)
      fail(start,
           "a tensor has " + std::to_string(n_dimensions) + " dimensions but 1 to 3 are possible");
    const int64_t name_bytes = integer(kRecord);
    if (name_bytes < 1 || name_bytes > kMostNameBytes)
      fail(start + 4,
           "a tensor's name has " + std::to_string(name_bytes) + " bytes but 1 to 64 are possible");
    const FileType& stored = type(kRecord);
    RwkvTensor tensor{.weight = {.dtype = static_cast<perdure_dtype>(stored.dtype)}};
    for (int64_t i = 0; i < n_dimensions; ++i)  // the fastest axis comes first
      tensor.shape.insert(tensor.shape.begin(), positive("a size of a tensor", kRecord));
    const std::string name = take_name(name_bytes);
    tensor.weight.data = bytes_.data() + at_;
    take_data(name, stored, tensor.shape);
    add(start, name, std::move(tensor));
  }

  std::string take_name(int64_t n) {
    if (size() - at_ < n) fail(at_, "the file ends inside a tensor's name");
    std::string name(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(n));
    if (!std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; }))
      fail(at_, "a tensor's name has characters that are not printable ASCII");
    at_ += n;
    return name;
  }

  void take_data(const std::string& name, const FileType& stored,
                 const std::vector<int64_t>& shape) {
    const std::string which = "the tensor '" + name + "'";
    const int64_t row_bytes = perdure_row_bytes(static_cast<uint32_t>(stored.dtype), shape.back());
    if (row_bytes == 0)
      fail(at_, which + " of type " + stored.name + " has rows of " + std::to_string(shape.back()) +
                    " values, which is not a multiple of 32");
    int64_t needed = row_bytes;
    for (size_t i = 0; i + 1 < shape.size(); ++i)
      needed = checked_mul(needed, shape[i], (path_ + ": " + which).c_str());
    if (needed > size() - at_)
      fail(at_, which + " needs " + std::to_string(needed) + " bytes but the file has only " +
                    std::to_string(size() - at_) + " more");
    at_ += needed;
  }

  void add(int64_t start, const std::string& name, RwkvTensor tensor) {
    if (!file_.tensors.emplace(name, std::move(tensor)).second)
      fail(start, "the tensor '" + name + "' is in the file twice");
    if (std::ssize(file_.tensors) > kMostTensorsPerLayer * n_layers_ + kMostOtherTensors)
      fail(start,
           "the file has more tensors than " + std::to_string(n_layers_) + " layers can have");
  }

  bool has(std::string_view name) const { return file_.tensors.contains(name); }

  // The header against the tensors.
  void check_sizes() const {
    const auto embedding = file_.tensors.find("emb.weight");
    if (embedding == file_.tensors.end())
      throw Error(path_ + ": the tensor 'emb.weight' is missing");
    if (embedding->second.shape != std::vector{n_vocab_, n_embed_})
      throw Error(path_ + ": the tensor 'emb.weight' is not of the header's n_vocab " +
                  std::to_string(n_vocab_) + " and n_embed " + std::to_string(n_embed_));
    const auto norm_of = [](int64_t layer) {
      return "blocks." + std::to_string(layer) + ".ln1.weight";
    };
    if (!has(norm_of(n_layers_ - 1)))
      throw Error(path_ + ": the tensor '" + norm_of(n_layers_ - 1) +
                  "' is missing, but n_layer is " + std::to_string(n_layers_));
    if (has(norm_of(n_layers_)))
      throw Error(path_ + ": the tensor '" + norm_of(n_layers_) + "' is there, but n_layer is " +
                  std::to_string(n_layers_));
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
  RwkvFile file_;
  int64_t at_ = 0;
  int64_t version_ = 0, n_vocab_ = 0, n_embed_ = 0, n_layers_ = 0;
};

}  // namespace

bool is_rwkv_bin(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof kMagic && std::memcmp(bytes.data(), &kMagic, sizeof kMagic) == 0;
}

RwkvFile read_rwkv_bin_tensors(std::span<const std::byte> bytes, const std::string& path) {
  return Reader(bytes, path).run();
}

Model read_rwkv_bin(std::span<const std::byte> bytes, const std::string& path) {
  return rwkv_model(read_rwkv_bin_tensors(bytes, path));
}

ModelFormat rwkv_bin_format() {
  return {.recognises = [](const ModelSource& source) { return is_rwkv_bin(source.bytes()); },
          .read =
              [](ModelSource source) {
                Model model = read_rwkv_bin(source.bytes(), source.path);
                ModelBuilder::keep(model, std::move(*source.file));
                return model;
              }};
}

}  // namespace perdure
