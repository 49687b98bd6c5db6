// SPDX-License-Identifier: Apache-2.0

// The scratch of products of quantised rows with weights in GGUF's blocks. Weights stay as they lie
// in the file: a panel of sixteen columns of the result (rows of the weight) is unpacked piece by
// piece of k, small enough for the level-1 cache, and all rows pass it before the next piece.
#pragma once

#include <stddef.h>

#include "plugins/kernels/simd/isa/q80_layout.hpp"

namespace perdure::simd {

// Values of k that are unpacked together.
constexpr int64_t kPieceValues = 512;

// A block of a row of activations, ready for products.
struct StagedBlock {
  int8_t values[32];
  float scale;
  int32_t offset;  // -bias of the weights * sum of the values
  float sum;
};

struct StagedSuperBlock {
  int8_t values[256];
  float scale;
  int32_t offsets[16];  // as above, of each 16 values
  int32_t sums[4];      // two 16-bit sums of 32 values each
};

// A block of sixteen columns: unsigned bytes four by four of k, columns side by side, then sixteen
// scales and minima.
struct UnpackedBlock {
  char quads[8 * 64];
  char scale[64], minimum[64];
};

struct UnpackedSuperBlock {
  char quads[64 * 64];
  char part_scales[16 * 64];  // 32-bit integers
  char part_minima[4 * 64];   // pairs of 16-bit integers
  char scale[64], minimum[64];
};

static inline int64_t staged_row_bytes(int64_t k, int64_t block_values) {
  return block_values == 32 ? k / 32 * static_cast<int64_t>(sizeof(StagedBlock))
                            : k / 256 * static_cast<int64_t>(sizeof(StagedSuperBlock));
}

static inline int64_t unpacked_piece_bytes(int64_t block_values) {
  return block_values == 32 ? kPieceValues / 32 * static_cast<int64_t>(sizeof(UnpackedBlock))
                            : kPieceValues / 256 * static_cast<int64_t>(sizeof(UnpackedSuperBlock));
}

// The unpacked piece, sixteen sums of each row, the staged rows.
static inline int64_t block_scratch_bytes(int64_t k, int64_t block_values) {
  return unpacked_piece_bytes(block_values) + kStagedRows * 64 +
         kStagedRows * staged_row_bytes(k, block_values);
}

}  // namespace perdure::simd
