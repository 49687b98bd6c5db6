// SPDX-License-Identifier: Apache-2.0

// stores.file: memories as files of a folder on this machine.
#include "core/api/plugin.h"
#include "plugins/stores/file/file_store.hpp"

namespace perdure::file_store {
namespace {

class FileStorePlugin final : public StorePlugin {
 public:
  std::unique_ptr<MemoryStore> open(const std::string& path) const override {
    return std::make_unique<FileStore>(path, real_file_system());
  }
};

}  // namespace
}  // namespace perdure::file_store

PERDURE_PLUGIN(stores, file, 0) {
  static const perdure::file_store::FileStorePlugin plugin;
  return static_cast<const perdure::StorePlugin*>(&plugin);
}
