// SPDX-License-Identifier: Apache-2.0

// llama2Rnn names its length-extrapolation methods by texts inside one string, `extend_method`
// (specification, section 4). This is the one table from those texts to strategies and options of
// ours; docs/methods.md shows it to people, the golden runner and comparisons run by it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perdure {

// Options are YAML, "window: {T0}, full_tail: {T0/2}"; "" sets nothing, nullopt: there is no such
// method. {T0} is the training length, {E} the evaluated length, {N} a number in the text.
struct Method {
  std::string text;                   // as it occurs in extend_method; {N} stands for digits
  std::optional<std::string> plain;   // options of strategy `full`
  std::optional<std::string> memory;  // options of strategy `memory`, or kIgnored
  bool whole = false;                 // must be all of extend_method
  bool frequency = false;          // the first row of these that occurs makes the frequency table
  bool of_rotation = false;        // changes the rotation: nothing to do in layers without
  std::string only_with = {};      // acts only if this text occurs too
  std::string layer = {};          // acts in the layer of this number only
  int64_t least_train_length = 0;  // with less the original lets positions see later ones
};

// What the original does inside memory attention with most of its methods.
inline constexpr const char* kIgnored = "ignored";
// Chooses which tokens are read and changes nothing in a layer; part of an evaluation.
inline constexpr const char* kOfInput = "of the input";

std::span<const Method> llama2rnn_methods();

// A configuration that does what the original does with its options.
struct MethodChoice {
  std::string attention;  // the value of `attention:` as YAML, "{strategy: memory, ...}"
  // Texts that do nothing because their layers are memory attention.
  std::vector<std::string> ignored;
  bool clip = false;  // only the last {T0} tokens of a text are read
};

// `args`: options of the original under its names, as in ModelSpec::llama2rnn_args; needs n_layers.
// Errors: UsageError naming the part of extend_method that is unknown, that does not exist in its
// layers, or that would see later positions.
MethodChoice translate_llama2rnn_args(const std::map<std::string, std::string>& args);

}  // namespace perdure
