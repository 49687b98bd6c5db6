// SPDX-License-Identifier: Apache-2.0

// Finding llama2Rnn's texts in an `extend_method`; for methods.cpp only.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure_golden/methods.hpp"

namespace perdure {

// A text found in extend_method.
struct FoundMethod {
  const Method* method;
  std::string number;  // what {N} stands for
};

// The methods that act, in the order of the text.
// Errors: UsageError naming what does not begin with a text of the table.
std::vector<FoundMethod> find_methods(const std::string& extend_method);

}  // namespace perdure
