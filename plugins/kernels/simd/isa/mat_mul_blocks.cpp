// SPDX-License-Identifier: Apache-2.0

// Q8_0 rows times weights in blocks of 32 values, Q8_K rows times weights in blocks of 256. A lane
// is a column of the result: sums inside a block are exact integers, blocks are scaled and added in
// order, each step rounded as in the scalar definition, so every instruction set gives its bits.
#include "plugins/kernels/common/node.hpp"
#include "plugins/kernels/simd/isa/block_types.hpp"
#include "plugins/kernels/simd/isa/table.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

inline Lanes load_four(const int8_t* x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  return splat(four);
}

#if defined(__AVX512VNNI__)

constexpr int kTileRows = 8;

// sum + four products of weights with x in every lane. Assembly: see mat_mul_q80_vnni.cpp.
inline Lanes multiply_add(Lanes sum, Lanes weights, Lanes x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.v) : "v"(weights.v), "v"(x.v));
  return sum;
}

// exact[r] += kQuads quads of weights times those of row r.
template <int, int kQuads, int kRows>
inline void multiply(const char* quads, const int8_t* x, int64_t x_stride, Lanes (&exact)[kRows]) {
  for (int q = 0; q < kQuads; ++q) {
    const Lanes weights = load_lanes(quads + q * 64);
    for (int r = 0; r < kRows; ++r)
      exact[r] = multiply_add(exact[r], weights, load_four(x + r * x_stride + q * 4));
  }
}

// Products of a block of x with those of four columns, eight added up in every lane.
template <int>
inline Lanes multiply(FourBlocks w, const int8_t* x) {
  return multiply_add(multiply_add(splat(0), w.first, four_times(x)), w.second, four_times(x + 16));
}

#else

#if defined(__AVX512F__)
constexpr int kTileRows = 4;
#else
constexpr int kTileRows = 2;
#endif

// exact[r] += kQuads quads of weights times those of row r, `factor` times. As many products as fit
// are added up in 16 bits.
template <int kLargest, int kQuads, int kRows>
inline void multiply_small(const char* quads, const int8_t* x, int64_t x_stride, unsigned shift,
                           Lanes (&exact)[kRows]) {
  constexpr int kMost = 32767 / (kLargest * 256);
  constexpr int kTogether = kMost < kQuads ? kMost : kQuads;
  const Lanes factor = splat(static_cast<int32_t>(0x00010001u << shift));
  for (int first = 0; first < kQuads; first += kTogether) {
    Lanes words[kRows];
    for (int r = 0; r < kRows; ++r) words[r] = splat(0);
    for (int q = first; q < first + kTogether; ++q) {
      Lanes weights = load_lanes(quads + q * 64);
      if (shift != 0) weights = weights >> shift;
      if (kLargest == 15) weights = weights & splat(0x0f0f0f0f);
      for (int r = 0; r < kRows; ++r)
        words[r] =
            add_words(words[r], multiply_bytes(weights, load_four(x + r * x_stride + q * 4)));
    }
    for (int r = 0; r < kRows; ++r) exact[r] = exact[r] + multiply_words(words[r], factor);
  }
}

// Bytes of eight bits as two of four.
template <int kLargest, int kQuads, int kRows>
inline void multiply(const char* quads, const int8_t* x, int64_t x_stride, Lanes (&exact)[kRows]) {
  if constexpr (kLargest == 255) {
    multiply_small<15, kQuads>(quads, x, x_stride, 0, exact);
    multiply_small<15, kQuads>(quads, x, x_stride, 4, exact);
  } else {
    multiply_small<kLargest, kQuads>(quads, x, x_stride, 0, exact);
  }
}

// Products of a block of x with those of four columns, of bytes of at most six bits: four added up
// in every 16 bits.
inline Lanes multiply_small(FourBlocks w, const int8_t* x) {
  return add_words(multiply_bytes(w.first, four_times(x)),
                   multiply_bytes(w.second, four_times(x + 16)));
}

// The same of any bytes, eight added up in every lane.
template <int kLargest>
inline Lanes multiply(FourBlocks w, const int8_t* x) {
  if constexpr (kLargest == 255) {
    const FourBlocks low = {low_bits(w.first), low_bits(w.second)};
    const FourBlocks high = {high_bits(w.first), high_bits(w.second)};
    return multiply_words(multiply_small(low, x), splat(0x00010001)) +
           multiply_words(multiply_small(high, x), splat(0x00100010));
  } else {
    return multiply_words(multiply_small(w, x), splat(0x00010001));
  }
}

#endif

// sum + a block of x times those of sixteen columns; `exact`: products of their integers.
template <typename Type>
inline Reals add_block(Reals sum, Lanes exact, Scales w, const StagedBlock& x) {
  sum = sum + to_reals(exact) * (w.scale * splat(x.scale));
  return Type::kHasMinimum ? sum + splat(x.sum) * (w.minimum * splat(x.scale)) : sum;
}

// Adds kRows rows times one unpacked block to their sums.
template <typename Type, int kRows>
inline void multiply_block(const StagedBlock* x, int64_t x_stride, const UnpackedBlock& w,
                           Reals (&sums)[kRows]) {
  const auto row = [&](int r) -> const StagedBlock& {
    return *reinterpret_cast<const StagedBlock*>(reinterpret_cast<const char*>(x) + r * x_stride);
  };
  Lanes exact[kRows];
  for (int r = 0; r < kRows; ++r) exact[r] = splat(row(r).offset);
  multiply<Type::kLargest, 8>(w.quads, x->values, x_stride, exact);
  const Scales scales = {load_reals(w.scale),
                         Type::kHasMinimum ? load_reals(w.minimum) : splat(0.0f)};
  for (int r = 0; r < kRows; ++r) sums[r] = add_block<Type>(sums[r], exact[r], scales, row(r));
}

template <typename Type, int kRows>
inline void multiply_block(const StagedSuperBlock* x, int64_t x_stride, const UnpackedSuperBlock& w,
                           Reals (&sums)[kRows]) {
  const auto row = [&](int r) -> const StagedSuperBlock& {
    return *reinterpret_cast<const StagedSuperBlock*>(reinterpret_cast<const char*>(x) +
                                                      r * x_stride);
  };
  Lanes products[kRows];
  for (int r = 0; r < kRows; ++r) products[r] = splat(0);
  for (int part = 0; part < 256 / Type::kPart; ++part) {
    Lanes exact[kRows];
    for (int r = 0; r < kRows; ++r) exact[r] = splat(Type::kBias != 0 ? row(r).offsets[part] : 0);
    multiply<Type::kLargest, Type::kPart / 4>(w.quads + part * Type::kPart * 16,
                                              x->values + part * Type::kPart, x_stride, exact);
    const Lanes scale = load_lanes(w.part_scales + part * 64);
    for (int r = 0; r < kRows; ++r) products[r] = products[r] + exact[r] * scale;
  }
  const Reals scale = load_reals(w.scale);
  for (int r = 0; r < kRows; ++r)
    sums[r] = sums[r] + to_reals(products[r]) * (scale * splat(row(r).scale));
  if (!Type::kHasMinimum) return;
  const Reals minimum = load_reals(w.minimum);
  for (int r = 0; r < kRows; ++r) {
    Lanes minima = splat(0);
    for (int i = 0; i < 4; ++i)
      minima = minima + multiply_words(splat(row(r).sums[i]), load_lanes(w.part_minima + i * 64));
    sums[r] = sums[r] - to_reals(minima) * (minimum * splat(row(r).scale));
  }
}

// A row of activations without what its products with Type do not need.
template <typename Type>
inline void stage_block(const char* x, StagedBlock& to) {
  memcpy(to.values, x + 2, sizeof to.values);
  uint16_t half;
  memcpy(&half, x, sizeof half);
  int32_t sum = 0;
  for (int i = 0; i < 32; ++i) sum += to.values[i];
  to.scale = _cvtsh_ss(half);
  to.offset = -Type::kBias * sum;
  to.sum = static_cast<float>(sum);
}

template <typename Type>
inline void stage_block(const char* x, StagedSuperBlock& to) {
  memcpy(&to.scale, x, sizeof to.scale);
  memcpy(to.values, x + 4, sizeof to.values);
  int16_t sums[16], pairs[8];
  memcpy(sums, x + 260, sizeof sums);
  for (int i = 0; i < 16; ++i) to.offsets[i] = -Type::kBias * sums[i];
  for (int i = 0; i < 8; ++i) pairs[i] = static_cast<int16_t>(sums[2 * i] + sums[2 * i + 1]);
  memcpy(to.sums, pairs, sizeof to.sums);
}

// What the types of 32 and of 256 values to a block differ in.
struct Blocks {
  static constexpr int64_t kValues = 32, kXBytes = perdure_block_bytes(PERDURE_Q8_0);
  using Staged = StagedBlock;
  using Unpacked = UnpackedBlock;
};
struct SuperBlocks {
  static constexpr int64_t kValues = 256, kXBytes = perdure_block_bytes(PERDURE_Q8_K);
  using Staged = StagedSuperBlock;
  using Unpacked = UnpackedSuperBlock;
};

// Rows that are ready, one panel of weights, and the piece of k that is unpacked.
template <typename Kind>
struct BlockProduct {
  const char* x;  // [rows] staged
  int64_t x_stride;
  char* sums;  // [rows, 16] F32
  typename Kind::Unpacked* piece;
};

template <typename Type, typename Kind, int kRows>
inline void tile(const BlockProduct<Kind>& p, int64_t row, int64_t first, int64_t count) {
  Reals sums[kRows];
  for (int r = 0; r < kRows; ++r) sums[r] = load_reals(p.sums + (row + r) * 64);
  const auto* x = reinterpret_cast<const typename Kind::Staged*>(p.x + row * p.x_stride) + first;
  for (int64_t b = 0; b < count; ++b)
    multiply_block<Type, kRows>(x + b, p.x_stride, p.piece[b], sums);
  for (int r = 0; r < kRows; ++r) store(p.sums + (row + r) * 64, sums[r]);
}

template <typename Type, typename Kind, int kRows>
inline void tiles(const BlockProduct<Kind>& p, int64_t row, int64_t n_rows, int64_t first,
                  int64_t count) {
  for (; row + kRows <= n_rows; row += kRows) tile<Type, Kind, kRows>(p, row, first, count);
  if constexpr (kRows > 1) tiles<Type, Kind, kRows / 2>(p, row, n_rows, first, count);
}

// Asks for the b-th of `n` parts of the panel that begins at `panel`: a single row waits for
// memory, not for instructions. A quarter of the part comes from each quarter of the panel, because
// memory serves four places faster than one. Behind the last panel it asks in vain.
template <typename Type>
inline void prefetch(const char* panel, int64_t b, int64_t n) {
  constexpr int64_t kQuarter = Type::kBytes * kPanelColumns / 4;
  for (int64_t i = 0; i < kQuarter; i += 64)
    for (int64_t quarter = 0; quarter < 4; ++quarter)
      _mm_prefetch(panel + (quarter * n + b) * kQuarter + i, _MM_HINT_T1);
}

// Types whose blocks a single row is multiplied with where they lie.
template <typename Type>
concept ReadInPlace = requires(const EvenColumns& w) { Type::load(w, 0, 0); };

// One row times a whole panel; `next`: the panel behind it. Unpacking to memory would cost more
// than the products.
template <typename Type>
inline Reals row_times_panel(const StagedBlock* x, const EvenColumns& w, const char* next,
                             int64_t n_blocks) {
  Reals sums = splat(0.0f);
  for (int64_t b = 0; b < n_blocks; ++b) {
    prefetch<Type>(next, b, n_blocks);
    const int64_t offset = b * Type::kBytes;
    Quads products;
    for (int i = 0; i < 4; ++i)
      products.q[i] = multiply<Type::kLargest>(Type::load(w, i, offset), x[b].values);
    const Lanes exact = sums_of_fours(products) + splat(x[b].offset);
    sums = add_block<Type>(sums, exact, load_scales<Type::kHasMinimum>(w, offset), x[b]);
  }
  return sums;
}

// All rows times one panel.
template <typename Type, typename Kind>
inline void unpacked_panel(const BlockProduct<Kind>& p, const Panel& weights, const char* next,
                           int64_t n_blocks, int64_t n_rows) {
  memset(p.sums, 0, static_cast<size_t>(n_rows * 64));
  constexpr int64_t kMost = kPieceValues / Kind::kValues;
  for (int64_t first = 0; first < n_blocks; first += kMost) {
    const int64_t count = n_blocks - first < kMost ? n_blocks - first : kMost;
    for (int64_t b = 0; b < count; ++b) {
      prefetch<Type>(next, first + b, n_blocks);
      Type::unpack(weights.columns, (first + b) * Type::kBytes, p.piece[b]);
    }
    tiles<Type, Kind, kTileRows>(p, 0, n_rows, first, count);
  }
}

template <typename Type, typename Kind>
inline void panel(const BlockProduct<Kind>& p, const perdure_tensor& w, const MatMulParams& params,
                  int64_t n_rows, int64_t column) {
  const Panel weights(w, params.n, column);
  const int64_t n_blocks = params.k / Kind::kValues;
  const char* next = weights.columns[0] + kPanelColumns * w.row_stride_bytes;
  if constexpr (ReadInPlace<Type>)
    if (n_rows == 1 && column + kPanelColumns <= params.n) {
      const EvenColumns even(weights.columns[0], w.row_stride_bytes);
      const auto* x = reinterpret_cast<const StagedBlock*>(p.x);
      return store(p.sums, row_times_panel<Type>(x, even, next, n_blocks));
    }
  unpacked_panel<Type>(p, weights, next, n_blocks, n_rows);
}

// Requires: begin is a multiple of kPanelColumns.
template <typename Type, typename Kind>
int run_blocks(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  const int64_t n_rows = count_rows(params.rows, *call->step);
  const int64_t n_blocks = params.k / Kind::kValues;
  char* sums = static_cast<char*>(scratch) + unpacked_piece_bytes(Kind::kValues);
  char* staged = sums + kStagedRows * 64;
  const int64_t x_stride = staged_row_bytes(params.k, Kind::kValues);
  const BlockProduct<Kind> product = {staged, x_stride, sums,
                                      static_cast<typename Kind::Unpacked*>(scratch)};
  for (int64_t first = 0; first < n_rows; first += kStagedRows) {
    const int64_t count = n_rows - first < kStagedRows ? n_rows - first : kStagedRows;
    for (int64_t r = 0; r < count; ++r) {
      const char* x = row_of<char>(call->inputs[0], first + r);
      auto* to = reinterpret_cast<typename Kind::Staged*>(staged + r * x_stride);
      for (int64_t b = 0; b < n_blocks; ++b) stage_block<Type>(x + b * Kind::kXBytes, to[b]);
    }
    for (int64_t column = begin; column < end; column += kPanelColumns) {
      panel<Type, Kind>(product, call->inputs[1].tensor, params, count, column);
      const int64_t n = end - column < kPanelColumns ? end - column : kPanelColumns;
      for (int64_t r = 0; r < count; ++r)
        memcpy(row_of<float>(call->outputs[0], first + r) + column, sums + r * 64,
               static_cast<size_t>(n) * sizeof(float));
    }
  }
  return PERDURE_OK;
}

}  // namespace

const BlockTable kBlockTable = {
    .q8_0 = run_blocks<Q8_0, Blocks>,
    .q4_0 = run_blocks<Q4_0, Blocks>,
    .q4_1 = run_blocks<Q4_1, Blocks>,
    .q5_0 = run_blocks<Q5_0, Blocks>,
    .q5_1 = run_blocks<Q5_1, Blocks>,
    .q4_k = run_blocks<Q4_K, SuperBlocks>,
    .q5_k = run_blocks<Q5_K, SuperBlocks>,
    .q6_k = run_blocks<Q6_K, SuperBlocks>,
};

}  // namespace perdure::simd::PERDURE_ISA
