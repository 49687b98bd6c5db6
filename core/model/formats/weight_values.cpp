// SPDX-License-Identifier: Apache-2.0

// One loop per type; sources may be unaligned, so everything is copied out byte by byte.
#include "core/model/formats/weight_values.hpp"

#include <cstring>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "sdk/half.hpp"

namespace perdure {
namespace {

template <class T>
T value_at(const void* data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * static_cast<int64_t>(sizeof(T)),
              sizeof value);
  return value;
}

float one_value(const Weight& w, int64_t i) {
  switch (w.dtype) {
    case PERDURE_F32:
      return value_at<float>(w.data, i);
    case PERDURE_F16:
      return f16_to_f32(value_at<uint16_t>(w.data, i));
    case PERDURE_BF16:
      return bf16_to_f32(value_at<uint16_t>(w.data, i));
    case PERDURE_Q80:
      return value_at<int8_t>(w.data, i) * value_at<float>(w.scales, i / w.group_size);
    default:
      break;
  }
  throw Error(std::string("a weight of type ") + dtype_name(w.dtype) +
              " has no values that are read one by one");
}

}  // namespace

std::vector<float> weight_values(const Weight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.size()));
  for (int64_t i = 0; i < weight.size(); ++i) values[static_cast<size_t>(i)] = one_value(weight, i);
  return values;
}

}  // namespace perdure
