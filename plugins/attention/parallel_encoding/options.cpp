// SPDX-License-Identifier: Apache-2.0

#include "plugins/attention/parallel_encoding/options.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace perdure {
namespace {

constexpr int64_t kUsualChunk = 256;  // of the authors
constexpr double kMostTokens = 1e12;
constexpr int64_t kMostBatch = 4096;
constexpr int64_t kLongestChunk = 1 << 20;

// "with_query-3", "with_query_no_hid-3", "context_only".
void read_encode_mode(const std::string& mode, ParallelOptions& o) {
  if (mode == "context_only") return;
  constexpr std::string_view kQuery = "with_query-", kNoStates = "with_query_no_hid-";
  const bool kept = mode.starts_with(kQuery);
  const std::string_view digits =
      std::string_view(mode).substr(std::min(mode.size(), (kept ? kQuery : kNoStates).size()));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), o.query);
  if ((!kept && !mode.starts_with(kNoStates)) || error != std::errc() ||
      end != digits.data() + digits.size() || o.query < 1 || o.query > kLongestChunk)
    throw UsageError("attention.encode_mode is '" + mode +
                     "' but must be context_only, with_query-N or with_query_no_hid-N with N from "
                     "1 to " +
                     std::to_string(kLongestChunk));
  o.keeps_query = kept;
}

void read_chunk(const ModelInfo& model, int64_t given, ParallelOptions& o) {
  const int64_t places = model.size("encoder.max_position_embeddings");
  o.chunk = given != 0 ? given : std::min(kUsualChunk, std::max<int64_t>(1, places - o.query));
  if (o.chunk > places - o.query)
    throw UsageError("attention.chunk of " + std::to_string(o.chunk) + " tokens and a query of " +
                     std::to_string(o.query) + " are more than the encoder's " +
                     std::to_string(places) + " positions");
}

// How contexts are read and kept.
std::vector<OptionSpec> form_options() {
  return {{.name = "cross",
           .type = OptionType::kText,
           .default_value = std::string("cached"),
           .help = "What is kept of contexts: keys and values of every layer, or the encoder's "
                   "rows alone.",
           .choices = {"cached", "absorbed"}},
          {.name = "encode_mode",
           .type = OptionType::kText,
           .default_value = std::string("context_only"),
           .help = "with_query-N, with_query_no_hid-N: each chunk is read with the text's first N "
                   "tokens behind it, whose states are kept or not."}};
}

std::vector<OptionSpec> chunk_options() {
  return {{.name = "chunk",
           .type = OptionType::kInt,
           .default_value = int64_t{0},
           .help = "Maximum number of tokens of a chunk of the contexts; auto or 0: 256, or the "
                   "encoder's positions if they are fewer.",
           .min = 0,
           .max = kLongestChunk,
           .zero_is_auto = true},
          {.name = "encoder_batch",
           .type = OptionType::kInt,
           .default_value = int64_t{0},
           .help = "Chunks that pass through the encoder together; auto or 0: as many as fit into "
                   "step.max_rows.",
           .min = 0,
           .max = kMostBatch,
           .changes_numbers = false,
           .zero_is_auto = true}};
}

}  // namespace

std::vector<OptionSpec> parallel_option_specs() {
  std::vector<OptionSpec> specs = rotary_option_specs();
  for (auto options : {form_options(), chunk_options()})
    specs.insert(specs.end(), options.begin(), options.end());
  specs.push_back({.name = "max_contexts",
                   .type = OptionType::kInt,
                   .default_value = int64_t{1048576},
                   .help = "Maximum number of tokens of all contexts of a session.",
                   .min = 1,
                   .max = kMostTokens,
                   .changes_numbers = false});
  specs.push_back(max_length_option());
  return specs;
}

ParallelOptions read_parallel_options(const ModelInfo& model, const Options& options) {
  if (model.size("cross_attention.layers", 0) == 0)
    throw UsageError(
        "attention.strategy: parallel_encoding needs a model with an encoder and cross-attention "
        "(CEPE); choose another strategy for this one");
  ParallelOptions o{.rotary = read_rotary_options(model, options),
                    .absorbed = options.text("cross") == "absorbed",
                    .batch = options.integer("encoder_batch"),
                    .max_contexts = options.integer("max_contexts"),
                    .max_length = options.integer("max_length")};
  read_encode_mode(options.text("encode_mode"), o);
  read_chunk(model, options.integer("chunk"), o);
  check_xpos_places(o.rotary.xpos, o.max_length, "max_length");
  return o;
}

}  // namespace perdure
