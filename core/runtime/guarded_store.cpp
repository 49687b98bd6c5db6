// SPDX-License-Identifier: Apache-2.0

// The guard of store plugins.
#include "core/base/session_name.hpp"
#include "core/config/settings.hpp"
#include "core/runtime/declaration_check.hpp"
#include "core/runtime/guarded_plugins.hpp"

namespace perdure {
namespace {

void require_session_name(std::string_view name) {
  if (!is_session_name(name)) throw UsageError(session_name_fault(name));
}

// Whether a listing that is in order may continue with `next`: by name, newest generation first.
bool follows(const StoredSnapshot& next, const StoredSnapshot& before) {
  return next.name == before.name ? next.generation < before.generation : next.name > before.name;
}

class GuardedLock final : public StoreLock {
 public:
  GuardedLock(std::unique_ptr<StoreLock> inner, const PluginOrigin& origin)
      : inner_(owned(std::move(inner), origin, "the destructor of a lock")) {
    if (!inner_) plugin_fault(origin, "returned no lock from lock");
  }

 private:
  PluginOwned<StoreLock> inner_;
};

class GuardedStore final : public MemoryStore {
 private:
  template <typename Function>
  decltype(auto) call(const char* what, Function&& function) const {
    return call_plugin(origin_, what, std::forward<Function>(function));
  }

  template <typename Function>
  decltype(auto) call_for(std::string_view name, const char* what, Function&& function) const {
    require_session_name(name);
    return call(what, std::forward<Function>(function));
  }

 public:
  GuardedStore(std::unique_ptr<MemoryStore> inner, PluginOrigin origin)
      : inner_(owned(std::move(inner), origin, "the destructor of a store")),
        origin_(std::move(origin)) {
    if (!inner_) plugin_fault(origin_, "returned no store from open");
  }

  uint64_t put(std::string_view name, const SnapshotSource& snapshot, uint64_t newest) override {
    bool read = false;
    const SnapshotSource watched = [&](const auto& piece) {
      snapshot(piece);
      read = true;
    };
    const uint64_t generation =
        call_for(name, "put", [&] { return inner_->put(name, watched, newest); });
    if (!read) plugin_fault(origin_, "returned from put without having read the snapshot");
    require_next(name, generation, newest);
    return generation;
  }

  std::vector<std::byte> get(std::string_view name, uint64_t generation) override {
    return call_for(name, "get", [&] { return inner_->get(name, generation); });
  }

  std::vector<StoredSnapshot> list() override {
    return checked(call("list", [&] { return inner_->list(); }));
  }

  std::vector<StoredSnapshot> generations(std::string_view name) override {
    auto all = checked(call_for(name, "generations", [&] { return inner_->generations(name); }));
    for (const StoredSnapshot& stored : all)
      if (stored.name != name) plugin_fault(origin_, "lists a generation of another session");
    return all;
  }

  void remove(std::string_view name) override {
    call_for(name, "remove", [&] { inner_->remove(name); });
  }

  void remove(std::string_view name, uint64_t generation) override {
    call_for(name, "remove", [&] { inner_->remove(name, generation); });
  }

  std::unique_ptr<StoreLock> lock(std::string_view name) override {
    return std::make_unique<GuardedLock>(call_for(name, "lock", [&] { return inner_->lock(name); }),
                                         origin_);
  }

 private:
  std::vector<StoredSnapshot> checked(std::vector<StoredSnapshot> all) const {
    for (const StoredSnapshot& stored : all)
      if (!is_session_name(stored.name) || stored.generation == 0 ||
          stored.generation == kAnyGeneration)
        plugin_fault(origin_, "lists a session whose name or generation cannot be");
    for (size_t i = 1; i < all.size(); ++i)
      if (!follows(all[i], all[i - 1]))
        plugin_fault(origin_, "lists generation " + std::to_string(all[i].generation) + " of '" +
                                  all[i].name + "' twice, or out of order");
    return all;
  }

  // A generation number that does not rise names an older snapshot, or will replace one.
  void require_next(std::string_view name, uint64_t generation, uint64_t newest) const {
    if (generation == 0 || generation == kAnyGeneration)
      plugin_fault(origin_, "returned the generation " + std::to_string(generation) + " from put");
    const uint64_t before = newest == kAnyGeneration ? 0 : newest;
    if (generation <= before)
      plugin_fault(origin_, "returned the generation " + std::to_string(generation) +
                                " from put after generation " + std::to_string(before) + " of '" +
                                std::string(name) + "'; every put must give a higher one");
  }

  PluginOwned<MemoryStore> inner_;
  PluginOrigin origin_;
};

class GuardedPlugin final : public StorePlugin {
 public:
  GuardedPlugin(const StorePlugin& plugin, PluginOrigin origin)
      : plugin_(plugin),
        origin_(std::move(origin)),
        options_(call_plugin(origin_, "options", [&] { return plugin_.options(); })) {
    if (const std::string problem = problem_of(options_, store_keys()); !problem.empty())
      plugin_fault(origin_, problem);
  }

  std::vector<OptionSpec> options() const override { return options_; }

  std::unique_ptr<MemoryStore> open(const StoreSettings& settings) const override {
    return std::make_unique<GuardedStore>(
        call_plugin(origin_, "open", [&] { return plugin_.open(settings); }), origin_);
  }

 private:
  const StorePlugin& plugin_;
  PluginOrigin origin_;
  std::vector<OptionSpec> options_;
};

}  // namespace

std::unique_ptr<StorePlugin> guard(const StorePlugin& plugin, PluginOrigin origin) {
  return std::make_unique<GuardedPlugin>(plugin, std::move(origin));
}

}  // namespace perdure
