// SPDX-License-Identifier: Apache-2.0

// A store that breaks one rule of its interface: the one that PERDURE_TEST_FAULT names.
#include <cstdlib>
#include <string_view>

#include "core/api/plugin.h"
#include "core/api/store.hpp"

namespace {
using namespace perdure;

bool fault(std::string_view name) {
  const char* wanted = std::getenv("PERDURE_TEST_FAULT");
  return wanted && name == wanted;
}

class Store final : public MemoryStore {
  uint64_t put(std::string_view, const SnapshotSource&, uint64_t) override {
    if (fault("put throws a number")) throw 7;
    if (fault("put throws Error")) throw Error("the disk is full");
    return fault("generation 0") ? 0 : 1;
  }
  std::vector<std::byte> get(std::string_view, uint64_t) override {
    if (fault("get throws")) throw std::bad_alloc();
    return {};
  }
  std::vector<StoredSnapshot> list() override {
    return {{.name = fault("odd session") ? "../a" : "a", .generation = 1}};
  }
  std::vector<StoredSnapshot> generations(std::string_view) override {
    return {{.name = fault("odd generation") ? "b" : "a", .generation = 1}};
  }
  void remove(std::string_view) override {}
  void remove(std::string_view, uint64_t) override {}
  std::unique_ptr<StoreLock> lock(std::string_view) override {
    return fault("no lock") ? nullptr : std::make_unique<StoreLock>();
  }
};

class Plugin final : public StorePlugin {
  std::unique_ptr<MemoryStore> open(const StoreSettings&) const override {
    return fault("no store") ? nullptr : std::make_unique<Store>();
  }
};

}  // namespace

PERDURE_PLUGIN(stores, faulty, 0) {
  static const Plugin plugin;
  return static_cast<const StorePlugin*>(&plugin);
}
