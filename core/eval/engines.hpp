// SPDX-License-Identifier: Apache-2.0

// Engines of one entry of a comparison: strategies may depend on the evaluated length
// (attention.eval_length), so that an entry has an engine per length. All run one opened model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/engine/engine.hpp"
#include "core/engine/shared_model.hpp"

namespace perdure {

// Holds at most one engine at a time. One thread.
class EntryEngines {
 public:
  // Borrows what the static plugins refer to. `model`: that of settings.model.path, if it is open
  // already; otherwise the first engine opens it.
  EntryEngines(Settings settings, std::span<const StaticPlugin> static_plugins,
               std::shared_ptr<SharedModel> model = nullptr);

  // The engine for texts of `length` tokens; attention.eval_length is set to it. Valid until the
  // next call with another length. Errors: as the constructor of Engine.
  Engine& at(int64_t length);

  // The opened model; null before the first engine.
  const std::shared_ptr<SharedModel>& model() const { return model_; }
  const Settings& settings() const { return settings_; }

 private:
  Settings settings_;
  std::span<const StaticPlugin> static_plugins_;
  std::shared_ptr<SharedModel> model_;
  std::unique_ptr<Engine> engine_;
  int64_t length_ = 0;
};

}  // namespace perdure
