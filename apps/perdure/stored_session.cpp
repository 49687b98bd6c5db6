// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/stored_session.hpp"

#include <fmt/format.h>

#include <ctime>

namespace perdure::app {

std::unique_ptr<MemoryStore> open_store(const Settings& settings, const PluginHost& plugins) {
  return plugins.store(settings.store.kind).open(settings.store.path);
}

StoredSnapshot newest(MemoryStore& store, const std::string& name) {
  for (StoredSnapshot& snapshot : store.list())
    if (snapshot.name == name) return snapshot;
  return {name};
}

StoredSession::StoredSession(Engine& engine, std::string name)
    : engine_(engine),
      name_(std::move(name)),
      store_(open_store(engine.settings(), engine.plugins())),
      lock_(store_->lock(name_)),
      session_(engine.new_session()),
      saved_(newest(*store_, name_)) {
  if (saved_.generation != 0) restore();
}

void StoredSession::restore() {
  try {
    session_.restore(store_->get(name_, saved_.generation));
  } catch (const Error& error) {
    throw Error(fmt::format(
        "memory '{}' (generation {}, in {}) cannot be used and stays as it is: {}; choose another "
        "name with --session",
        name_, saved_.generation, engine_.settings().store.path, error.what()));
  }
}

void StoredSession::save() {
  const std::vector<std::byte> snapshot = session_.snapshot();
  const uint64_t generation = store_->put(name_, snapshot);
  saved_ = {name_, generation, snapshot.size(), static_cast<int64_t>(std::time(nullptr))};
}

void StoredSession::reset() { session_ = engine_.new_session(); }

}  // namespace perdure::app
