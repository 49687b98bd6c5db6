// SPDX-License-Identifier: Apache-2.0

// Keys of this program in GGUF files, for what a tokenizer does to texts and llama.cpp has no key
// for. Other programs ignore them.
#pragma once

#include <array>
#include <string_view>

#include "core/model/tokenizers/text_steps.hpp"

namespace perdure {

// "nfc": the text between user-defined tokens is composed.
constexpr std::string_view kGgufNormalizer = "tokenizer.perdure.normalizer";
constexpr std::string_view kGgufComposes = "nfc";

// Where a space stands before a text of `llama`'s kind; llama.cpp's way is the first.
constexpr std::string_view kGgufSpacePrefix = "tokenizer.perdure.space_prefix";
struct GgufSpacePrefix {
  std::string_view name;
  PrefixRule rule;
};
constexpr std::array kGgufSpacePrefixes = {
    GgufSpacePrefix{"always", PrefixRule::kAlways},
    GgufSpacePrefix{"unless_there", PrefixRule::kUnlessThere},
    GgufSpacePrefix{"text_unless_there", PrefixRule::kTextUnlessThere}};

// What such a vocabulary does to a text: U+2581 for each space, and one before it.
TextSteps marked_spaces(PrefixRule rule);

}  // namespace perdure
