// SPDX-License-Identifier: Apache-2.0

// Weights that are views of others, and weights in blocks: held against copies and against sums in
// double precision.
#include "tests/support/kernel_suite.hpp"

extern "C" const void* perdure_entry_kernels_simd(void);

using namespace perdure::test;

namespace {

// Rows 2 and on of a larger weight, without some columns before and behind.
struct ViewAndCopy {
  KernelCase view, copy;
};

Bytes part_of(const Bytes& all, int64_t first, int64_t count) {
  return Bytes(all.begin() + first, all.begin() + first + count);
}

ViewAndCopy view_case(perdure_dtype x_type, perdure_dtype w_type, int64_t group, uint64_t seed) {
  Numbers numbers(seed);
  const int64_t together = group ? group : perdure_block_values(w_type);
  const int64_t k = together * numbers.between(1, 3) * (together == 1 ? 21 : 1), n = 37;
  const int64_t before = together * numbers.between(0, 2),
                behind = together * numbers.between(0, 2);
  const int64_t whole = before + k + behind;
  KernelCase test{.op = "mat_mul"};
  test.add_session(0, numbers.between(1, 6));
  HarnessValue x{.dtype = x_type, .columns = k};
  if (x_type == PERDURE_F32) x.data = bytes_of(numbers.normals(n_rows(test) * k));
  fill_any_blocks(x, n_rows(test) * k, numbers);
  if (x_type == PERDURE_Q80) {
    x.group_size = group;
    fill_q80(x, n_rows(test) * k, numbers);
  }
  test.inputs.push_back(x);
  const HarnessValue large = weight(w_type, n + 4, whole, group, numbers);
  HarnessValue view = large, copy = large;
  view.rows = copy.rows = n;
  view.columns = copy.columns = k;
  view.row_stride = perdure_row_bytes(w_type, whole);
  const int64_t bytes = perdure_row_bytes(w_type, k);
  const int64_t first = 2 * view.row_stride + perdure_row_bytes(w_type, before);
  view.data = part_of(large.data, first, (n - 1) * view.row_stride + bytes);
  copy.data.clear();
  copy.scales.clear();
  for (int64_t r = 0; r < n; ++r) {
    const Bytes row = part_of(view.data, r * view.row_stride, bytes);
    copy.data.insert(copy.data.end(), row.begin(), row.end());
    if (group == 0) continue;
    const int64_t scale = (first + r * view.row_stride) / group;
    const Bytes scales = part_of(large.scales, scale * 4, k / group * 4);
    copy.scales.insert(copy.scales.end(), scales.begin(), scales.end());
  }
  if (group != 0) view.scales = Bytes(large.scales.begin() + first / group * 4, large.scales.end());
  ViewAndCopy both{test, test};
  both.view.inputs.push_back(view);
  both.copy.inputs.push_back(copy);
  both.view.set_output(n);
  both.copy.set_output(n);
  return both;
}

template <typename Visit>
void for_each_kernel(const char* op, Visit visit) {
  for (const void* entry : {perdure_entry_kernels_scalar(), perdure_entry_kernels_simd()}) {
    const auto& plugin = *static_cast<const perdure_kernel_plugin*>(entry);
    for (uint32_t i = 0; i < plugin.n_kernels; ++i)
      if (std::string(op) == plugin.kernels[i].op && runs_here(plugin.kernels[i]))
        visit(plugin.kernels[i]);
  }
}

double half(const char* block) {
  uint16_t bits;
  std::memcpy(&bits, block, sizeof bits);
  const int exponent = bits >> 10 & 31;
  const double fraction = (bits & 1023) / 1024.0;
  const double value =
      exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1.0 + fraction, exponent - 15);
  return bits & 0x8000 ? -value : value;
}

// 6-bit scale and minimum of a part, from the 12 bytes of Q4_K and Q5_K.
std::pair<int, int> six_bits(const uint8_t* s, int64_t part) {
  if (part < 4) return {s[part] & 63, s[part + 4] & 63};
  return {(s[part + 4] & 15) + 16 * (s[part - 4] >> 6), (s[part + 4] >> 4) + 16 * (s[part] >> 6)};
}

// Value `i` of a block of 256.
double super_block_value(perdure_dtype dtype, const char* block, int64_t i) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(block);
  if (dtype == PERDURE_Q8_K) {
    float scale;
    std::memcpy(&scale, block, sizeof scale);
    return double{scale} * static_cast<int8_t>(block[4 + i]);
  }
  const int64_t part = i / 32, in_part = i % 32;
  if (dtype == PERDURE_Q6_K) {
    const uint8_t low = bytes[i / 128 * 64 + i % 64];
    const int nibble = i % 128 < 64 ? low % 16 : low / 16;
    const int high = bytes[128 + i / 128 * 32 + in_part] >> part % 4 * 2 & 3;
    return half(block + 208) * static_cast<int8_t>(block[192 + i / 16]) * (nibble + 16 * high - 32);
  }
  const bool has_fifths = dtype == PERDURE_Q5_K;
  const uint8_t low = bytes[(has_fifths ? 48 : 16) + part / 2 * 32 + in_part];
  int integer = part % 2 == 0 ? low % 16 : low / 16;
  if (has_fifths) integer += 16 * (bytes[16 + in_part] >> part & 1);
  const auto [scale, minimum] = six_bits(bytes + 4, part);
  return half(block) * scale * integer - half(block + 2) * minimum;
}

// Value `i` of a row of blocks as GGUF defines them.
double block_value(const HarnessValue& v, int64_t row, int64_t i) {
  if (const int64_t bytes = perdure_block_bytes(v.dtype); perdure_block_values(v.dtype) == 256)
    return super_block_value(
        v.dtype, v.data.data() + row * perdure_row_bytes(v.dtype, v.columns) + i / 256 * bytes,
        i % 256);
  const char* block = v.data.data() + row * perdure_row_bytes(v.dtype, v.columns) +
                      i / 32 * perdure_block_bytes(v.dtype);
  if (v.dtype == PERDURE_Q8_0) return half(block) * static_cast<int8_t>(block[2 + i % 32]);
  const bool has_minimum = v.dtype == PERDURE_Q4_1 || v.dtype == PERDURE_Q5_1;
  const bool has_five_bits = v.dtype == PERDURE_Q5_0 || v.dtype == PERDURE_Q5_1;
  const char* high = block + (has_minimum ? 4 : 2);
  const auto pair = static_cast<uint8_t>(high[(has_five_bits ? 4 : 0) + i % 16]);
  int integer = i % 32 < 16 ? pair & 15 : pair >> 4;
  if (has_five_bits) {
    uint32_t bits;
    std::memcpy(&bits, high, sizeof bits);
    integer += static_cast<int>(bits >> i % 32 & 1) * 16;
  }
  if (has_minimum) return half(block) * integer + half(block + 2);
  return half(block) * (integer - (has_five_bits ? 16 : 8));
}

constexpr perdure_dtype kBlockTypes[] = {PERDURE_Q8_0, PERDURE_Q4_0, PERDURE_Q4_1, PERDURE_Q5_0,
                                         PERDURE_Q5_1, PERDURE_Q4_K, PERDURE_Q5_K, PERDURE_Q6_K};

double row_value(const HarnessValue& v, int64_t row, int64_t i) {
  if (v.dtype != PERDURE_F32) return block_value(v, row, i);
  float value;
  std::memcpy(&value, v.data.data() + (row * v.columns + i) * 4, sizeof value);
  return value;
}

}  // namespace

TEST_CASE("products with rows and columns of a larger weight have the bits of those with a copy") {
  struct Types {
    perdure_dtype x, w;
    int64_t group;
  };
  int n_checked = 0;
  for (const Types t : {Types{PERDURE_F32, PERDURE_F32, 0},
                        {PERDURE_F32, PERDURE_F16, 0},
                        {PERDURE_F32, PERDURE_BF16, 0},
                        {PERDURE_F32, PERDURE_Q80, 32},
                        {PERDURE_Q80, PERDURE_Q80, 32},
                        {PERDURE_Q80, PERDURE_Q80, 6},
                        {PERDURE_F32, PERDURE_Q8_0, 0},
                        {PERDURE_Q8_0, PERDURE_Q4_0, 0},
                        {PERDURE_F32, PERDURE_Q5_0, 0},
                        {PERDURE_Q8_0, PERDURE_Q5_1, 0},
                        {PERDURE_F32, PERDURE_Q4_K, 0},
                        {PERDURE_Q8_K, PERDURE_Q5_K, 0},
                        {PERDURE_Q8_K, PERDURE_Q6_K, 0}})
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const ViewAndCopy both = view_case(t.x, t.w, t.group, seed);
      for_each_kernel("mat_mul", [&](const perdure_kernel& kernel) {
        INFO(std::string(kernel.name), ", seed ", seed);
        PreparedKernel view(kernel, both.view), copy(kernel, both.copy);
        if (!copy.accepted()) return;
        REQUIRE(view.accepted());
        view.run();
        copy.run();
        CHECK(view.result().data == copy.result().data);
        ++n_checked;
      });
    }
  CHECK(n_checked >= 8 * 8);
}

TEST_CASE("products with weights in blocks are the sums of the values that GGUF defines") {
  for (const bool is_real : {true, false})
    for (const perdure_dtype w : kBlockTypes)
      for (uint64_t seed = 1; seed <= 10; ++seed) {
        const perdure_dtype x = is_real                         ? PERDURE_F32
                                : perdure_block_values(w) == 32 ? PERDURE_Q8_0
                                                                : PERDURE_Q8_K;
        const KernelCase test = block_product_case(x, w, seed);
        const Floats y = scalar_result(test).floats();
        const HarnessValue &a = test.inputs[0], &b = test.inputs[1];
        for (int64_t r = 0; r < n_rows(test); ++r)
          for (int64_t c = 0; c < b.rows; ++c) {
            double sum = 0, size = 0;
            for (int64_t i = 0; i < a.columns; ++i) {
              const double term = row_value(a, r, i) * block_value(b, c, i);
              sum += term;
              size += std::fabs(term);
            }
            // Values of 256 to a block are differences of larger numbers.
            const double tolerance = perdure_block_values(w) == 32 ? 1e-5 : 1e-4;
            REQUIRE(std::fabs(y[r * b.rows + c] - sum) <= tolerance * size + 1e-30);
          }
      }
}

TEST_CASE("a row of Q8_0 is within half a step of the row that it was made of") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const KernelCase test = quantize_blocks_case(PERDURE_Q8_0, seed);
    HarnessValue blocks{.dtype = PERDURE_Q8_0, .columns = test.inputs[0].columns};
    blocks.data = scalar_result(test).data;
    for (int64_t r = 0; r < n_rows(test); ++r)
      for (int64_t i = 0; i < blocks.columns; ++i) {
        double largest = 0;
        for (int64_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
          largest = std::max(largest, std::fabs(row_value(test.inputs[0], r, j)));
        // Half a step, and what the scale loses in half precision.
        const double tolerance = largest / 127 * 0.501 + largest * 0x1p-11 + 127 * 0x1p-25;
        REQUIRE(std::fabs(block_value(blocks, r, i) - row_value(test.inputs[0], r, i)) <=
                tolerance);
      }
  }
}

TEST_CASE("a row of Q8_K is within half a step of the row it was made of, and knows its sums") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const KernelCase test = quantize_blocks_case(PERDURE_Q8_K, seed);
    HarnessValue blocks{.dtype = PERDURE_Q8_K, .columns = test.inputs[0].columns};
    blocks.data = scalar_result(test).data;
    for (int64_t r = 0; r < n_rows(test); ++r)
      for (int64_t i = 0; i < blocks.columns; ++i) {
        double largest = 0;
        for (int64_t j = i / 256 * 256; j < i / 256 * 256 + 256; ++j)
          largest = std::max(largest, std::fabs(row_value(test.inputs[0], r, j)));
        REQUIRE(std::fabs(block_value(blocks, r, i) - row_value(test.inputs[0], r, i)) <=
                largest / 127 * 0.5001);
      }
    for (size_t block = 0; block < blocks.data.size(); block += 292)
      for (size_t part = 0; part < 16; ++part) {
        int sum = 0;
        for (size_t i = 0; i < 16; ++i)
          sum += static_cast<int8_t>(blocks.data[block + 4 + part * 16 + i]);
        int16_t stored;
        std::memcpy(&stored, blocks.data.data() + block + 260 + part * 2, sizeof stored);
        REQUIRE(stored == sum);
      }
  }
}

TEST_CASE("the value of the largest magnitude becomes -127 in Q8_K, ties go to even") {
  KernelCase test{.op = "quantize"};
  test.add_session(0, 1);
  Floats x(256, 0.0f);
  x[3] = 254.0f, x[4] = 1.0f, x[5] = 3.0f, x[6] = -5.0f, x[7] = -254.0f;
  test.add_rows(256, x);
  test.set_output(256, PERDURE_Q8_K);
  int n_checked = 0;
  for_each_kernel("quantize", [&](const perdure_kernel& kernel) {
    PreparedKernel prepared(kernel, test);
    if (!prepared.accepted()) return;
    prepared.run();
    const Bytes y = prepared.result().data;
    const auto at = [&](int i) { return int{static_cast<int8_t>(y[4 + i])}; };
    CHECK(at(3) == -127);
    CHECK(at(4) == 0);
    CHECK(at(5) == -2);
    CHECK(at(6) == 2);
    CHECK(at(7) == 127);
    float scale;
    std::memcpy(&scale, y.data(), sizeof scale);
    CHECK(scale == -2.0f);
    ++n_checked;
  });
  CHECK(n_checked >= 1);
}

TEST_CASE("a block of Q8_K that is made of a NaN has NaN as its scale, and the other has not") {
  KernelCase test{.op = "quantize"};
  test.add_session(0, 1);
  Floats x(512, 1.0f);
  x[300] = NAN;
  test.add_rows(512, x);
  test.set_output(512, PERDURE_Q8_K);
  int n_checked = 0;
  for_each_kernel("quantize", [&](const perdure_kernel& kernel) {
    PreparedKernel prepared(kernel, test);
    if (!prepared.accepted()) return;
    prepared.run();
    const Bytes y = prepared.result().data;
    float scales[2];
    std::memcpy(&scales[0], y.data(), sizeof scales[0]);
    std::memcpy(&scales[1], y.data() + 292, sizeof scales[1]);
    CHECK(std::isfinite(scales[0]));
    CHECK(std::isnan(scales[1]));
    ++n_checked;
  });
  CHECK(n_checked >= 1);
}

TEST_CASE("a block of Q8_0 that is made of a NaN has NaN as its scale, and the others have not") {
  int n_checked = 0;
  for (const int64_t place : {0, 31, 33, 95}) {
    CAPTURE(place);
    KernelCase test{.op = "quantize"};
    test.add_session(0, 1);
    Numbers numbers(4);
    Floats x = numbers.normals(96);
    x[static_cast<size_t>(place)] = NAN;
    test.add_rows(96, x);
    test.set_output(96, PERDURE_Q8_0);
    for_each_kernel("quantize", [&](const perdure_kernel& kernel) {
      PreparedKernel prepared(kernel, test);
      if (!prepared.accepted()) return;
      prepared.run();
      for (int64_t block = 0; block < 3; ++block) {
        uint16_t scale = 0;
        std::memcpy(&scale, prepared.result().data.data() + block * 34, sizeof scale);
        const bool is_nan = (scale & 0x7fff) > 0x7c00;
        CHECK(is_nan == (block == place / 32));
      }
      ++n_checked;
    });
  }
  CHECK(n_checked >= 4);
}

TEST_CASE("rows of tables in blocks enter a step as the values that GGUF defines") {
  for (const perdure_dtype dtype : kBlockTypes) {
    Numbers numbers(3);
    const int64_t n = 3 * perdure_block_values(dtype);
    KernelCase test{.op = "row_input"};
    test.add_session(0, 5);
    test.inputs.push_back(weight(dtype, 9, n, 0, numbers));
    test.set_output(n);
    const Floats y = scalar_result(test).floats();
    for (int64_t r = 0; r < 5; ++r)
      for (int64_t i = 0; i < n; ++i)
        REQUIRE(y[r * n + i] ==
                static_cast<float>(block_value(test.inputs[0], test.rows[r].index, i)));
  }
}
