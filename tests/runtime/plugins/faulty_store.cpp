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

struct Lock final : StoreLock {
  ~Lock() override {
    if (fault("unlocking aborts")) std::abort();
  }
};

class Store final : public MemoryStore {
 public:
  ~Store() override {
    if (fault("destructor aborts")) std::abort();
  }

 private:
  uint64_t put(std::string_view, const SnapshotSource& snapshot, uint64_t) override {
    if (fault("put throws a number")) throw 7;
    if (fault("put throws Error")) throw Error("the disk is full");
    if (!fault("reads nothing")) read(snapshot);
    if (fault("generation 0")) return 0;
    if (fault("no generation")) return kAnyGeneration;
    return fault("same generation") ? 1 : ++generation_;
  }
  std::vector<std::byte> get(std::string_view, uint64_t) override {
    if (fault("get throws")) throw std::bad_alloc();
    return {};
  }
  std::vector<StoredSnapshot> list() override {
    if (fault("list aborts")) std::abort();
    if (fault("session twice"))
      return {{.name = "b", .generation = 1}, {.name = "a", .generation = 1}};
    return {{.name = fault("odd session") ? "../a" : "a", .generation = 1}};
  }
  std::vector<StoredSnapshot> generations(std::string_view) override {
    if (fault("generation twice"))
      return {{.name = "a", .generation = 2}, {.name = "a", .generation = 2}};
    if (fault("oldest first"))
      return {{.name = "a", .generation = 1}, {.name = "a", .generation = 2}};
    return {{.name = fault("odd generation") ? "b" : "a", .generation = 1}};
  }
  void remove(std::string_view) override {}
  void remove(std::string_view, uint64_t) override {}
  std::unique_ptr<StoreLock> lock(std::string_view) override {
    return fault("no lock") ? nullptr : std::make_unique<Lock>();
  }

  static void read(const SnapshotSource& snapshot) try {
    snapshot([](std::span<const std::byte>) {
      if (fault("reads a part")) throw Error("no room");
    });
  } catch (const Error&) {  // swallowed, and then said to be saved
  }

  uint64_t generation_ = 0;
};

class Plugin final : public StorePlugin {
  std::vector<OptionSpec> options() const override {
    OptionSpec option{.name = "shelf",
                      .type = OptionType::kInt,
                      .default_value = int64_t{4},
                      .help = "Where it stands.",
                      .min = 1,
                      .max = 8};
    if (fault("option of the host")) option.name = "keep";
    if (fault("option twice")) return {option, option};
    return {option};
  }

  std::unique_ptr<MemoryStore> open(const StoreSettings&) const override {
    return fault("no store") ? nullptr : std::make_unique<Store>();
  }
};

}  // namespace

PERDURE_PLUGIN(stores, faulty, 0) {
  static const Plugin plugin;
  return static_cast<const StorePlugin*>(&plugin);
}
