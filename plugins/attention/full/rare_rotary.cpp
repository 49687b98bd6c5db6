// SPDX-License-Identifier: Apache-2.0

// Implements rare_rotary.hpp: its nodes, and the three operations with their scalar kernels.
#include "plugins/attention/full/rare_rotary.hpp"

#include <array>
#include <cmath>
#include <cstring>

#include "sdk/kernel.hpp"

namespace perdure {
namespace {

struct Params {
  int64_t n;          // columns of the result
  int64_t head_size;  // columns of the angles
};

// Input 0 F32 rows, and where there is a second one, angles [rows, head_size].
int prepare(const perdure_node* node, void* params) {
  for (uint32_t i = 0; i < node->n_inputs; ++i)
    if (node->inputs[i].tensor.dtype != PERDURE_F32) return PERDURE_DECLINED;
  *static_cast<Params*>(params) = {node->outputs[0].tensor.shape[1],
                                   node->inputs[node->n_inputs - 1].tensor.shape[1]};
  return PERDURE_OK;
}

float* row_of(const perdure_value& value, int64_t row) {
  return kernels::row_of<float>(value, row);
}

void absolute_row(const Params& p, const perdure_call& call, int64_t row) {
  for (int64_t i = 0; i < p.n; ++i)
    row_of(call.outputs[0], row)[i] = std::fabs(row_of(call.inputs[0], row)[i]);
}

void sum_row(const Params& p, const perdure_call& call, int64_t row) {
  const float* x = row_of(call.inputs[0], row);
  const float* angles = row_of(call.inputs[1], row);
  float* y = row_of(call.outputs[0], row);
  for (int64_t i = 0; i < p.n; i += 2) {
    const float cosine = angles[i % p.head_size], sine = angles[i % p.head_size + 1];
    y[i] = x[i] * cosine + x[i + 1] * sine;
    y[i + 1] = x[i] * sine + x[i + 1] * cosine;
  }
}

// x, then all cosines, then all sines.
void append_row(const Params& p, const perdure_call& call, int64_t row) {
  const int64_t width = p.n - p.head_size, pairs = p.head_size / 2;
  const float* angles = row_of(call.inputs[1], row);
  float* y = row_of(call.outputs[0], row);
  std::memcpy(y, row_of(call.inputs[0], row), static_cast<size_t>(width) * sizeof(float));
  for (int64_t i = 0; i < pairs; ++i) {
    y[width + i] = angles[2 * i];
    y[width + pairs + i] = angles[2 * i + 1];
  }
}

constexpr std::array kKernels = {
    kernels::make_row_kernel<Params, absolute_row>("absolute_f32_scalar", "absolute", prepare),
    kernels::make_row_kernel<Params, sum_row>("sum_pairs_f32_scalar", "sum_pairs", prepare),
    kernels::make_row_kernel<Params, append_row>("append_angles_f32_scalar", "append_angles",
                                                 prepare),
};

// Row values of F32; the second, if there is one, angles that fit the heads of the first.
void check(const char* name, size_t n_inputs, const std::vector<ValueType>& in) {
  bool fits = in.size() == n_inputs;
  for (const ValueType& t : in) fits = fits && t.kind == ValueKind::kRows && t.dtype == PERDURE_F32;
  if (!fits)
    throw Error("[" + std::string(name) + "] needs " + std::to_string(n_inputs) + " rows of F32");
}

Operation operation(const char* name, size_t n_inputs, bool appends) {
  return {.name = name,
          .kind = OperationKind::kRowWise,
          .result = [=](const std::vector<ValueType>& in, const Attributes&) {
            check(name, n_inputs, in);
            ValueType result = in[0];
            if (appends) result.columns += in[1].columns;
            return std::vector<ValueType>{result};
          }};
}

}  // namespace

std::vector<OptionSpec> rare_option_specs() {
  return {
      {.name = "positions",
       .type = OptionType::kText,
       .default_value = std::string("absolute"),
       .help = "Positions used by rotary embedding: absolute, none, wrapped modulo the training "
               "length, or clipped (0 for all but the last train_length tokens).",
       .choices = {"absolute", "none", "wrapped", "clipped"},
       .joined_later = true},
      {.name = "freqs_abs",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Rotate by the absolute values of cosine and sine.",
       .joined_later = true},
      {.name = "sum_cis",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Replace the differences in a rotation by sums.",
       .joined_later = true},
      {.name = "concat_pe",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Concatenate positional encodings to the input of the projections, for models "
               "trained that way.",
       .joined_later = true}};
}

RareOptions read_rare_options(const Options& options) {
  return {options.text("positions"), options.flag("freqs_abs"), options.flag("sum_cis"),
          options.flag("concat_pe")};
}

RareRotary::RareRotary(const RareOptions& options, const RotaryOptions& rotary)
    : options_(options), train_length_(rotary.train_length) {
  const bool clipped = options_.positions == "clipped";
  if ((clipped || options_.positions == "wrapped") && train_length_ == 0)
    throw UsageError("attention.positions: " + options_.positions +
                     " needs a training length: set attention.train_length");
  if (!clipped) return;
  if (rotary.eval_length == 0 || rotary.eval_length % train_length_ != 0)
    throw UsageError(
        "attention.positions: clipped needs an attention.eval_length that is a multiple of the "
        "training length of " +
        std::to_string(train_length_));
  clipped_ = rotary.eval_length - train_length_;
}

Value RareRotary::index(GraphBuilder& g, Value place) const {
  if (options_.positions == "wrapped") return op::row_index(g, train_length_);
  return clipped_ > 0 ? op::map_index(g, place, -clipped_) : place;
}

Turn RareRotary::turn() const {
  if (!options_.freqs_abs && !options_.sum_cis) return {};
  return [absolute = options_.freqs_abs, sums = options_.sum_cis](GraphBuilder& g, Value x,
                                                                  Value angles) {
    if (absolute) angles = g.apply("absolute", {angles});
    return sums ? g.apply("sum_pairs", {x, angles}) : op::rope(g, x, angles);
  };
}

Value RareRotary::input(GraphBuilder& g, const RotaryProjections& projections, int64_t layer,
                        Value x, Value place) const {
  const std::string name = layer_name(layer, "attn_q.weight");
  const int64_t extra = g.type(g.weight(name)).columns - g.type(x).columns;
  if (extra != (options_.concat_pe ? projections.model().head_size : 0))
    throw UsageError(extra == 0
                         ? "attention.concat_pe needs a model whose projections were trained "
                           "with places beside their input"
                         : "the model's projections were trained with places beside their "
                           "input: set attention.concat_pe: true");
  if (!options_.concat_pe) return x;
  Value angles = projections.angles(g, place, 0);
  if (options_.freqs_abs) angles = g.apply("absolute", {angles});
  return g.apply("append_angles", {x, angles});
}

std::vector<Operation> rare_operations() {
  return {operation("absolute", 1, false), operation("sum_pairs", 2, false),
          operation("append_angles", 2, true)};
}

std::span<const perdure_kernel> rare_kernels() { return kKernels; }

}  // namespace perdure
