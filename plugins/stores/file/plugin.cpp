// SPDX-License-Identifier: Apache-2.0

// stores.file: memories as files of a folder on this machine.
#include "core/api/plugin.h"
#include "plugins/stores/file/file_store.hpp"

namespace perdure::file_store {
namespace {

class FileStorePlugin final : public StorePlugin {
 public:
  std::vector<OptionSpec> options() const override {
    return {{.name = "durability",
             .type = OptionType::kText,
             .default_value = std::string("strict"),
             .help = "whether a save fails (strict) or warns once (relaxed) where a folder cannot "
                     "be synced",
             .choices = {"strict", "relaxed"}}};
  }
  std::unique_ptr<MemoryStore> open(const StoreSettings& settings) const override {
    return std::make_unique<FileStore>(
        FileStoreSettings{.path = settings.path,
                          .rules = settings.rules,
                          .relaxed = settings.options.text("durability") == "relaxed",
                          .warn = settings.warn},
        real_file_system());
  }
};

}  // namespace
}  // namespace perdure::file_store

PERDURE_PLUGIN(stores, file, 0) {
  static const perdure::file_store::FileStorePlugin plugin;
  return static_cast<const perdure::StorePlugin*>(&plugin);
}
