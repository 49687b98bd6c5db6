// SPDX-License-Identifier: Apache-2.0

// The plugin kernels.simd: every built-in operation for every instruction set it was compiled for.
// What an instruction set does not compute itself it takes from a lower one or, where nothing is
// computed, from kernels/common, under its own name: a plan may be held to one instruction set.
#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/plugin.h"
#include "plugins/kernels/simd/isa/table.hpp"
#include "plugins/kernels/simd/simd.hpp"

namespace perdure::simd {
namespace {

struct InstructionSet {
  const char* name;
  uint64_t cpu_features;
  int32_t rank;
  const IsaTable& table;
  Run mat_mul_q80;
  int (*pack_q80)(const perdure_node*, const void*, uint32_t, void*);
  const BlockTable& blocks;
  const BlockTable& dequantised;
};

constexpr uint64_t kAvx2 = PERDURE_CPU_AVX2 | PERDURE_CPU_FMA | PERDURE_CPU_F16C;
constexpr uint64_t kAvx512 = kAvx2 | PERDURE_CPU_AVX512;

// The kernels of one operation, apart from their names and what they are ranked.
template <typename Params>
perdure_kernel kernel(const char* stem, const char* op, decltype(perdure_kernel::prepare) prepare,
                      decltype(perdure_kernel::divide) divide, Run run,
                      perdure_items items = PERDURE_ITEMS_ROWS) {
  return operation_kernel<Params>(stem, op, prepare, divide, run, items);
}

// What is computed row by row.
std::vector<perdure_kernel> row_kernels(const IsaTable& t) {
  using E = ElementwiseParams;
  std::vector<perdure_kernel> all = {
      kernel<E>("add_f32", "add", prepare_binary, divide_elements, t.add),
      kernel<E>("mul_f32", "mul", prepare_binary, divide_elements, t.mul),
      kernel<E>("silu_mul_f32", "silu_mul", prepare_binary, divide_elements, t.silu_mul),
      kernel<E>("sigmoid_f32", "sigmoid", prepare_unary, divide_elements, t.sigmoid),
      kernel<E>("silu_f32", "silu", prepare_unary, divide_elements, t.silu),
      kernel<E>("tanh_f32", "tanh", prepare_unary, divide_elements, t.tanh),
      kernel<E>("exp_f32", "exp", prepare_unary, divide_elements, t.exp),
      kernel<E>("gelu_f32", "gelu", prepare_unary, divide_elements, t.gelu),
      kernel<E>("gelu_tanh_f32", "gelu_tanh", prepare_unary, divide_elements, t.gelu_tanh),
      kernel<E>("relu_square_f32", "relu_square", prepare_unary, divide_elements, t.relu_square),
      kernel<ScaleParams>("scale_rows_f32", "scale_rows", prepare_scale_rows, divide_elements,
                          t.scale_rows),
      kernel<NormParams>("softmax_f32", "softmax", prepare_softmax, divide_rows, t.softmax),
      kernel<RopeParams>("rope_f32", "rope", prepare_rope, divide_rows, t.rope),
      kernel<QuantizeParams>("quantize_f32", "quantize", prepare_quantize, divide_rows, t.quantize),
  };
  auto norm = kernel<NormParams>("rms_norm_f32", "rms_norm", prepare_norm, divide_rows, t.rms_norm);
  norm.packed_bytes = norm_packed_bytes;
  norm.pack = pack_norm;
  all.push_back(norm);
  for (auto with_vectors :
       {kernel<E>("add_row_f32", "add_row", prepare_vector, divide_elements, t.add_row),
        kernel<E>("mul_row_f32", "mul_row", prepare_vector, divide_elements, t.mul_row),
        kernel<GroupNormParams>("group_norm_f32", "group_norm", prepare_group_norm, divide_rows,
                                t.group_norm)}) {
    with_vectors.packed_bytes = vector_packed_bytes;
    with_vectors.pack = pack_vector;
    all.push_back(with_vectors);
  }
  return all;
}

// Products; those with GGUF's blocks are kernels_of_blocks.
std::vector<perdure_kernel> product_kernels(const InstructionSet& isa) {
  const IsaTable& t = isa.table;
  using M = MatMulParams;
  auto dequantised = kernel<M>("mat_mul_f32_q80", "mat_mul", prepare_mat_mul_f32_q80,
                               divide_mat_mul, t.mat_mul_f32_q80, PERDURE_ITEMS_COLUMNS);
  dequantised.scratch_bytes = dequantised_scratch;
  auto quantised = kernel<M>("mat_mul_q80", "mat_mul", prepare_mat_mul_q80, divide_mat_mul,
                             isa.mat_mul_q80, PERDURE_ITEMS_COLUMNS);
  quantised.scratch_bytes = q80_scratch;
  quantised.packed_bytes = q80_packed_bytes;
  quantised.pack = isa.pack_q80;
  return {kernel<M>("mat_mul_f32", "mat_mul", prepare_mat_mul_f32, divide_mat_mul, t.mat_mul_f32,
                    PERDURE_ITEMS_COLUMNS),
          kernel<M>("mat_mul_f16", "mat_mul", prepare_mat_mul_f16, divide_mat_mul, t.mat_mul_f16,
                    PERDURE_ITEMS_COLUMNS),
          kernel<M>("mat_mul_bf16", "mat_mul", prepare_mat_mul_bf16, divide_mat_mul, t.mat_mul_bf16,
                    PERDURE_ITEMS_COLUMNS),
          dequantised, quantised};
}

// Attention as far as the instruction set computes it.
std::vector<perdure_kernel> fast_attention(const IsaTable& t) {
  auto attend = kernel<AttendParams>("attend_f32", "attend", prepare_attend_ranges, divide_attend,
                                     t.attend, PERDURE_ITEMS_ELEMENTS);
  attend.scratch_bytes = attend_scratch;
  return {attend};
}

// The definition of attention, for what the instruction set leaves to it.
std::vector<perdure_kernel> rare_attention() {
  std::vector<perdure_kernel> all(attend_kernels().begin(), attend_kernels().end());
  for (perdure_kernel& k : all)
    if (std::string(k.op) == "attend") k.name = "attend_any_f32";
  return all;
}

// A kernel's name without the instruction set that it has in kernels/common.
std::string_view stem_of(const perdure_kernel& kernel) {
  std::string_view stem = kernel.name;
  constexpr std::string_view kScalar = "_scalar";
  if (stem.ends_with(kScalar)) stem.remove_suffix(kScalar.size());
  return stem;
}

// Functions of a table by the end of the stems that they compute.
template <typename Table>
struct Entry {
  std::string_view end;
  Run Table::* run;
};

constexpr Entry<BlockTable> kProducts[] = {
    {"_q8_0", &BlockTable::q8_0}, {"_q4_0", &BlockTable::q4_0}, {"_q4_1", &BlockTable::q4_1},
    {"_q5_0", &BlockTable::q5_0}, {"_q5_1", &BlockTable::q5_1}, {"_q4_k", &BlockTable::q4_k},
    {"_q5_k", &BlockTable::q5_k}, {"_q6_k", &BlockTable::q6_k}};
constexpr Entry<IsaTable> kQuantisers[] = {{"_q8_0", &IsaTable::quantize_q8_0},
                                           {"_q8_k", &IsaTable::quantize_q8_k}};

// Errors: std::logic_error if there is none, so that no scalar code gets an instruction set's name.
template <typename Table, size_t n>
Run run_of(const perdure_kernel& kernel, const Table& table, const Entry<Table> (&entries)[n]) {
  for (const Entry<Table>& entry : entries)
    if (stem_of(kernel).ends_with(entry.end)) return table.*entry.run;
  throw std::logic_error("no instruction set computes " + std::string(stem_of(kernel)) +
                         "; add it to plugins/kernels/simd");
}

// The kernels for GGUF's blocks; the instruction set computes all of them.
std::vector<perdure_kernel> kernels_of_blocks(const InstructionSet& isa) {
  std::vector<perdure_kernel> all(block_kernels().begin(), block_kernels().end());
  for (perdure_kernel& k : all) {
    if (std::string_view(k.op) == "quantize") {
      k.run = run_of(k, isa.table, kQuantisers);
      continue;
    }
    const bool real = stem_of(k).starts_with("mat_mul_f32_");
    k.run = run_of(k, real ? isa.dequantised : isa.blocks, kProducts);
    k.scratch_bytes = real ? dequantised_scratch : block_scratch;
    k.divide = divide_mat_mul;
  }
  return all;
}

// Adds kernels to those of one instruction set; names live in `names`.
void add_kernels(std::vector<perdure_kernel> kernels, const InstructionSet& isa, int32_t rank,
                 std::deque<std::string>& names, std::vector<perdure_kernel>& all) {
  for (perdure_kernel& k : kernels) {
    names.push_back(std::string(stem_of(k)) + "_" + isa.name);
    k.name = names.back().c_str();
    k.isa = isa.name;
    k.cpu_features = isa.cpu_features;
    k.rank = rank;
    all.push_back(k);
  }
}

std::vector<perdure_kernel> all_kernels() {
  static std::deque<std::string> names;
  const InstructionSet sets[] = {
      {"avx512vnni", kAvx512 | PERDURE_CPU_AVX512_VNNI, 3, avx512::kTable,
       avx512vnni::run_mat_mul_q80, pack_q80_unsigned, avx512vnni::kBlockTable,
       avx512::kDequantisedTable},
      {"avx512", kAvx512, 2, avx512::kTable, avx512::kTable.mat_mul_q80, pack_q80_signed,
       avx512::kBlockTable, avx512::kDequantisedTable},
      {"avx2", kAvx2, 1, avx2::kTable, avx2::kTable.mat_mul_q80, pack_q80_signed, avx2::kBlockTable,
       avx2::kDequantisedTable},
  };
  std::vector<perdure_kernel> all;
  for (const InstructionSet& isa : sets) {
    add_kernels(row_kernels(isa.table), isa, isa.rank, names, all);
    add_kernels(product_kernels(isa), isa, isa.rank, names, all);
    add_kernels(fast_attention(isa.table), isa, isa.rank, names, all);
    for (const auto moving :
         {position_kernels(), range_kernels(), state_kernels(), column_kernels()})
      add_kernels({moving.begin(), moving.end()}, isa, isa.rank, names, all);
    add_kernels(kernels_of_blocks(isa), isa, isa.rank, names, all);
    add_kernels(rare_attention(), isa, 0, names, all);
  }
  return all;
}

}  // namespace
}  // namespace perdure::simd

PERDURE_PLUGIN(kernels, simd, 0) {
  static const std::vector<perdure_kernel> kernels = perdure::simd::all_kernels();
  static const perdure_kernel_plugin plugin = {sizeof(perdure_kernel_plugin), PERDURE_KERNEL_ABI,
                                               static_cast<uint32_t>(kernels.size()),
                                               kernels.data()};
  return &plugin;
}
