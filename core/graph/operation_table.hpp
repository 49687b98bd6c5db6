// SPDX-License-Identifier: Apache-2.0

// The operations a graph may use: the built-in ones of core/api/operations.hpp and those that
// plugins bring.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/api/graph.hpp"

namespace perdure {

// Filled before graphs are built, read-only afterwards; then any thread may read.
class OperationTable {
 public:
  // Holds the built-in operations.
  OperationTable();

  // Errors: Error if the name is taken.
  void add(Operation operation);
  // nullptr if there is none.
  const Operation* find(std::string_view name) const;
  // Whether the operation is built in (every instruction set has a kernel for it).
  bool is_built_in(std::string_view name) const;

 private:
  std::map<std::string, Operation, std::less<>> operations_;
  std::set<std::string, std::less<>> built_in_;
};

}  // namespace perdure
