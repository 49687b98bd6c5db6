// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/tensor_stream.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/base/mapped_pages.hpp"
#include "core/model/formats/ggml_blocks.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

// Of F32 values: 4 MiB.
constexpr int64_t kPieceValues = int64_t{1} << 20;
// Less is not worth a thread.
constexpr int64_t kThreadValues = int64_t{1} << 16;
constexpr float kLargestHalf = 65504.0f;

std::span<const std::byte> row_of(const Weight& w, int64_t row) {
  const int64_t size = perdure_row_bytes(w.dtype, w.columns);
  return {static_cast<const std::byte*>(w.data) + row * size, static_cast<size_t>(size)};
}

bool holds(perdure_dtype dtype, float value) {
  if (dtype == PERDURE_F16) return !(std::fabs(value) > kLargestHalf) || std::isinf(value);
  return perdure_block_values(dtype) == 1 || std::isfinite(value);
}

[[noreturn]] void fail_value(const StreamedTensor& tensor, int64_t row, float value) {
  throw Error("row " + std::to_string(row) + " of the tensor '" + tensor.name +
              "' holds the value " + std::to_string(value) + ", which " + dtype_name(tensor.dtype) +
              " cannot hold");
}

// Rows first, first + 1, ... of the target.
class Piece {
 public:
  Piece(const StreamedTensor& tensor, int64_t first, int64_t rows)
      : tensor_(tensor),
        first_(first),
        rows_(rows),
        row_bytes_(perdure_row_bytes(tensor.dtype, tensor.weight.columns)),
        bytes_(static_cast<size_t>(rows * row_bytes_)) {}

  std::span<const std::byte> make() {
    const int64_t most = std::max<int64_t>(1, std::thread::hardware_concurrency());
    const int64_t n = std::min(
        {most, rows_, std::max<int64_t>(1, rows_ * tensor_.weight.columns / kThreadValues)});
    std::vector<std::exception_ptr> errors(static_cast<size_t>(n));
    {
      std::vector<std::jthread> threads;
      for (int64_t i = 1; i < n; ++i)
        threads.emplace_back([&, i] { make_part(i, n, errors[static_cast<size_t>(i)]); });
      make_part(0, n, errors[0]);
    }
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
    return bytes_;
  }

 private:
  void make_part(int64_t part, int64_t n_parts, std::exception_ptr& error) noexcept {
    try {
      std::vector<float> values(static_cast<size_t>(tensor_.weight.columns));
      for (int64_t i = rows_ * part / n_parts; i < rows_ * (part + 1) / n_parts; ++i)
        make_row(i, values);
    } catch (...) {
      error = std::current_exception();
    }
  }

  void make_row(int64_t i, std::vector<float>& values) {
    const Weight& w = tensor_.weight;
    const int64_t source = tensor_.order.source(first_ + i);
    const std::span<std::byte> out = std::span(bytes_).subspan(static_cast<size_t>(i * row_bytes_),
                                                               static_cast<size_t>(row_bytes_));
    if (w.dtype == tensor_.dtype) {
      std::ranges::copy(row_of(w, source), out.begin());
      return;
    }
    weight_row(w, source, values);
    for (const float value : values)
      if (!holds(tensor_.dtype, value)) fail_value(tensor_, source, value);
    encode_row(tensor_.dtype, values, out);
  }

  const StreamedTensor& tensor_;
  int64_t first_, rows_, row_bytes_;
  std::vector<std::byte> bytes_;
};

}  // namespace

int64_t RowOrder::source(int64_t row) const {
  const int64_t place = changes ? row % head_size : 0, half = rotated_size / 2;
  if (!changes || place >= rotated_size) return row;
  const int64_t turned =
      to == RotationOrder::kHalves ? place % half * 2 + place / half : place % 2 * half + place / 2;
  return row - place + turned;
}

// Queries and keys, and what is added to them or scales them.
RowOrder row_order(const ModelInfo& info, std::string_view name, RotationOrder to) {
  const bool turns = name.find(".attn_q") != name.npos || name.find(".attn_k") != name.npos;
  if (!turns || info.rotation_order == to) return {};
  return {
      .changes = true, .to = to, .head_size = info.head_size, .rotated_size = info.rotated_size()};
}

int64_t source_bytes(const Weight& weight) {
  return weight.rows * perdure_row_bytes(weight.dtype, weight.columns);
}

bool stream_tensor(const StreamedTensor& tensor, const Model& model, const ByteSink& sink,
                   const KeepGoing& keep_going) {
  const Weight& w = tensor.weight;
  const int64_t rows = std::max<int64_t>(1, kPieceValues / w.columns);
  const int64_t row_bytes = perdure_row_bytes(w.dtype, w.columns);
  for (int64_t first = 0; first < w.rows; first += rows) {
    const int64_t n = std::min(rows, w.rows - first);
    sink(Piece(tensor, first, n).make());
    const std::span<const std::byte> read{static_cast<const std::byte*>(w.data) + first * row_bytes,
                                          static_cast<size_t>(n * row_bytes)};
    for (const MappedFile& file : model.files()) release_pages(file, read);
    if (!keep_going(n * row_bytes)) return false;
  }
  return true;
}

}  // namespace perdure
