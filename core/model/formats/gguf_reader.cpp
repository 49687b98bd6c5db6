// SPDX-License-Identifier: Apache-2.0

// Everything is read in the file's order; counts are compared with the bytes that are left before
// anything is kept. Names stay where they are, so that a file full of them costs little beside
// itself.
#include <algorithm>
#include <limits>

#include "core/base/checked.hpp"
#include "core/model/formats/gguf_bytes.hpp"

namespace perdure {
namespace {

constexpr std::string_view kMagic = "GGUF";
// Far above any model; they bound what a small hostile file could make us keep.
constexpr uint64_t kMostKeys = 65536, kMostTensors = 65536;
constexpr uint64_t kMostNameBytes = 65535;
constexpr int64_t kMostAlignment = int64_t{1} << 20;
constexpr uint32_t kMostDimensions = 4;

struct TensorType {
  uint32_t id;
  const char* name;
  int dtype;  // enum perdure_dtype; -1: not supported
};

constexpr TensorType kTensorTypes[] = {
    {0, "F32", PERDURE_F32},
    {1, "F16", PERDURE_F16},
    {30, "BF16", PERDURE_BF16},
    {2, "Q4_0", PERDURE_Q4_0},
    {3, "Q4_1", PERDURE_Q4_1},
    {6, "Q5_0", PERDURE_Q5_0},
    {7, "Q5_1", PERDURE_Q5_1},
    {8, "Q8_0", PERDURE_Q8_0},
    {12, "Q4_K", PERDURE_Q4_K},
    {13, "Q5_K", PERDURE_Q5_K},
    {14, "Q6_K", PERDURE_Q6_K},
    {9, "Q8_1", -1},
    {10, "Q2_K", -1},
    {11, "Q3_K", -1},
    {15, "Q8_K", -1},
    {16, "IQ2_XXS", -1},
    {17, "IQ2_XS", -1},
    {18, "IQ3_XXS", -1},
    {19, "IQ1_S", -1},
    {20, "IQ4_NL", -1},
    {21, "IQ3_S", -1},
    {22, "IQ2_S", -1},
    {23, "IQ4_XS", -1},
    {24, "I8", -1},
    {25, "I16", -1},
    {26, "I32", -1},
    {27, "I64", -1},
    {28, "F64", -1},
    {29, "IQ1_M", -1},
    {34, "TQ1_0", -1},
    {35, "TQ2_0", -1},
    {39, "MXFP4", -1},
};

}  // namespace

uint32_t gguf_type_id(perdure_dtype dtype) {
  return std::ranges::find(kTensorTypes, static_cast<int>(dtype), &TensorType::dtype)->id;
}

bool is_gguf(std::span<const std::byte> bytes) { return as_text(bytes).starts_with(kMagic); }

// Walks through the file once.
class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, Gguf& file) : bytes_(bytes), file_(file) {}

  void run() {
    read_version();
    const int64_t counts_at = at_;
    const auto n_tensors = number<uint64_t>("the number of tensors");
    const auto n_keys = number<uint64_t>("the number of keys");
    if (n_tensors > kMostTensors) fail(counts_at, too_many(n_tensors, "tensors", kMostTensors));
    if (n_keys > kMostKeys) fail(counts_at + 8, too_many(n_keys, "keys", kMostKeys));
    for (uint64_t i = 0; i < n_keys; ++i) read_key();
    for (uint64_t i = 0; i < n_tensors; ++i) read_tensor();
    place_tensors();
  }

 private:
  static std::string too_many(uint64_t n, const char* what, uint64_t most) {
    return "the file claims " + std::to_string(n) + " " + what + ", more than " +
           std::to_string(most);
  }

  [[noreturn]] void fail(int64_t offset, const std::string& what) const {
    fail_at(file_.path_, offset, what);
  }

  uint64_t left() const { return bytes_.size() - static_cast<uint64_t>(at_); }

  std::span<const std::byte> take(uint64_t n, const std::string& what) {
    if (n > left())
      fail(at_, "the file ends inside " + what + ", which needs " + std::to_string(n) +
                    " bytes where " + std::to_string(left()) + " are left");
    const auto taken = bytes_.subspan(static_cast<size_t>(at_), static_cast<size_t>(n));
    at_ += static_cast<int64_t>(n);
    return taken;
  }

  template <class T>
  T number(const std::string& what) {
    return number_at<T>(take(sizeof(T), what).data());
  }

  std::string_view name(const char* what) {
    const int64_t start = at_;
    const auto length = number<uint64_t>(std::string("the length of ") + what);
    if (length == 0 || length > kMostNameBytes)
      fail(start, std::string(what) + " has " + std::to_string(length) +
                      " bytes; 1 to 65535 are possible");
    return as_text(take(length, what));
  }

  void read_version() {
    if (!is_gguf(bytes_)) fail(0, "the file does not begin with GGUF");
    at_ = static_cast<int64_t>(kMagic.size());
    const auto version = number<uint32_t>("the version");
    if (version == 2 || version == 3) return;
    if ((version & 0xffffu) == 0)
      fail(4, "the file is of a big-endian machine; only little-endian ones can be read");
    fail(4, "GGUF version " + std::to_string(version) + " is unknown; 2 and 3 can be read");
  }

  GgufType type(const std::string& what) {
    const int64_t start = at_;
    const auto id = number<uint32_t>("the type of " + what);
    if (id > static_cast<uint32_t>(GgufType::kF64))
      fail(start, what + " has the type " + std::to_string(id) + ", which is unknown");
    return static_cast<GgufType>(id);
  }

  void read_key() {
    const int64_t start = at_;
    const std::string_view key = name("a key");
    const std::string shown = "the value of " + quoted(key);
    GgufValue value{.type = type(shown)};
    if (value.type == GgufType::kArray)
      read_array(shown, value);
    else
      read_single(shown, value);
    if (!file_.metadata_.emplace(key, value).second)
      fail(start, "the key " + quoted(key) + " occurs twice in the file");
  }

  void read_single(const std::string& what, GgufValue& value) {
    const uint64_t size = value.type == GgufType::kText
                              ? number<uint64_t>("the length of " + what)
                              : static_cast<uint64_t>(gguf_value_bytes(value.type));
    value.offset = at_;
    value.bytes = take(size, what);
    check_flags(what, value);
  }

  void read_array(const std::string& what, GgufValue& value) {
    value.is_array = true;
    const int64_t start = at_;
    value.type = type("an element of " + what);
    if (value.type == GgufType::kArray) fail(start, what + " is an array of arrays");
    const int64_t count_at = at_;
    const auto count = number<uint64_t>("the length of " + what);
    const auto least = static_cast<uint64_t>(
        value.type == GgufType::kText ? int64_t{8} : gguf_value_bytes(value.type));
    if (count > left() / least)
      fail(count_at, what + " claims " + std::to_string(count) + " elements, but only " +
                         std::to_string(left()) + " bytes are left");
    value.count = static_cast<int64_t>(count);
    value.offset = at_;
    value.bytes =
        value.type == GgufType::kText ? take_texts(count, what) : take(count * least, what);
    check_flags(what, value);
  }

  std::span<const std::byte> take_texts(uint64_t count, const std::string& what) {
    const int64_t start = at_;
    for (uint64_t i = 0; i < count; ++i) take(number<uint64_t>(what), what);
    return bytes_.subspan(static_cast<size_t>(start), static_cast<size_t>(at_ - start));
  }

  void check_flags(const std::string& what, const GgufValue& value) const {
    if (value.type != GgufType::kBool) return;
    for (size_t i = 0; i < value.bytes.size(); ++i)
      if (value.bytes[i] > std::byte{1})
        fail(value.offset + static_cast<int64_t>(i),
             what + " is a flag of " + std::to_string(std::to_integer<int>(value.bytes[i])) +
                 ", not 0 or 1");
  }

  // Remembers where the data should be; the data begins behind the last description.
  void read_tensor() {
    GgufTensor tensor{.offset = at_};
    const std::string_view tensor_name = name("a tensor's name");
    const std::string shown = "the tensor " + quoted(tensor_name);
    read_shape(shown, tensor);
    tensor.dtype = tensor_type(shown);
    const int64_t offset_at = at_;
    const auto data_offset = number<uint64_t>("the offset of " + shown);
    if (data_offset > bytes_.size())
      fail(offset_at, shown + " lies " + std::to_string(data_offset) +
                          " bytes behind the beginning of the data, beyond the end of the file");
    const int64_t size = tensor_bytes(shown, tensor);
    const auto [it, is_new] = file_.tensors_.emplace(tensor_name, std::move(tensor));
    if (!is_new) fail(it->second.offset, shown + " occurs twice in the file");
    places_.push_back({static_cast<int64_t>(data_offset), size, offset_at, tensor_name});
  }

  void read_shape(const std::string& shown, GgufTensor& tensor) {
    const int64_t start = at_;
    const auto n = number<uint32_t>("the number of dimensions of " + shown);
    if (n == 0 || n > kMostDimensions)
      fail(start, shown + " has " + std::to_string(n) + " dimensions; 1 to 4 are possible");
    for (uint32_t i = 0; i < n; ++i) {
      const int64_t at = at_;
      const auto size = number<uint64_t>("the shape of " + shown);
      if (size == 0 || size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        fail(at, shown + " has a dimension of " + std::to_string(size));
      tensor.shape.push_back(static_cast<int64_t>(size));
    }
  }

  perdure_dtype tensor_type(const std::string& shown) {
    const int64_t start = at_;
    const auto id = number<uint32_t>("the type of " + shown);
    const auto* found =
        std::ranges::find_if(kTensorTypes, [&](const TensorType& t) { return t.id == id; });
    if (found == std::end(kTensorTypes))
      fail(start, shown + " has the type " + std::to_string(id) + ", which is unknown");
    if (found->dtype < 0)
      fail(start, shown + " has the type " + found->name +
                      ", which is not supported; supported are F32, F16, BF16, Q8_0, Q4_0, Q4_1, "
                      "Q5_0, Q5_1, Q4_K, Q5_K and Q6_K");
    return static_cast<perdure_dtype>(found->dtype);
  }

  int64_t tensor_bytes(const std::string& shown, const GgufTensor& tensor) const {
    const int64_t block = perdure_block_values(tensor.dtype);
    if (tensor.columns() % block != 0)
      fail(tensor.offset, shown + " has rows of " + std::to_string(tensor.columns()) +
                              " values, which is not a whole number of blocks of " +
                              std::to_string(block));
    int64_t size = 0;
    bool wrapped =
        __builtin_mul_overflow(tensor.columns() / block, perdure_block_bytes(tensor.dtype), &size);
    for (size_t i = 1; i < tensor.shape.size(); ++i)
      wrapped = __builtin_mul_overflow(size, tensor.shape[i], &size) || wrapped;
    if (wrapped || size > static_cast<int64_t>(bytes_.size()))
      fail(tensor.offset, shown + " is larger than the file");
    return size;
  }

  int64_t alignment() const {
    const std::string_view key = "general.alignment";
    const GgufValue* value = file_.find(key);
    if (value == nullptr) return 32;
    const int64_t alignment = *file_.whole(key);
    if (alignment < 1 || alignment > kMostAlignment || (alignment & (alignment - 1)) != 0)
      fail(value->offset, "'general.alignment' is " + std::to_string(alignment) +
                              " but must be a power of two up to 1048576");
    return alignment;
  }

  void place_tensors() {
    const int64_t unit = alignment();
    const int64_t start = checked_add(at_, unit - 1, "the file") / unit * unit;
    std::ranges::sort(places_, {}, &Place::offset);
    int64_t end = 0;
    for (const Place& place : places_) {
      place_tensor(place, unit, start, end);
      end = place.offset + place.size;
    }
  }

  struct Place {
    int64_t offset;  // from the beginning of the data
    int64_t size;
    int64_t described_at;
    std::string_view name;
  };

  void place_tensor(const Place& place, int64_t unit, int64_t start, int64_t end) {
    const std::string shown = "the tensor " + quoted(place.name);
    if (place.offset % unit != 0)
      fail(place.described_at, shown + " lies at " + std::to_string(place.offset) +
                                   ", which is not a multiple of the alignment " +
                                   std::to_string(unit));
    if (place.offset < end) fail(place.described_at, shown + " overlaps the tensor before it");
    const auto file_size = static_cast<int64_t>(bytes_.size());
    if (start > file_size || place.offset > file_size - start ||
        place.size > file_size - start - place.offset)
      fail(place.described_at, shown + " needs " + std::to_string(place.size) + " bytes at " +
                                   std::to_string(start + place.offset) +
                                   ", but the file ends at " + std::to_string(file_size));
    file_.tensors_.find(place.name)->second.bytes =
        bytes_.subspan(static_cast<size_t>(start + place.offset), static_cast<size_t>(place.size));
  }

  std::span<const std::byte> bytes_;
  Gguf& file_;
  int64_t at_ = 0;
  std::vector<Place> places_;
};

Gguf::Gguf(std::span<const std::byte> bytes, std::string path) : path_(std::move(path)) {
  GgufReader(bytes, *this).run();
}

}  // namespace perdure
