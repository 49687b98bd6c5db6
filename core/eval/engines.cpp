// SPDX-License-Identifier: Apache-2.0

#include "core/eval/engines.hpp"

#include <utility>

namespace perdure {

EntryEngines::EntryEngines(Settings settings, std::span<const StaticPlugin> static_plugins,
                           std::shared_ptr<SharedModel> model)
    : settings_(std::move(settings)), static_plugins_(static_plugins), model_(std::move(model)) {}

Engine& EntryEngines::at(int64_t length) {
  if (engine_ && length == length_) return *engine_;
  engine_.reset();  // before the next one takes memory
  settings_.attention.eval_length = length;
  engine_ = std::make_unique<Engine>(settings_, static_plugins_, model_);
  model_ = engine_->shared_model();
  length_ = length;
  return *engine_;
}

}  // namespace perdure
