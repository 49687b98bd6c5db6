// SPDX-License-Identifier: Apache-2.0

// The numbers of the golden cases of recurrent-memory-transformer-pytorch: logits, memories and
// kept keys of texts read segment by segment, losses, and what follows greedily.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure_golden/judge.hpp"

namespace perdure::golden {

// A folder with model.safetensors, io.safetensors and config.json. Errors: as Engine, and for what
// is missing.
Outcome run_rmt_network(const std::string& folder, const std::vector<std::string>& overrides);

}  // namespace perdure::golden
