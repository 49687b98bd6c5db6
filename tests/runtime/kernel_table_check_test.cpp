// SPDX-License-Identifier: Apache-2.0

// Kernel tables of other versions of this ABI, and tables that cannot be right.
#include "core/runtime/kernel_table_check.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "core/api/error.hpp"

using namespace perdure;

namespace {

const char* const kNames[] = {"eps", nullptr};

perdure_kernel whole_kernel(const char* name) {
  perdure_kernel k{};
  k.struct_size = sizeof k;
  k.name = name;
  k.op = "add";
  k.isa = "scalar";
  k.prepare = [](const perdure_node*, void*) -> int { return PERDURE_OK; };
  k.divide = [](const perdure_call*, perdure_work*) {};
  k.run = [](const perdure_call*, int64_t, int64_t, void*) -> int { return PERDURE_OK; };
  k.flags = PERDURE_KERNEL_NOT_REPRODUCIBLE;
  k.attributes = kNames;
  return k;
}

// Two kernels as a plugin lays them out whose perdure_kernel has `size` bytes.
std::vector<char> laid_out(size_t size) {
  std::vector<char> bytes(2 * size, '\x7f');
  const char* const names[] = {"first", "second"};
  for (size_t i = 0; i < 2; ++i) {
    perdure_kernel k = whole_kernel(names[i]);
    k.struct_size = static_cast<uint32_t>(size);
    std::memcpy(bytes.data() + i * size, &k, std::min(size, sizeof k));
  }
  return bytes;
}

std::vector<perdure_kernel> read_of_size(size_t size) {
  const std::vector<char> bytes = laid_out(size);
  return read_kernels(reinterpret_cast<const perdure_kernel*>(bytes.data()), 2);
}

std::string refusal(const std::function<void(perdure_kernel&)>& spoil) {
  perdure_kernel kernel = whole_kernel("spoilt");
  spoil(kernel);
  try {
    read_kernels(&kernel, 1);
  } catch (const Error& e) {
    return e.what();
  }
  return "taken";
}

}  // namespace

TEST_CASE("fields that an older plugin's kernels lack are zero") {
  const auto kernels = read_of_size(PERDURE_KERNEL_MIN_SIZE);
  CHECK(kernels[1].name == std::string("second"));
  CHECK((kernels[1].run != nullptr));
  CHECK(kernels[1].flags == 0);
  CHECK(kernels[1].attributes == nullptr);
  CHECK(kernels[1].struct_size == sizeof(perdure_kernel));
}

TEST_CASE("the kernels of a newer plugin are read as far as this program knows them") {
  const auto kernels = read_of_size(sizeof(perdure_kernel) + 24);
  CHECK(kernels[1].name == std::string("second"));
  CHECK(kernels[1].attributes == kNames);
}

TEST_CASE("a structure that is too short, or absurdly long, is refused") {
  CHECK_THROWS_WITH_AS(read_of_size(PERDURE_KERNEL_MIN_SIZE - 8),
                       doctest::Contains("bytes, but this program's ABI needs at least"), Error);
  CHECK(refusal([](perdure_kernel& k) { k.struct_size = 0x55555555; }).find("rebuild") !=
        std::string::npos);
  CHECK(refusal([](perdure_kernel& k) { k.struct_size = 0; }).find("has 0 bytes") !=
        std::string::npos);
}

TEST_CASE("a kernel that lacks what the host would call or print is refused with a sentence") {
  const auto lacks = [](const char* what) { return "its kernel 'spoilt' " + std::string(what); };
  CHECK(refusal([](perdure_kernel&) {}) == "taken");
  CHECK(refusal([](perdure_kernel& k) { k.name = nullptr; }) ==
        "one of its kernels has no name; call it <op>_<type>_<isa>");
  CHECK(refusal([](perdure_kernel& k) { k.op = ""; }) == lacks("says no operation; fill in `op`"));
  for (const auto& spoil : std::vector<std::function<void(perdure_kernel&)>>{
           [](perdure_kernel& k) { k.run = nullptr; },
           [](perdure_kernel& k) { k.prepare = nullptr; },
           [](perdure_kernel& k) { k.divide = nullptr; }})
    CHECK(refusal(spoil) == lacks("lacks prepare, divide or run; write all three"));
  CHECK(refusal([](perdure_kernel& k) {
          k.packed_bytes = [](const perdure_node*, const void*, uint32_t) { return size_t{1}; };
        }) == lacks("has only one of packed_bytes and pack; write both or none"));
  CHECK(refusal([](perdure_kernel& k) { k.params_bytes = SIZE_MAX; }).find("are sensible") !=
        std::string::npos);
  CHECK(refusal([](perdure_kernel& k) { k.items = 7; }) ==
        lacks("states the unknown unit of items 7; see enum perdure_items"));
}

TEST_CASE("an entry function that returns no table is refused") {
  CHECK_THROWS_WITH_AS(read_kernel_table(nullptr), doctest::Contains("returned no kernel table"),
                       Error);
}
