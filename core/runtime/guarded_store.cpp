// SPDX-License-Identifier: Apache-2.0

// The guard of store plugins.
#include <algorithm>

#include "core/runtime/guarded_plugins.hpp"

namespace perdure {
namespace {

bool is_session_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

class GuardedStore final : public MemoryStore {
 private:
  template <typename Function>
  decltype(auto) call(const char* what, Function&& function) const {
    return call_plugin(origin_, what, std::forward<Function>(function));
  }

 public:
  GuardedStore(std::unique_ptr<MemoryStore> inner, PluginOrigin origin)
      : inner_(std::move(inner)), origin_(std::move(origin)) {
    if (!inner_) plugin_fault(origin_, "returned no store from open");
  }

  uint64_t put(std::string_view name, const SnapshotSource& snapshot, uint64_t newest) override {
    const uint64_t generation = call("put", [&] { return inner_->put(name, snapshot, newest); });
    if (generation == 0) plugin_fault(origin_, "returned the generation 0 from put");
    return generation;
  }

  std::vector<std::byte> get(std::string_view name, uint64_t generation) override {
    return call("get", [&] { return inner_->get(name, generation); });
  }

  std::vector<StoredSnapshot> list() override {
    return checked(call("list", [&] { return inner_->list(); }));
  }

  std::vector<StoredSnapshot> generations(std::string_view name) override {
    auto all = checked(call("generations", [&] { return inner_->generations(name); }));
    for (const StoredSnapshot& stored : all)
      if (stored.name != name) plugin_fault(origin_, "lists a generation of another session");
    return all;
  }

  void remove(std::string_view name) override {
    call("remove", [&] { inner_->remove(name); });
  }

  void remove(std::string_view name, uint64_t generation) override {
    call("remove", [&] { inner_->remove(name, generation); });
  }

  std::unique_ptr<StoreLock> lock(std::string_view name) override {
    auto lock = call("lock", [&] { return inner_->lock(name); });
    if (!lock) plugin_fault(origin_, "returned no lock from lock");
    return lock;
  }

 private:
  std::vector<StoredSnapshot> checked(std::vector<StoredSnapshot> all) const {
    for (const StoredSnapshot& stored : all)
      if (!is_session_name(stored.name) || stored.generation == 0)
        plugin_fault(origin_, "lists a session whose name or generation cannot be");
    return all;
  }

  std::unique_ptr<MemoryStore> inner_;
  PluginOrigin origin_;
};

class GuardedPlugin final : public StorePlugin {
 public:
  GuardedPlugin(const StorePlugin& plugin, PluginOrigin origin)
      : plugin_(plugin), origin_(std::move(origin)) {}

  std::vector<OptionSpec> options() const override {
    return call_plugin(origin_, "options", [&] { return plugin_.options(); });
  }

  std::unique_ptr<MemoryStore> open(const StoreSettings& settings) const override {
    return std::make_unique<GuardedStore>(
        call_plugin(origin_, "open", [&] { return plugin_.open(settings); }), origin_);
  }

 private:
  const StorePlugin& plugin_;
  PluginOrigin origin_;
};

}  // namespace

std::unique_ptr<StorePlugin> guard(const StorePlugin& plugin, PluginOrigin origin) {
  return std::make_unique<GuardedPlugin>(plugin, std::move(origin));
}

}  // namespace perdure
