// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/rwkv_bin.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

constexpr int32_t kMagic = 0x67676d66;
constexpr int32_t kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ4_1_O = 4, kQ5_0 = 7, kQ5_1 = 8,
                  kQ8_0 = 9, kQ8_1 = 10;

std::string integers(std::initializer_list<int32_t> values) {
  std::string bytes;
  for (const int32_t v : values) bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
  return bytes;
}

// Bytes of that many values of a type; whole blocks.
size_t data_bytes(int32_t type, size_t values) {
  const std::map<int32_t, std::pair<size_t, size_t>> blocks = {
      {kF32, {1, 4}},    {kF16, {1, 2}},    {kQ4_0, {32, 18}}, {kQ4_1, {32, 20}},
      {kQ5_0, {32, 22}}, {kQ5_1, {32, 24}}, {kQ8_0, {32, 34}}};
  const auto block = blocks.find(type);
  return block == blocks.end() ? 0 : values / block->second.first * block->second.second;
}

// A tensor of zeros; `shape` outermost first, as everywhere but in the file.
struct Record {
  std::string name;
  int32_t type = kF32;
  std::vector<int32_t> shape;

  std::string head() const {
    std::string bytes =
        integers({static_cast<int32_t>(shape.size()), static_cast<int32_t>(name.size()), type});
    for (size_t i = shape.size(); i-- > 0;) bytes += integers({shape[i]});
    return bytes + name;
  }
  std::string bytes() const {
    size_t values = 1;
    for (const int32_t n : shape) values *= static_cast<size_t>(n);
    return head() + std::string(data_bytes(type, values), '\0');
  }
};

// Version 4 of one layer: width 32, feed-forward 64, vocabulary 5.
std::vector<Record> small_model(int32_t matrix_type = kF32) {
  std::vector<Record> records{{"emb.weight", kF32, {5, 32}}, {"head.weight", kF32, {5, 32}}};
  for (const std::string norm : {"blocks.0.ln0", "blocks.0.ln1", "blocks.0.ln2", "ln_out"})
    for (const char* part : {".weight", ".bias"}) records.push_back({norm + part, kF32, {32}});
  for (const std::string vector :
       {"att.time_decay", "att.time_first", "att.time_mix_k", "att.time_mix_v", "att.time_mix_r",
        "ffn.time_mix_k", "ffn.time_mix_r"})
    records.push_back({"blocks.0." + vector, kF32, {32}});
  for (const std::string matrix :
       {"att.key", "att.value", "att.receptance", "att.output", "ffn.receptance"})
    records.push_back({"blocks.0." + matrix + ".weight", matrix_type, {32, 32}});
  records.push_back({"blocks.0.ffn.key.weight", matrix_type, {64, 32}});
  records.push_back({"blocks.0.ffn.value.weight", matrix_type, {32, 64}});
  return records;
}

std::string header(int32_t version = 101, int32_t type = kF32) {
  return integers({kMagic, version, 5, 32, 1, type});
}

std::string joined(const std::vector<Record>& records) {
  std::string bytes;
  for (const Record& record : records) bytes += record.bytes();
  return bytes;
}

std::string refusal(const std::string& text) {
  const Bytes bytes = as_bytes(text);
  return error_of([&] { read_rwkv_bin(bytes, "x.bin"); }, bytes.size());
}

// That of a small model with `record` in the place of the one of its name, or behind all others.
std::string refusal_with(const Record& record, int32_t version = 101) {
  std::vector<Record> records = small_model();
  std::erase_if(records, [&](const Record& r) { return r.name == record.name; });
  return refusal(header(version) + joined(records) + record.bytes());
}

std::string bin_folder(const std::string& version) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/rwkv/bin_v" + version + "/";
}

}  // namespace

TEST_CASE("a small file of rwkv.cpp is read, in any order and of either version") {
  std::vector<Record> records = small_model();
  CHECK(refusal(header() + joined(records)).empty());
  CHECK(refusal(header(100) + joined(records)).empty());
  std::ranges::reverse(records);
  CHECK(refusal(header() + joined(records)).empty());
  for (const int32_t type : {kF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0})
    CHECK(refusal(header(101, type) + joined(small_model(type))).empty());
}

TEST_CASE("matrices of rwkv.cpp's files keep their types and stay where they are") {
  const std::pair<int32_t, perdure_dtype> types[] = {
      {kF32, PERDURE_F32},   {kF16, PERDURE_F16},   {kQ4_0, PERDURE_Q4_0}, {kQ4_1, PERDURE_Q4_1},
      {kQ5_0, PERDURE_Q5_0}, {kQ5_1, PERDURE_Q5_1}, {kQ8_0, PERDURE_Q8_0}};
  for (const auto& [type, dtype] : types) {
    const Bytes bytes = as_bytes(header(101, type) + joined(small_model(type)));
    const Model model = read_rwkv_bin(bytes, "x.bin");
    CHECK(model.spec().info.sizes.at("rwkv.version") == 4);
    CHECK(model.spec().format.starts_with("rwkv.cpp 101, "));
    for (const char* matrix : {"blk.0.time_mix_key.weight", "blk.0.channel_mix_value.weight"}) {
      const Weight* weight = model.find(matrix);
      REQUIRE(weight != nullptr);
      CHECK(weight->dtype == dtype);
      CHECK(weight->data >= bytes.data());
      CHECK(weight->data < bytes.data() + bytes.size());
    }
  }
}

TEST_CASE("rwkv.cpp's version 5 is computed with an eps of 1e-5, the others with BlinkDL's") {
  const auto eps_of = [](const std::string& version) {
    const Model model = Model::open(bin_folder(version) + "model-FP16.bin");
    return model.spec().info.reals.at("rwkv.group_norm_eps");
  };
  CHECK(eps_of("5.0") == 1e-5);
  CHECK(eps_of("5.2") == 1e-5);
  CHECK(eps_of("6") == 64e-5);
  CHECK(eps_of("7") == 64e-5);
}

TEST_CASE("a file that is cut anywhere is refused, and nothing behind its end is read") {
  const std::string whole = header() + joined(small_model());
  for (size_t size = 0; size < whole.size(); size += size < 400 ? 1 : 97) {
    const std::string sentence = refusal(whole.substr(0, size));
    CHECK(sentence.starts_with("x.bin: "));
    if (size < 24)
      CHECK(sentence == "x.bin: byte offset " + std::to_string(size / 4 * 4) +
                            ": the file ends inside the header of 24 bytes");
  }
}

TEST_CASE("a header that cannot be is refused with its byte offset") {
  const auto with = [](size_t field, int32_t value) {
    std::string bytes = header() + joined(small_model());
    bytes.replace(4 * field, 4, integers({value}));
    return refusal(bytes);
  };
  CHECK(with(0, 0x46554747) ==
        "x.bin: byte offset 0: an rwkv.cpp file must begin with the bytes 66 6d 67 67");
  CHECK(with(1, 99) ==
        "x.bin: byte offset 4: version 99 is unknown; versions 100 and 101 can be read");
  CHECK(with(2, 0) == "x.bin: byte offset 8: n_vocab is 0 but must be at least 1");
  CHECK(with(3, 0) == "x.bin: byte offset 12: n_embed is 0 but must be at least 1");
  CHECK(with(3, -7) == "x.bin: byte offset 12: n_embed is -7 but must be at least 1");
  CHECK(with(4, 0) == "x.bin: byte offset 16: n_layer is 0 but must be at least 1");
  CHECK(with(4, 4097) == "x.bin: byte offset 16: n_layer is 4097, more than 4096");
  CHECK(with(5, 17) == "x.bin: byte offset 20: the type 17 is unknown");
  CHECK(with(5, -1) == "x.bin: byte offset 20: the type -1 is unknown");
  for (const auto& [type, name] : {std::pair{4, "Q4_1_O"}, {5, "Q4_2"}, {6, "Q4_3"}})
    CHECK(with(5, type) ==
          "x.bin: byte offset 20: the type " + std::string(name) +
              " was removed from the format; convert and quantise the model again");
  CHECK(with(2, 6) ==
        "x.bin: the tensor 'emb.weight' is not of the header's n_vocab 6 and n_embed 32");
  CHECK(with(3, 16) ==
        "x.bin: the tensor 'emb.weight' is not of the header's n_vocab 5 and n_embed 16");
  CHECK(with(4, 2) == "x.bin: the tensor 'blocks.1.ln1.weight' is missing, but n_layer is 2");
}

TEST_CASE("version 100 with quantised weights had another layout and is refused") {
  CHECK(refusal(header(100, kQ8_0) + joined(small_model(kQ8_0))) ==
        "x.bin: byte offset 20: version 100 with the type Q8_0 had another layout; convert and "
        "quantise the model again");
  CHECK(contains(refusal_with({"blocks.0.att.key.weight", kQ4_0, {32, 32}}, 100),
                 "version 100 with the type Q4_0 had another layout"));
}

TEST_CASE("a record that cannot be is refused with its byte offset") {
  const std::string start = header();
  const std::string at_record = "x.bin: byte offset 24: ";
  CHECK(refusal(start + integers({0, 3, kF32}) + "abc") ==
        at_record + "a tensor has 0 dimensions but 1 to 3 are possible");
  CHECK(refusal(start + integers({4, 3, kF32, 1, 1, 1, 1}) + "abc") ==
        at_record + "a tensor has 4 dimensions but 1 to 3 are possible");
  for (const int32_t length : {0, -1, 65, 1 << 30})
    CHECK(refusal(start + integers({1, length, kF32, 1}) + std::string(80, 'a')) ==
          "x.bin: byte offset 28: a tensor's name has " + std::to_string(length) +
              " bytes but 1 to 64 are possible");
  CHECK(refusal(start + integers({1, 3, kQ4_1_O, 32}) + "abc") ==
        "x.bin: byte offset 32: the type Q4_1_O was removed from the format; convert and quantise "
        "the model again");
  CHECK(refusal(start + integers({1, 3, kQ8_1, 32}) + "abc") ==
        "x.bin: byte offset 32: the type Q8_1 is not one of weights");
  CHECK(refusal(start + integers({2, 3, kF32, 4, 0}) + "abc") ==
        "x.bin: byte offset 40: a size of a tensor is 0 but must be at least 1");
  CHECK(refusal(start + integers({1, 3, kF32, -4}) + "abc") ==
        "x.bin: byte offset 36: a size of a tensor is -4 but must be at least 1");
  CHECK(refusal(start + integers({1, 3, kF32, 4}) + std::string("a\nc")) ==
        "x.bin: byte offset 40: a tensor's name has characters that are not printable ASCII");
  CHECK(refusal(start + integers({1, 3, kF32, 4}) + "ab") ==
        "x.bin: byte offset 40: the file ends inside a tensor's name");
  CHECK(refusal(start + integers({1, 3, kF32, 4}) + "abc0123456789") ==
        "x.bin: byte offset 43: the tensor 'abc' needs 16 bytes but the file has only 10 more");
  CHECK(refusal(start + integers({3, 3, kF32, 1 << 30, 1 << 30, 1 << 30}) + "abc") ==
        "x.bin: the tensor 'abc' is too large");
  CHECK(refusal(start + integers({2, 3, kQ5_1, 40, 2}) + "abc" + std::string(200, '\0')) ==
        "x.bin: byte offset 47: the tensor 'abc' of type Q5_1 has rows of 40 values, which is not "
        "a multiple of 32");
}

TEST_CASE("tensors that are missing, twice there, or of another shape are refused by name") {
  for (const Record& left_out : small_model()) {
    std::vector<Record> records = small_model();
    std::erase_if(records, [&](const Record& r) { return r.name == left_out.name; });
    const std::string sentence = refusal(header() + joined(records));
    CHECK(contains(sentence, "the tensor '" + left_out.name + "' is missing"));
    Record wrong = left_out;
    wrong.shape.back() *= 2;
    CHECK(contains(refusal_with(wrong), "x.bin: the tensor '"));
  }
  std::vector<Record> records = small_model();
  records.push_back({"ln_out.bias", kF32, {32}});
  const size_t offset = 24 + joined(small_model()).size();
  CHECK(refusal(header() + joined(records)) == "x.bin: byte offset " + std::to_string(offset) +
                                                   ": the tensor 'ln_out.bias' is in the file "
                                                   "twice");
  CHECK(refusal_with({"blocks.1.ln1.weight", kF32, {32}}) ==
        "x.bin: the tensor 'blocks.1.ln1.weight' is there, but n_layer is 1");
}

TEST_CASE("heads that do not divide the width are refused") {
  std::vector<Record> records = small_model();
  for (const char* part : {".weight", ".bias"})
    records.push_back({std::string("blocks.0.att.ln_x") + part, kF32, {32}});
  std::erase_if(records, [](const Record& r) { return r.name.ends_with("time_decay"); });
  records.push_back({"blocks.0.att.time_decay", kF32, {5, 1, 1}});
  CHECK(contains(refusal(header() + joined(records)), "5 heads"));
}

TEST_CASE("a hostile file of rwkv.cpp costs no more memory than it weighs") {
  std::string many = integers({kMagic, 101, 5, 32, 4096, kF32});
  for (int i = 0; many.size() < (size_t{8} << 20); ++i)
    many += Record{"t" + std::to_string(i), kF32, {1}}.bytes();
  const std::string large = header() + Record{"emb.weight", kF16, {1 << 15, 1 << 15}}.head();
  for (const std::string& text : {many, large}) CHECK_FALSE(refusal(text).empty());
  std::string few = header();
  for (int i = 0; i < 100; ++i) few += Record{"t" + std::to_string(i), kF32, {1}}.bytes();
  CHECK(contains(refusal(few), "the file has more tensors than 1 layers can have"));
}
