// SPDX-License-Identifier: Apache-2.0

// Sources may be unaligned, so everything is copied out byte by byte.
#include "core/model/formats/weight_values.hpp"

#include <cstring>

#include "core/api/error.hpp"
#include "core/model/formats/ggml_blocks.hpp"

namespace perdure {
namespace {

template <class T>
T value_at(const void* data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * static_cast<int64_t>(sizeof(T)),
              sizeof value);
  return value;
}

}  // namespace

void weight_row(const Weight& weight, int64_t row, std::span<float> values) {
  if (weight.dtype == PERDURE_I64)
    throw Error("a weight of whole numbers has no values that can be read as F32");
  if (weight.dtype != PERDURE_Q80) {
    const int64_t size = perdure_row_bytes(weight.dtype, weight.columns);
    const auto* stored = static_cast<const std::byte*>(weight.data) + row * size;
    return decode_row(weight.dtype, {stored, static_cast<size_t>(size)}, values);
  }
  for (int64_t i = 0, at = row * weight.columns; i < weight.columns; ++i, ++at)
    values[static_cast<size_t>(i)] = static_cast<float>(value_at<int8_t>(weight.data, at)) *
                                     value_at<float>(weight.scales, at / weight.group_size);
}

std::vector<float> weight_values(const Weight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.size()));
  for (int64_t row = 0; row < weight.rows; ++row)
    weight_row(weight, row,
               std::span(values).subspan(static_cast<size_t>(row * weight.columns),
                                         static_cast<size_t>(weight.columns)));
  return values;
}

}  // namespace perdure
