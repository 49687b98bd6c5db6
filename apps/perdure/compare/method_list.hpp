// SPDX-License-Identifier: Apache-2.0

// What there is to compare: every measure, and the methods for long texts by the names that papers
// give them.
#pragma once

#include <span>
#include <string>

namespace perdure::app {

// A method as it is written for an entry. `options`: of `attention`, with the training length as
// {T}. docs/methods.md says more.
struct ListedMethod {
  const char* name;
  const char* help;  // one sentence
  const char* options;
};

std::span<const ListedMethod> listed_methods();

// Measures with their figures and options, then the methods. Pure.
std::string compare_list();
// The same as a line of JSON: {"measures", "methods"}. Pure.
std::string compare_list_json();

}  // namespace perdure::app
