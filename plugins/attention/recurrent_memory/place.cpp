// SPDX-License-Identifier: Apache-2.0

// `recurrent_place`: its shape rule and its scalar kernel.
#include "plugins/attention/recurrent_memory/place.hpp"

#include "sdk/kernel.hpp"

namespace perdure {
namespace {

struct PlaceParams {
  int64_t memory;
  bool among_all;
};

int prepare(const perdure_node* node, void* params) {
  *static_cast<PlaceParams*>(params) = {perdure_attribute_int(node, "memory", 0),
                                        perdure_attribute_int(node, "among_all", 0) != 0};
  return PERDURE_OK;
}

void place_row(const PlaceParams& p, const perdure_call& call, int64_t r) {
  const perdure_row& row = call.step->rows[r];
  const bool is_token = row.role == PERDURE_ROLE_TOKEN;
  int64_t before = 0;  // rows of the other kinds
  if (p.among_all && is_token) before = p.memory;
  if (p.among_all && row.role == kWriteRole) before = p.memory + row.segment_tokens;
  *kernels::row_of<int64_t>(call.outputs[0], r) =
      before + (is_token ? row.segment_index : row.index);
}

constexpr const char* kAttributes[] = {"memory", "among_all", nullptr};

constexpr perdure_kernel kKernels[] = {kernels::make_row_kernel<PlaceParams, place_row>(
    "recurrent_place_scalar", "recurrent_place", prepare, kAttributes)};

std::vector<ValueType> result(const std::vector<ValueType>&, const Attributes&) {
  return {{.kind = ValueKind::kRows, .dtype = PERDURE_I64, .rows = 0, .columns = 1}};
}

}  // namespace

Value recurrent_place(GraphBuilder& g, int64_t memory, bool among_all) {
  return g.apply("recurrent_place", {}, {{"memory", memory}, {"among_all", int64_t{among_all}}});
}

Operation recurrent_place_operation() {
  return {.name = "recurrent_place", .kind = OperationKind::kRowWise, .result = result};
}

std::span<const perdure_kernel> recurrent_place_kernels() { return kKernels; }

}  // namespace perdure
