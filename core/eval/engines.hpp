// SPDX-License-Identifier: Apache-2.0

// Engines of one entry of a comparison: strategies may depend on the evaluated length
// (attention.eval_length), so that an entry has an engine per length. Making one maps the model
// anew, which the system has in memory by then, and packs its weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/engine/engine.hpp"

namespace perdure {

// Holds at most one engine at a time. One thread.
class EntryEngines {
 public:
  // Borrows what the static plugins refer to. Nothing is opened yet.
  EntryEngines(Settings settings, std::span<const StaticPlugin> static_plugins);

  // The engine for texts of `length` tokens; attention.eval_length is set to it. Valid until the
  // next call with another length. Errors: as the constructor of Engine.
  Engine& at(int64_t length);

 private:
  Settings settings_;
  std::span<const StaticPlugin> static_plugins_;
  std::unique_ptr<Engine> engine_;
  int64_t length_ = 0;
};

}  // namespace perdure
