// SPDX-License-Identifier: Apache-2.0

// perdure memory export and import.
#pragma once

#include "apps/perdure/commands/commands.hpp"

namespace perdure::app {

int run_memory_export(const Arguments& arguments);
int run_memory_import(const Arguments& arguments);

}  // namespace perdure::app
