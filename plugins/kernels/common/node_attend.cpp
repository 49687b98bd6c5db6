// SPDX-License-Identifier: Apache-2.0

// The nodes that kernels for attention take, and what they keep of them.
#include <cstring>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::kernels {
namespace {

bool is_key_rows(const perdure_value& v, int64_t n) {
  return (is_state(v) || is_rows(v, PERDURE_F32)) && columns(v) == n;
}

// Reads a node into the parameters, input by input.
struct Reader {
  const perdure_node& node;
  AttendParams& p;
  int64_t n_queries = perdure_attribute_int(&node, "n_queries", 1);
  int64_t n_kv_heads = perdure_attribute_int(&node, "n_kv_heads", 0);
  bool weighing = std::strcmp(node.op, "attend_weighing") == 0;

  uint32_t first_query() const { return weighing ? 1 : 0; }
  uint32_t after_ranges() const {
    return first_query() + static_cast<uint32_t>(n_queries + 3 * p.n_ranges);
  }
  const perdure_value& input(uint32_t i) const { return node.inputs[i]; }

  int64_t of_range(const char* list, int64_t r, int64_t otherwise) const {
    return perdure_attribute_int_at(&node, list, static_cast<uint32_t>(r), otherwise);
  }

  bool read_counts() {
    p.n_heads = perdure_attribute_int(&node, "n_heads", 0);
    p.n_ranges = perdure_attribute_int(&node, "n_ranges", 1);
    return p.n_heads >= 1 && n_kv_heads >= 1 && p.n_heads % n_kv_heads == 0 && n_queries >= 1 &&
           p.n_ranges >= 1 && p.n_ranges <= PERDURE_MAX_KEY_RANGES && node.n_outputs == 1 &&
           is_rows(node.outputs[0], PERDURE_F32) && node.n_inputs >= after_ranges();
  }

  bool read_heads() {
    const int64_t n = columns(input(first_query()));
    for (uint32_t q = first_query(); q < first_query() + n_queries; ++q)
      if (!is_rows(input(q), PERDURE_F32) || columns(input(q)) != n) return false;
    if (n % p.n_heads != 0) return false;
    p.heads_per_kv = p.n_heads / n_kv_heads;
    p.head_size = n / p.n_heads;
    p.value_size = perdure_attribute_int(&node, "value_size", p.head_size);
    p.scale = static_cast<float>(perdure_attribute_real(&node, "scale", 0.0));
    p.cap = static_cast<float>(perdure_attribute_real(&node, "cap", 0.0));
    return p.value_size >= 1 && columns(node.outputs[0]) == p.n_heads * p.value_size;
  }

  bool read_range(int64_t r) {
    KeyRangeParams& range = p.ranges[r];
    range.input = first_query() + static_cast<uint32_t>(n_queries + 3 * r);
    range.query = first_query() + static_cast<uint32_t>(of_range("query", r, 0));
    range.group = of_range("group", r, 1);
    range.angle_block = of_range("angle_block", r, 0);
    range.rotate = of_range("rotate", r, 0) != 0;
    range.weigh = of_range("weigh", r, 0) != 0;
    return is_key_rows(input(range.input), n_kv_heads * p.head_size) &&
           is_key_rows(input(range.input + 1), n_kv_heads * p.value_size) &&
           is_rows(input(range.input + 2), PERDURE_I64) && columns(input(range.input + 2)) == 3 &&
           range.query < first_query() + n_queries && range.group >= 1 && range.angle_block >= 0;
  }

  // Angles, lists, slopes and places: whatever stands behind the ranges.
  bool read_rest() {
    const bool has_slopes = perdure_attribute_int(&node, "slopes", 0) != 0;
    uint32_t n_lists = 0;
    bool rotates = false;
    for (int64_t r = 0; r < p.n_ranges; ++r) {
      n_lists += of_range("listed", r, 0) != 0 ? 1 : 0;
      rotates = rotates || p.ranges[r].rotate;
    }
    const uint32_t n_others = after_ranges() + n_lists + (has_slopes ? 2 : 0);
    const bool has_angles = node.n_inputs == n_others + 1;
    if ((!has_angles && node.n_inputs != n_others) || (rotates && !has_angles)) return false;
    p.angles = after_ranges();
    uint32_t next = p.angles + (has_angles ? 1 : 0);
    for (int64_t r = 0; r < p.n_ranges; ++r)
      if (of_range("listed", r, 0) != 0) p.ranges[r].list = next++;
    p.slopes = has_slopes ? next : 0;
    return (!rotates || read_rotation()) && lists_fit() && slopes_fit();
  }

  bool read_rotation() {
    p.rotation = {p.head_size, columns(input(p.angles)),
                  perdure_attribute_int(&node, "halves", 0) != 0};
    return p.rotation.rotary % 2 == 0 && p.rotation.rotary <= p.head_size &&
           is_constant(input(p.angles), PERDURE_F32);
  }

  bool lists_fit() const {
    for (int64_t r = 0; r < p.n_ranges; ++r)
      if (p.ranges[r].list != 0 && !is_rows(input(p.ranges[r].list), PERDURE_I64)) return false;
    return true;
  }

  bool slopes_fit() const {
    return p.slopes == 0 ||
           (is_constant(input(p.slopes), PERDURE_F32) && columns(input(p.slopes)) == p.n_heads &&
            is_rows(input(p.slopes + 1), PERDURE_I64));
  }

  bool read_weights() {
    if (!weighing) return true;
    if (!is_state(input(0))) return false;
    p.n_weight_columns = columns(input(0));
    return p.n_weight_columns >= 1 && p.n_heads % p.n_weight_columns == 0;
  }
};

}  // namespace

int prepare_attend(const perdure_node* node, void* params) {
  Reader reader{*node, *static_cast<AttendParams*>(params)};
  if (!reader.read_counts() || !reader.read_heads()) return PERDURE_DECLINED;
  for (int64_t r = 0; r < reader.p.n_ranges; ++r)
    if (!reader.read_range(r)) return PERDURE_DECLINED;
  return reader.read_rest() && reader.read_weights() ? PERDURE_OK : PERDURE_DECLINED;
}

}  // namespace perdure::kernels
