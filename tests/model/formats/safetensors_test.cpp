// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/safetensors.hpp"

#include <doctest/doctest.h>

#include "core/base/json/json_walk.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

constexpr const char* kTwo = R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("b":{"dtype":"I32","shape":[1],"data_offsets":[24,28]}})";

std::string refusal(const Bytes& bytes) {
  return error_of([&] { read_safetensors(bytes, "x"); }, bytes.size());
}

std::string refusal(std::string_view header, size_t data_bytes) {
  return refusal(safetensors_file(header, data_bytes));
}

// One tensor "a" described by `rest`.
std::string refusal_of_tensor(const std::string& rest, size_t data_bytes) {
  return refusal(R"({"a":{)" + rest + "}}", data_bytes);
}

}  // namespace

TEST_CASE("every golden safetensors file can be read and its tensors cover it") {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden("."))) {
    if (entry.path().extension() != ".safetensors") continue;
    CAPTURE(entry.path().string());
    CHECK_FALSE(SafetensorsFile(entry.path().string()).tensors().empty());
    ++files;
  }
  CHECK(files > 70);
}

TEST_CASE("a tensor has its type, shape and bytes") {
  Bytes bytes = safetensors_file(kTwo, 28);
  bytes.back() = std::byte{7};
  const SafetensorsMap tensors = read_safetensors(bytes, "x");
  REQUIRE(tensors.size() == 2);
  CHECK(tensors.at("a").dtype == "F32");
  CHECK(tensors.at("a").shape == std::vector<int64_t>{2, 3});
  CHECK(tensors.at("a").bytes.size() == 24);
  CHECK(tensors.at("b").dtype == "I32");
  CHECK(tensors.at("b").bytes.back() == std::byte{7});
}

TEST_CASE("scalars, tensors without values, metadata and padding are accepted") {
  const Bytes bytes = safetensors_file(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("none":{"dtype":"F16","shape":[3,0],"data_offsets":[4,4]}}   )",
      4);
  const SafetensorsMap tensors = read_safetensors(bytes, "x");
  CHECK(tensors.size() == 2);
  CHECK(tensors.at("none").bytes.empty());
}

TEST_CASE("a file cut anywhere is refused") {
  const Bytes bytes = safetensors_file(kTwo, 28);
  for (size_t size = 0; size < bytes.size(); ++size)
    REQUIRE(contains(
        refusal(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))), "x: "));
}

TEST_CASE("a header that is too long, not an object, or not JSON is refused with its byte offset") {
  Bytes bytes = safetensors_file(kTwo, 28);
  bytes[7] = std::byte{0x7F};
  CHECK(contains(refusal(bytes), "x: byte offset 0: the header's length"));
  CHECK(refusal("[]", 0) == "x: byte offset 8: the header must begin here with '{'");
  CHECK(refusal("", 0) == "x: byte offset 8: the header must begin here with '{'");
  CHECK(contains(refusal(R"({"a":)", 0), "x: byte offset 13: the JSON cannot be read: incomplete"));
  CHECK(contains(refusal(R"({"a" 1})", 0), "x: byte offset 13: the JSON cannot be read: syntax"));
  CHECK(contains(refusal("{} {}", 0), "x: byte offset 11: something follows"));
  CHECK(contains(refusal("{\"a\xff\":1}", 0), "the JSON cannot be read"));
}

TEST_CASE("duplicate names and keys are refused, on every level") {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK(contains(refusal("{" + a + "," + a + "}", 4), "the key 'a' occurs twice"));
  CHECK(contains(
      refusal_of_tensor(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])", 4),
      "the key 'a.dtype' occurs twice"));
}

TEST_CASE("deep nesting, endless keys and endless shapes are refused without using memory") {
  const size_t peak = heap_peak_of([] {
    const std::string nested = R"({"a":)" + std::string(1'000'000, '[');
    CHECK(contains(refusal(nested, 0), "header key 'a' must be an object"));
    CHECK(contains(error_of([&] {
                     walk_json(nested, "x", 0, [](const auto&, JsonKind, std::string_view) {});
                   }),
                   "the JSON cannot be read: too deep"));
    CHECK(contains(refusal("{\"" + std::string(1'000'000, 'k') + "\":1}", 0), "key too large"));
    std::string many = "[0";
    for (int i = 0; i < 100'000; ++i) many += ",0";
    CHECK(contains(refusal_of_tensor("\"shape\":" + many + "]", 0), "has more than 8 entries"));
  });
  CHECK(peak < size_t{64} << 20);
}

TEST_CASE("the header's walk stays within the memory promised however many tensors it lists") {
  std::string header = "{";
  for (int i = 0; i < 1'000'000; ++i) header += "\"" + std::to_string(i) + "\":{},";
  header.back() = '}';
  const Bytes bytes = safetensors_file(header, 0);
  const size_t peak = heap_peak_of([&] { CHECK(contains(refusal(bytes), "object too large")); });
  CHECK(peak < size_t{64} << 20);
}

TEST_CASE("what a tensor's description lacks or has wrong is named") {
  CHECK(contains(refusal(R"({"a":1})", 0), "header key 'a' must be an object"));
  CHECK(contains(refusal(R"({"a\n\u001b[2J":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
                 "header key 'a\\x0a\\x1b[2J' has control characters"));
  CHECK(contains(refusal(R"({"__metadata__":{"a":1}})", 0),
                 "'__metadata__.a' must map strings to strings"));
  CHECK(contains(refusal_of_tensor(R"("shape":[1],"data_offsets":[0,4])", 4),
                 "tensor 'a': dtype is missing"));
  CHECK(contains(refusal_of_tensor(R"("dtype":"F32","data_offsets":[0,4])", 4),
                 "tensor 'a': shape is missing"));
  CHECK(contains(refusal_of_tensor(R"("dtype":"F32","shape":[1])", 4),
                 "data_offsets must be [begin, end]"));
  CHECK(contains(refusal_of_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])", 4),
                 "must be [begin, end]"));
  CHECK(contains(refusal_of_tensor(R"("dtype":"F7","shape":[1],"data_offsets":[0,4])", 4),
                 "the type 'F7'"));
  CHECK(contains(refusal_of_tensor(R"("dtype":4)", 4), "'a.dtype' is not a part"));
  CHECK(contains(refusal_of_tensor(R"("color":"red")", 4), "'a.color' is not a part"));
  CHECK(contains(refusal_of_tensor(R"("shape":[-1])", 4), "'a.shape' must be a list of integers"));
  CHECK(contains(refusal_of_tensor(R"("shape":[1.5])", 4), "'a.shape' must be a list of integers"));
  CHECK(contains(refusal_of_tensor(R"("shape":[[1]])", 4), "'a.shape' must be a list of integers"));
  CHECK(contains(refusal_of_tensor(R"("shape":7)", 4), "'a.shape' must be a list of integers"));
  CHECK(contains(refusal_of_tensor(R"("shape":[18446744073709551615])", 4),
                 "'a.shape' must be a list of integers"));
}

TEST_CASE("offsets must fit the shape, the data and each other") {
  const auto one = [](const char* shape, const char* offsets) {
    return refusal_of_tensor(
        std::string(R"("dtype":"F32","shape":)") + shape + R"(,"data_offsets":)" + offsets, 8);
  };
  CHECK(contains(one("[2]", "[0,4]"), "hold 4 bytes but type and shape need 8"));
  CHECK(contains(one("[3]", "[0,12]"), "do not lie in the data of 8 bytes"));
  CHECK(contains(one("[2]", "[8,0]"), "do not lie in the data"));
  CHECK(contains(one("[4294967296,4294967296]", "[0,8]"), "the shape is too large"));
  CHECK(contains(one("[9223372036854775807,0]", "[0,8]"), "type and shape need 0"));
  CHECK(contains(one("[1]", "[0,4]"), "4 bytes follow the last tensor"));
  CHECK(contains(one("[1]", "[4,8]"), "no tensor covers the bytes before 'a'"));
  CHECK(contains(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                         12),
                 "the tensor 'b' overlaps the one before it"));
  CHECK(contains(refusal("{}", 4), "4 bytes follow the last tensor"));
}

TEST_CASE("what the writer streams, the reader reads") {
  const testing::TemporaryFolder scratch;
  const std::string path = scratch / "logits.safetensors";
  SafetensorsWriter writer(path, {{"logits \"quoted\"", "F32", {2, 3}}, {"ids", "I32", {1}}});
  const Bytes row(12, std::byte{1});
  writer.write(row);
  writer.write(row);
  writer.write(Bytes(4, std::byte{2}));
  writer.close();
  const SafetensorsFile file(path);
  CHECK(file.find("logits \"quoted\"")->shape == std::vector<int64_t>{2, 3});
  CHECK(file.find("logits \"quoted\"")->bytes.front() == std::byte{1});
  CHECK(file.find("ids")->bytes.front() == std::byte{2});
  CHECK(file.find("none") == nullptr);
}

TEST_CASE("the writer refuses too much data, too little, and files that cannot be") {
  const testing::TemporaryFolder scratch;
  const std::string path = scratch / "x.safetensors";
  SafetensorsWriter writer(path, {{"a", "F32", {2}}});
  CHECK(contains(error_of([&] { writer.close(); }), "8 bytes of its tensors were not given"));
  CHECK(contains(error_of([&] { writer.write(Bytes(12)); }), "more data was given"));
  CHECK(contains(error_of([&] { SafetensorsWriter(scratch / "no/x", {}); }),
                 "No such file or directory"));
  CHECK(contains(error_of([] { SafetensorsWriter("/dev/full", {{"a", "F32", {2}}}); }),
                 "/dev/full is a device"));
  CHECK_FALSE(std::filesystem::exists(path));
}
