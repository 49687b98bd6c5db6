// SPDX-License-Identifier: Apache-2.0

#include "core/eval/engines.hpp"

#include <utility>

namespace perdure {

EntryEngines::EntryEngines(Settings settings, std::span<const StaticPlugin> static_plugins)
    : settings_(std::move(settings)), static_plugins_(static_plugins) {}

Engine& EntryEngines::at(int64_t length) {
  if (engine_ && length == length_) return *engine_;
  engine_.reset();  // before the next one takes memory
  settings_.attention.eval_length = length;
  engine_ = std::make_unique<Engine>(settings_, static_plugins_);
  length_ = length;
  return *engine_;
}

}  // namespace perdure
