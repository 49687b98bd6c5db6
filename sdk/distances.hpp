// SPDX-License-Identifier: Apache-2.0

// The option `distances`: how far away a far key looks to a query. Near keys keep their distance;
// of all others it is either one constant (ReRoPE, Su 2023; with a window and sinks LM-Infinite,
// Han et al. 2023, arXiv 2308.16137) or counted in groups (Self-Extend, Jin et al. 2024, arXiv
// 2401.01325, and llama2Rnn's form of it, specification section 4). Every key is kept twice,
// rotated for near and for far queries, so that no key is rotated again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sdk/rotary_attention.hpp"

namespace perdure {

// What `near` is where it is to be chosen: no number of keys.
inline constexpr int64_t kAutomaticNear = -1;

inline std::vector<OptionSpec> distance_option_specs() {
  return {
      {.name = "distances",
       .type = OptionType::kText,
       .default_value = std::string("exact"),
       .help = "Relative positions of keys that are not near: exact, all equal (clamped: "
               "ReRoPE), or counted in groups (grouped: Self-Extend).",
       .choices = {"exact", "clamped", "grouped"},
       .joined_later = true},
      {.name = "near",
       .type = OptionType::kInt,
       .default_value = kAutomaticNear,
       .help = "How many of the latest keys keep their exact distance, the token's own included; "
               "auto: the training length, or one less if grouped.",
       .min = 0,
       .max = 1e9,
       .joined_later = true,
       .default_is_auto = true},
      {.name = "group",
       .type = OptionType::kInt,
       .default_value = int64_t{0},
       .help = "Positions per group; auto or 0: the smallest number that brings eval_length "
               "within the training length.",
       .min = 0,
       .max = 1e9,
       .joined_later = true,
       .zero_is_auto = true}};
}

class Distances {
 public:
  // Errors: UsageError if a length is missing or options contradict each other.
  Distances(const Options& options, const RotaryOptions& rotary)
      : near_(options.integer("near")), group_(options.integer("group")) {
    const std::string& rule = options.text("distances");
    if (rule == "clamped") {
      rule_ = Rule::kClamped;
      read_clamped(rotary);
    } else if (rule == "grouped") {
      rule_ = Rule::kGrouped;
      read_grouped(rotary);
    }
    if (rule_ != Rule::kGrouped && group_ != 0) refuse("group", "grouped");
    if (rule_ == Rule::kExact && near_ != kAutomaticNear) refuse("near", "clamped or grouped");
  }

  bool exact() const { return rule_ == Rule::kExact; }
  bool needs_eval_length() const { return needs_eval_length_; }

  // The query that meets far keys. `raw` as RotaryProjections::raw_query makes it.
  Value far_query(GraphBuilder& g, const RotaryProjections& p, Value raw, Value place) const {
    const Value index = rule_ == Rule::kClamped ? op::row_index(g, 1, near_ - 1)
                                                : op::map_index(g, place, before_, group_, shift_);
    return p.rotated_query(g, raw, index, place);
  }

  // The key as far queries meet it.
  Value far_key(GraphBuilder& g, const RotaryProjections& p, Value raw, Value place) const {
    if (rule_ == Rule::kClamped) return p.unrotated_key(g, raw);
    return p.rotated_key(g, raw, op::map_index(g, place, 0, group_));
  }

  // `range` of a row at `place` as one or two ranges for `attend`: near keys for query 0, far ones
  // for query 1.
  void add_ranges(GraphBuilder& g, std::vector<op::KeyRange>& ranges, const op::KeyRange& range,
                  Value far_keys, Value place) const {
    if (exact()) return ranges.push_back(range);
    op::KeyRange far = range, near = range;
    far.keys = far_keys;
    far.query = 1;
    far.range = op::cut_range(g, range.range, place, near_, true);
    near.range = op::cut_range(g, range.range, place, near_, false);
    ranges.push_back(far);
    if (near_ > 0) ranges.push_back(near);
  }

 private:
  enum class Rule { kExact, kClamped, kGrouped };

  [[noreturn]] static void refuse(const std::string& name, const std::string& with) {
    throw UsageError("attention." + name + " has an effect only with attention.distances: " + with);
  }

  void read_clamped(const RotaryOptions& rotary) {
    if (near_ == kAutomaticNear) {
      near_ = rotary.train_length;
      if (rotary.eval_length > 0) near_ = std::min(near_, rotary.eval_length);
      needs_eval_length_ = true;
    }
    if (near_ < 1)
      throw UsageError(
          "attention.distances: clamped needs attention.near of at least 1, or a training length");
  }

  void read_grouped(const RotaryOptions& rotary) {
    if (group_ > 0) {
      if (near_ == kAutomaticNear)
        throw UsageError("attention.near must be given where attention.group is");
      shift_ = near_ - near_ / group_;
      return;
    }
    const int64_t trained = rotary.train_length, length = rotary.eval_length;
    if (trained == 0 || length == 0)
      throw UsageError(
          "attention.distances: grouped needs attention.eval_length and a training length, or "
          "attention.group and attention.near");
    needs_eval_length_ = true;
    if (near_ == kAutomaticNear) near_ = std::min(trained, length) - 1;
    if (near_ >= trained)
      throw UsageError("attention.near is " + std::to_string(near_) +
                       " and leaves nothing of the training length of " + std::to_string(trained) +
                       " for groups; choose a smaller one");
    const auto parts = [](int64_t n, int64_t d) { return (n + d - 1) / d; };
    group_ = std::max<int64_t>(1, parts(std::max<int64_t>(0, length - near_), trained - near_));
    // Groups of queries end where the text ends, groups of keys begin where it begins.
    before_ = parts(length, group_) * group_ - length;
    shift_ = near_ - parts(near_, group_);
  }

  Rule rule_ = Rule::kExact;
  int64_t near_;
  int64_t group_;
  int64_t before_ = 0, shift_ = 0;  // of grouped queries: floor((place + before) / group) + shift
  bool needs_eval_length_ = false;
};

}  // namespace perdure
