// SPDX-License-Identifier: Apache-2.0

#include "core/graph/operation_table.hpp"

#include "core/graph/shape_rules.hpp"

namespace perdure {

OperationTable::OperationTable() {
  for (const auto& rules : {rules::elementwise_rules(), rules::norm_rules(), rules::row_rules(),
                            rules::position_rules(), rules::attention_rules()})
    for (const Operation& operation : rules) add(operation);
  for (const auto& [name, operation] : operations_) built_in_.insert(name);
}

void OperationTable::add(Operation operation) {
  const std::string name = operation.name;
  if (!operations_.emplace(name, std::move(operation)).second)
    throw Error("the operation '" + name + "' is registered already; give it another name");
}

const Operation* OperationTable::find(std::string_view name) const {
  const auto it = operations_.find(name);
  return it == operations_.end() ? nullptr : &it->second;
}

bool OperationTable::is_built_in(std::string_view name) const { return built_in_.contains(name); }

}  // namespace perdure
