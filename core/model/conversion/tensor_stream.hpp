// SPDX-License-Identifier: Apache-2.0

// Tensors on their way into a file, in pieces: never more than a few MiB of one in memory, whatever
// its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/model_info.hpp"
#include "core/model/model.hpp"

namespace perdure {

// The order in which rows of queries and keys are written: as they are, or so that other values of
// a head turn together.
struct RowOrder {
  bool changes = false;
  RotationOrder to = RotationOrder::kAdjacentPairs;
  int64_t head_size = 0, rotated_size = 0;

  // The row of the source that becomes row `row`.
  int64_t source(int64_t row) const;
};

// The order of the rows of the model's weight `name` in a file whose heads turn as `to` says.
RowOrder row_order(const ModelInfo& info, std::string_view name, RotationOrder to);

// A tensor of the target; the weight is borrowed.
struct StreamedTensor {
  std::string name;                 // in the target
  std::vector<int64_t> shape = {};  // in GGUF's order: columns first
  Weight weight;
  perdure_dtype dtype = PERDURE_F32;  // in the target
  RowOrder order = {};
};

// Takes bytes of the target in their order.
using ByteSink = std::function<void(std::span<const std::byte> bytes)>;
// Told after every piece how many bytes of the source are done; false: stop.
using KeepGoing = std::function<bool(int64_t bytes)>;

// Bytes of the source.
int64_t source_bytes(const Weight& weight);

// Writes the tensor: rows of the same type byte by byte, others through F32, on several threads
// with the same result. False if `keep_going` asked to stop. `model`: whose files give back the
// memory of what has been read.
// Errors: Error naming the tensor and its row for a value that the type cannot hold: one that is no
// finite number in types of blocks, one beyond 65504 in F16; and those of the sink.
bool stream_tensor(const StreamedTensor& tensor, const Model& model, const ByteSink& sink,
                   const KeepGoing& keep_going);

}  // namespace perdure
